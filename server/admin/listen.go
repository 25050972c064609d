package admin

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"jm-directory-server/server/unixsocket"
)

// An AddressError says why an address is not one to listen on.
type AddressError struct {
	Address string // as it was given
	Allowed string // completes "must be ..."
}

// Error names the address and what is allowed.
func (e *AddressError) Error() string {
	return fmt.Sprintf("admin: %q must be %s", e.Address, e.Allowed)
}

// CheckAddress returns nil for an address that Listen takes, or an *AddressError.
func CheckAddress(address string) error {
	_, _, err := parseAddress(address)
	return err
}

// Listen listens on "unix:PATH" or on "IP:PORT" with an IP of loopback. The socket is for the owner of the process alone,
// mode 0600; one that an ended process left behind is replaced, one at which somebody answers is not. Errors: an
// *AddressError for any other address, names included, because what a name means is up to a resolver; and those of the system.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	path, tcp, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	var l net.Listener
	if path != "" {
		l, err = unixsocket.Listen(ctx, path, 0o600)
	} else {
		l, err = new(net.ListenConfig).Listen(ctx, "tcp", tcp.String())
	}
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return l, nil
}

func parseAddress(address string) (path string, tcp netip.AddrPort, err error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		switch {
		case path == "" || strings.ContainsAny(path, "\x00\n"):
			return "", tcp, &AddressError{address, "unix:PATH with the path of a file"}
		case path[0] == '@': // a name without a file, at which everybody could connect
			return "", tcp, &AddressError{address, "unix:PATH with the path of a file: names that start with @ have no owner"}
		case len(path) > unixsocket.MaxPath:
			return "", tcp, &AddressError{address, fmt.Sprintf("unix:PATH with at most %d bytes of path, these are %d", unixsocket.MaxPath, len(path))}
		}
		return path, tcp, nil
	}
	tcp, err = netip.ParseAddrPort(address)
	if err != nil || tcp.Addr().Zone() != "" || !tcp.Addr().Unmap().IsLoopback() {
		return "", tcp, &AddressError{address, "unix:PATH, or the number of a loopback address with a port, such as 127.0.0.1:9152: whoever can connect may do everything"}
	}
	return "", tcp, nil
}
