package onion

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxProxyLine is the longest PROXY line, its CRLF included (PROXY protocol
// version 1, section 2.1).
const maxProxyLine = 107

// errProxy is the reason a stream without a proper PROXY line is closed.
var errProxy = errors.New("malformed PROXY line")

// circuitPrefix is the network that Tor puts circuit ids into: the id is the
// last 32 bits (Tor manual, HiddenServiceExportCircuitID).
var circuitPrefix = netip.MustParsePrefix("fc00:dead:beef:4dad::/96")

// parseProxy returns the circuit id of a line such as
// "PROXY TCP6 fc00:dead:beef:4dad::HHHH:LLLL ::1 SPORT VPORT\r\n". It is strict:
// nobody but Tor writes such lines.
func parseProxy(line []byte) (uint64, error) {
	body, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || len(line) > maxProxyLine {
		return 0, errProxy
	}
	f := bytes.Split(body, []byte(" "))
	if len(f) != 6 || string(f[0]) != "PROXY" || string(f[1]) != "TCP6" || string(f[3]) != "::1" {
		return 0, errProxy
	}
	for _, port := range f[4:] {
		if n, err := strconv.ParseUint(string(port), 10, 16); err != nil || strconv.FormatUint(n, 10) != string(port) {
			return 0, errProxy
		}
	}
	addr, err := netip.ParseAddr(string(f[2]))
	if err != nil || addr.Zone() != "" || !circuitPrefix.Contains(addr) {
		return 0, errProxy
	}
	b := addr.As16()
	return uint64(b[12])<<24 | uint64(b[13])<<16 | uint64(b[14])<<8 | uint64(b[15]), nil
}

// readProxy reads the PROXY line off a stream and not one byte more, so that
// what follows stays in the socket for whoever waits on its descriptor. It
// looks first (MSG_PEEK) and takes only what belongs to the line. If required
// is false, a stream that does not begin with 'P' is left as it is and ok is
// false. The caller sets the deadline.
func readProxy(rc syscall.RawConn, required bool) (id uint64, ok bool, err error) {
	var buf [maxProxyLine]byte
	have := 0
	for have < len(buf) {
		n, err := receive(rc, buf[have:], unix.MSG_PEEK)
		if err != nil {
			return 0, false, err
		}
		if n == 0 {
			return 0, false, fmt.Errorf("%w: stream ended", errProxy)
		}
		if !required && have == 0 && buf[0] != 'P' {
			return 0, false, nil
		}
		end := bytes.IndexByte(buf[have:have+n], '\n')
		if end >= 0 {
			n = end + 1
		}
		// All n bytes belong to the line; take them.
		if n, err = receive(rc, buf[have:have+n], 0); err != nil {
			return 0, false, err
		}
		have += n
		if buf[have-1] == '\n' {
			id, err := parseProxy(buf[:have])
			return id, err == nil, err
		}
	}
	return 0, false, errProxy
}

// receive is recv(2) that waits for readability within the read deadline.
func receive(rc syscall.RawConn, b []byte, flags int) (int, error) {
	var n int
	var rerr error
	err := rc.Read(func(fd uintptr) bool {
		for {
			n, _, rerr = unix.Recvfrom(int(fd), b, flags)
			if rerr != unix.EINTR {
				return rerr != unix.EAGAIN
			}
		}
	})
	if err == nil {
		err = rerr
	}
	if err != nil {
		return 0, fmt.Errorf("read PROXY line: %w", err)
	}
	return n, nil
}
