package onion

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestProxyLine(t *testing.T) {
	good := map[string]uint64{
		"PROXY TCP6 fc00:dead:beef:4dad::0:1a ::1 26 5222\r\n":          0x1a,
		"PROXY TCP6 fc00:dead:beef:4dad::0:0 ::1 0 0\r\n":               0,
		"PROXY TCP6 fc00:dead:beef:4dad::ffff:ffff ::1 65535 65535\r\n": 0xffffffff,
		"PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 5222\r\n":            0x10002,
		"PROXY TCP6 fc00:dead:beef:4dad:0:0:abcd:12 ::1 18 5222\r\n":    0xabcd0012,
		"PROXY TCP6 FC00:DEAD:BEEF:4DAD::0:1a ::1 26 5222\r\n":          0x1a,
	}
	for line, want := range good {
		if id, err := parseProxy([]byte(line)); err != nil || id != want {
			t.Errorf("%q: %x, %v, want %x", line, id, err, want)
		}
	}
	for _, line := range []string{
		"", "\r\n", "PROXY\r\n", "PROXY UNKNOWN\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:1a ::1 26 5222\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:1a ::1 26 5222",
		"PROXY TCP4 127.0.0.1 127.0.0.1 26 5222\r\n",
		"PROXY TCP6 fc00:dead:beef:4dae::0:1a ::1 26 5222\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad:1::1a ::1 26 5222\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:1a%x ::1 26 5222\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:1a ::2 26 5222\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:1a ::1 026 5222\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:1a ::1 26 65536\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:1a ::1 -1 5222\r\n",
		"PROXY  TCP6 fc00:dead:beef:4dad::0:1a ::1 26 5222\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:1a ::1 26 5222 \r\n",
		"proxy TCP6 fc00:dead:beef:4dad::0:1a ::1 26 5222\r\n",
		"{\"type\":793}\r\n",
	} {
		if id, err := parseProxy([]byte(line)); err == nil {
			t.Errorf("%q: accepted as %x", line, id)
		}
	}
}

func TestEveryCircuitIDSurvivesTheLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Uint32().Draw(t, "id")
		line := fmt.Sprintf("PROXY TCP6 fc00:dead:beef:4dad::%x:%x ::1 %d 5222\r\n", id>>16, id&0xffff, id&0xffff)
		if got, err := parseProxy([]byte(line)); err != nil || got != uint64(id) {
			t.Fatalf("%q: %x, %v", line, got, err)
		}
	})
}

// proxyForm is the line, in other words than the parser's.
var proxyForm = regexp.MustCompile(`^PROXY TCP6 ([0-9A-Fa-f:.]+) ::1 (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n\z`)

func FuzzProxyLine(f *testing.F) {
	for _, line := range []string{
		"PROXY TCP6 fc00:dead:beef:4dad::0:1a ::1 26 5222\r\n", "PROXY TCP6 ::1 ::1 26 5222\r\n", "PROXY TCP6 fc00:dead:beef:4dad::ffff:ffff ::1 65535 65535\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::1.2.3.4 ::1 1 1\r\n", "PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n", "PROXY UNKNOWN\r\n", "PROXY TCP6 fc00:dead:beef:4dad::1%x ::1 1 1\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::1 ::1 01 5222\r\n", "PROXY TCP6 fc00:dead:beef:4dad::1 ::1 65536 5222\r\n", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		id, err := parseProxy(line)
		m := proxyForm.FindSubmatch(line)
		var ip net.IP
		want := m != nil && len(line) <= maxProxyLine
		for _, port := range m[min(2, len(m)):] {
			n, err := strconv.Atoi(string(port))
			want = want && err == nil && n <= 65535
		}
		if want {
			ip = net.ParseIP(string(m[1]))
			want = len(ip) == net.IPv6len && bytes.HasPrefix(ip, []byte{0xfc, 0, 0xde, 0xad, 0xbe, 0xef, 0x4d, 0xad, 0, 0, 0, 0})
		}
		if want != (err == nil) || want && id != uint64(binary.BigEndian.Uint32(ip[12:])) {
			t.Fatalf("%q: %x, %v, second opinion %v %v", line, id, err, want, ip)
		}
	})
}

// proxyPair listens for proxied streams on a unix socket or on TCP.
func proxyPair(t *testing.T, network string, required bool) (l net.Listener, dial func() net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	ul, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	l = NewProxyListener(ul, required)
	t.Cleanup(func() { l.Close() })
	return l, func() net.Conn {
		c, err := net.Dial(network, ul.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

const exampleLine = "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 5222\r\n"

func TestProxyListenerTakesTheLineAndNothingElse(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		for _, pieces := range [][]string{
			{exampleLine + "first\nsecond"},
			{exampleLine, "first\nsecond"},
			{"P", "ROXY TCP6 fc00:dead:beef:", "4dad::1:2 ::1 2 5222\r", "\nfirst\nsec", "ond"},
		} {
			l, dial := proxyPair(t, network, true)
			c := dial()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for _, p := range pieces {
					io.WriteString(c, p)
					time.Sleep(5 * time.Millisecond)
				}
				c.(interface{ CloseWrite() error }).CloseWrite()
			}()
			got, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			if id, ok := got.(Circuit).CircuitID(); !ok || id != 0x10002 {
				t.Errorf("%s %q: circuit %x, %v", network, pieces, id, ok)
			}
			if _, ok := got.(syscall.Conn); !ok {
				t.Errorf("%T hides the socket", got)
			}
			if rest, err := io.ReadAll(got); err != nil || string(rest) != "first\nsecond" {
				t.Errorf("%s %q: rest %q, %v", network, pieces, rest, err)
			}
			<-done
		}
	}
}

func TestStreamsOfAServiceAreTheSocketItself(t *testing.T) {
	l, dial := proxyPair(t, "unix", true)
	io.WriteString(dial(), exampleLine)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.(*Conn); !ok {
		t.Errorf("%T, want *Conn", c)
	}
}

func TestSlowStreamsDoNotHoldUpOthers(t *testing.T) {
	l, dial := proxyPair(t, "unix", true)
	for range 20 {
		io.WriteString(dial(), "PROXY TCP6") // and no more
	}
	io.WriteString(dial(), exampleLine)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	// Close does not wait for them either: goleak sees to the rest.
	begin := time.Now()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d >= proxyWait {
		t.Errorf("Close waited %v for silent streams", d)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

func TestStreamsWithoutAProperLineAreClosed(t *testing.T) {
	l, dial := proxyPair(t, "unix", true)
	good := make(chan error)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = c.Close()
		}
		good <- err
	}()
	for _, bad := range []string{"{\"type\":793}\r\n", "PROXY UNKNOWN\r\n", string(make([]byte, 300)), "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"} {
		c := dial()
		io.WriteString(c, bad)
		c.SetReadDeadline(time.Now().Add(4 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.20q: %v, want the end of the stream", bad, err)
		}
	}
	io.WriteString(dial(), exampleLine)
	if err := <-good; err != nil {
		t.Error(err)
	}
}

func TestOptionalLineLeavesOtherStreamsAlone(t *testing.T) {
	l, dial := proxyPair(t, "tcp", false)
	for first, want := range map[string]bool{"{\"type\":793}\n": false, exampleLine + "{\"type\":793}\n": true} {
		c := dial()
		io.WriteString(c, first)
		c.(*net.TCPConn).CloseWrite()
		got, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := got.(Circuit).CircuitID(); ok != want {
			t.Errorf("%q: circuit id known: %v", first, ok)
		}
		if rest, err := io.ReadAll(got); err != nil || string(rest) != "{\"type\":793}\n" {
			t.Errorf("%q: rest %q, %v", first, rest, err)
		}
		got.Close()
	}
}

func TestSilentStreams(t *testing.T) {
	for _, required := range []bool{true, false} {
		ul, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			t.Fatal(err)
		}
		l := newProxyListener(ul, required, 20*time.Millisecond)
		c, err := net.Dial("unix", ul.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if required { // it is closed
			go l.Accept() // until the listener is closed
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("required: %v, want the end of the stream", err)
			}
		} else if got, err := l.Accept(); err != nil { // it is handed out
			t.Error(err)
		} else {
			io.WriteString(c, "late")
			b := make([]byte, 4)
			if _, err := io.ReadFull(got, b); err != nil || string(b) != "late" {
				t.Errorf("optional: %q, %v", b, err)
			}
			got.Close()
		}
		c.Close()
		l.Close()
	}
}

func TestUnclaimedStreamsAreClosedWithTheListener(t *testing.T) {
	l, dial := proxyPair(t, "unix", true)
	io.WriteString(dial(), exampleLine)
	if first, err := l.Accept(); err != nil {
		t.Fatal(err)
	} else {
		first.Close()
	}
	c := dial()
	io.WriteString(c, exampleLine)
	time.Sleep(20 * time.Millisecond) // let it be prepared, most times
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("unclaimed stream: %v, want its end", err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

// tiredListener runs out of descriptors, then accepts, then fails for good.
type tiredListener struct {
	net.Listener
	answers []error
	last    chan struct{} // when the lasting failure may come
}

func (l *tiredListener) Accept() (net.Conn, error) {
	if len(l.answers) == 0 {
		<-l.last
		return nil, io.ErrUnexpectedEOF
	}
	err := l.answers[0]
	l.answers = l.answers[1:]
	if err != nil {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
	}
	return l.Listener.Accept()
}

// patientListener tells of each call of Accept, and waits for its end.
type patientListener struct {
	called chan struct{}
	ended  chan struct{}
}

func (l *patientListener) Accept() (net.Conn, error) {
	l.called <- struct{}{}
	<-l.ended
	return nil, net.ErrClosed
}
func (l *patientListener) Close() error   { close(l.ended); return nil }
func (l *patientListener) Addr() net.Addr { return nil }

// TestNobodyIsAcceptedBeforeTheFirstAccept: who listens first gives up what it needs no more.
func TestNobodyIsAcceptedBeforeTheFirstAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &patientListener{make(chan struct{}, 1), make(chan struct{})}
		l := NewProxyListener(inner, true)
		synctest.Wait()
		if len(inner.called) > 0 {
			t.Error("accepts before it is asked to")
		}
		go l.Accept()
		synctest.Wait()
		if len(inner.called) == 0 {
			t.Error("does not accept when it is asked to")
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	l := NewProxyListener(&patientListener{ended: make(chan struct{})}, true)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close says %v", err)
	}
}

func TestListenerOutlivesPassingErrors(t *testing.T) {
	ul, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	last := make(chan struct{})
	l := newPlainListener(&tiredListener{ul, []error{syscall.EMFILE, syscall.ENOMEM, nil}, last})
	defer l.Close()
	c, err := net.Dial("unix", ul.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := l.Accept()
	for told := 0; err != nil; told++ {
		if !transient(err) || told == 2 {
			t.Fatal(err)
		}
		got, err = l.Accept()
	}
	got.Close()
	if _, ok := got.(Circuit).CircuitID(); ok {
		t.Error("a circuit id out of nowhere")
	}
	close(last)
	if _, err := l.Accept(); err != io.ErrUnexpectedEOF {
		t.Errorf("lasting error: %v", err)
	}
}
