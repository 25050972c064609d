package admin

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jm-directory-server/server/unixsocket"
)

func TestOnlyThisHostCanConnect(t *testing.T) {
	tests := []struct {
		address string
		ok      bool
	}{
		{"127.0.0.1:9152", true},
		{"127.8.9.1:0", true},
		{"[::1]:9152", true},
		{"[::ffff:127.0.0.1]:9152", true},
		{"unix:/run/jm/admin.sock", true},
		{"unix:admin.sock", true},
		{"unix:" + strings.Repeat("x", unixsocket.MaxPath), true},
		{"unix:" + strings.Repeat("x", unixsocket.MaxPath+1), false},
		{"unix:", false},
		{"unix:@abstract", false},
		{"unix:a\x00b", false},
		{"0.0.0.0:9152", false},
		{"[::]:9152", false},
		{":9152", false},
		{"9152", false},
		{"192.0.2.1:9152", false},
		{"10.0.0.1:9152", false},
		{"[fe80::1%lo]:9152", false},
		{"[::1%lo]:9152", false},
		{"[::ffff:192.0.2.1]:9152", false},
		{"localhost:9152", false},
		{"example.com:9152", false},
		{"127.0.0.1", false},
		{"127.0.0.1:65536", false},
		{"127.1:9152", false},
		{"", false},
	}
	for _, tt := range tests {
		err := CheckAddress(tt.address)
		if refused := (*AddressError)(nil); (err == nil) != tt.ok || err != nil && (!errors.As(err, &refused) || refused.Address != tt.address) {
			t.Errorf("%q: %v", tt.address, err)
		}
		if tt.ok {
			continue
		}
		if l, err := Listen(t.Context(), tt.address); err == nil {
			l.Close()
			t.Errorf("%q is listened on", tt.address)
		}
	}
}

func TestTheSocketIsForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := Listen(t.Context(), "unix:"+path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second listener: %v", err)
	}
}
