package socks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// port is a SOCKS port that says what it was told to say, and notes what it
// heard.
type port struct {
	io.Reader
	heard bytes.Buffer
}

func (p *port) Write(b []byte) (int, error) { return p.heard.Write(b) }

func TestAnswers(t *testing.T) {
	const hello, login, granted = "\x05\x02", "\x01\x00", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	for name, tt := range map[string]struct {
		user, says string
		refusal    byte // a *Refusal
		fails      bool // another error
		rest       string
	}{
		"granted":            {"u", hello + login + granted + "first", 0, false, "first"},
		"without a user":     {"", "\x05\x00" + granted + "first", 0, false, "first"},
		"IPv6 in the answer": {"u", hello + login + "\x05\x00\x00\x04" + strings.Repeat("a", 18) + "first", 0, false, "first"},
		"name in the answer": {"u", hello + login + "\x05\x00\x00\x03\x02ab\x00\x01first", 0, false, "first"},
		"not published":      {"u", hello + login + "\x05\xf0\x00\x01\x00\x00\x00\x00\x00\x00", 0xf0, false, ""},
		"not allowed":        {"", "\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", 0x02, false, ""},
		"another method":     {"u", "\x05\x00", 0, true, ""},
		"another protocol":   {"u", "HTTP/1.0 501", 0, true, ""},
		"login refused":      {"u", hello + "\x01\x01" + granted, 0, true, ""},
		"ends early":         {"u", hello + login + granted[:7], 0, true, ""},
		"no address type":    {"u", hello + login + "\x05\x00\x00\x02\x00", 0, true, ""},
		"version of answer":  {"u", hello + login + "\x04\x00\x00\x01\x00", 0, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := &port{Reader: strings.NewReader(tt.says)}
			err := connect(p, tt.user, "host", 258)
			var r *Refusal
			switch {
			case tt.refusal != 0:
				if !errors.As(err, &r) || r.Code != tt.refusal {
					t.Errorf("err %v, want code %02x", err, tt.refusal)
				}
			case tt.fails:
				if err == nil || errors.As(err, &r) {
					t.Errorf("err %v, want another one", err)
				}
			case err != nil:
				t.Error(err)
			default:
				if rest, _ := io.ReadAll(p); string(rest) != tt.rest {
					t.Errorf("rest %q, want %q", rest, tt.rest)
				}
				want := "\x05\x01\x02\x01\x01u\x01x"
				if tt.user == "" {
					want = "\x05\x01\x00"
				}
				if want += "\x05\x01\x00\x03\x04host\x01\x02"; p.heard.String() != want {
					t.Errorf("said %q, want %q", p.heard.String(), want)
				}
			}
		})
	}
}

func TestRefusalIsSaidInWords(t *testing.T) {
	for code, want := range map[byte]string{0xf0: "descriptor was not found (f0)", 2: "not allowed", 0x99: "unknown reason (99)"} {
		if got := (&Refusal{Code: code}).Error(); !strings.Contains(got, want) {
			t.Errorf("%02x: %s", code, got)
		}
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path) // and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			c.Read(make([]byte, 1)) // it has begun
			cancel()
			io.Copy(io.Discard, c)
		}
	}()
	if c, err := Dial(ctx, "unix", path, "u", "host", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", c, err)
	}
	for _, bad := range []struct {
		user, host string
		port       int
	}{{"u", "", 1}, {"u", "host", 0}, {"u", "host", 65536}, {strings.Repeat("u", 256), "host", 1}, {"u", strings.Repeat("h", 256), 1}} {
		if c, err := Dial(t.Context(), "unix", path, bad.user, bad.host, bad.port); err == nil || !strings.Contains(err.Error(), "does not fit") {
			t.Errorf("%v: %v, %v", bad, c, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add("u", []byte("\x05\x02\x01\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00x"))
	f.Add("", []byte("\x05\x00\x05\xf0\x00\x03\xff\x00"))
	f.Add("u", []byte("\x05\x02\x01\x01\x05\x00\x00\x04aaaaaaaaaaaaaaaa\x00\x00"))
	f.Add("", append([]byte("\x05\x00\x05\x00\x00\x03\xff"), make([]byte, 0xff+2)...))
	f.Add("", []byte("\x05\x00\x05\x00\x00\x03\x00\x00\x00")) // a name without a letter: the shortest that is granted
	f.Fuzz(func(t *testing.T, user string, says []byte) {
		p := &port{Reader: bytes.NewReader(says)}
		if len(user) > 255 {
			return
		}
		err := connect(p, user, "host", 1)
		rest, _ := io.ReadAll(p)
		if err != nil {
			return
		}
		reply := 2
		if user != "" {
			reply = 4
		}
		length := map[byte]int{1: 4, 3: 1 + int(says[reply+4]), 4: 16}[says[reply+3]]
		if taken := len(says) - len(rest); length == 0 || taken != reply+4+length+2 {
			t.Errorf("granted after %d bytes, with an address of %d", taken, length)
		}
		if says[reply+1] != 0 || user != "" && says[3] != 0 {
			t.Error("a refusal is taken for a stream")
		}
	})
}
