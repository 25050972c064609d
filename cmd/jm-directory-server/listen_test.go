package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jm-directory-server/server/unixsocket"
)

func TestAddresses(t *testing.T) {
	tests := []struct {
		text  string
		want  string // empty: refused
		local bool
	}{
		{"127.0.0.1:5222", "127.0.0.1:5222", true},
		{"127.8.9.1:0", "127.8.9.1:0", true},
		{"localhost:1", "127.0.0.1:1", true},
		{"[::1]:5222", "[::1]:5222", true},
		{"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true},
		{"unix:/run/s", "unix:/run/s", true},
		{"unix:s", "unix:s", true},
		{"0.0.0.0:1", "0.0.0.0:1", false},
		{"[::]:1", "[::]:1", false},
		{"192.0.2.1:1", "192.0.2.1:1", false},
		{"unix:" + strings.Repeat("x", unixsocket.MaxPath), "unix:" + strings.Repeat("x", unixsocket.MaxPath), true},
		{"unix:" + strings.Repeat("x", unixsocket.MaxPath+1), "", false},
		{"unix:", "", false},
		{"unix:a\x00b", "", false},
		{":5222", "", false},
		{"5222", "", false},
		{"127.0.0.1", "", false},
		{"127.0.0.1:65536", "", false},
		{"127.0.0.1:-1", "", false},
		{"example.com:1", "", false},
		{"", "", false},
	}
	for _, tt := range tests {
		a, err := parseAddress(tt.text)
		if (err == nil) != (tt.want != "") || err == nil && (a.String() != tt.want || a.local() != tt.local) {
			t.Errorf("%q: got %v (local %v), %v", tt.text, a, a.local(), err)
		}
	}
}

func TestTheSocketHasTheModeOfTheConfiguration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := listen(context.Background(), ListenConfig{Address: "unix:" + path, SocketMode: 0o660})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
}

func TestAnOutsideTorsCircuitIDsAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := listen(context.Background(), ListenConfig{Address: "unix:" + path, SocketMode: 0o600, ProxyProtocol: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := io.WriteString(client, "PROXY TCP6 fc00:dead:beef:4dad::0:1a ::1 26 5222\r\nline"); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, ok := conn.(interface{ CircuitID() (uint64, bool) })
	if !ok {
		t.Fatalf("%T has no circuit id", conn)
	}
	if id, ok := c.CircuitID(); id != 26 || !ok {
		t.Errorf("circuit %d, %v", id, ok)
	}
	rest := make([]byte, 4)
	if _, err := io.ReadFull(conn, rest); err != nil || string(rest) != "line" {
		t.Errorf("after the PROXY line: %q, %v", rest, err)
	}
}
