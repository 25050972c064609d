package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"jm-directory-server/server"
	"jm-directory-server/server/client"
	"jm-directory-server/server/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nicks returns two fresh nicks.
func nicks(t *testing.T) (ns [2]string) {
	t.Helper()
	for i := range ns {
		var err error
		if ns[i], err = client.NewNick(); err != nil {
			t.Fatal(err)
		}
	}
	return ns
}

// serve starts a directory and returns how to dial it.
func serve(t *testing.T, change func(*server.Options)) (*server.Server, func(context.Context) (net.Conn, error)) {
	t.Helper()
	o := server.DefaultOptions()
	o.Network = "regtest"
	if change != nil {
		change(&o)
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	s, err := server.New(o, log)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context(), l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return s, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
}

func TestRoundTripPassesThroughARealDirectory(t *testing.T) {
	s, dial := serve(t, nil)
	trip, err := client.RoundTrip(t.Context(), "regtest", nicks(t), dial)
	if err != nil {
		t.Fatal(err)
	}
	if trip.Dial <= 0 || trip.Handshake <= 0 || trip.Message <= 0 {
		t.Errorf("got %+v, want three times", trip)
	}
	if st := s.Status(); st.Private != 2 {
		t.Errorf("%d private messages were forwarded, want 2", st.Private)
	}
}

func TestRoundTripNamesTheStageThatFails(t *testing.T) {
	answer := func(hello wire.DirectoryHello) string {
		line := hello.AppendLine(nil)
		b, err := wire.AppendEnvelope(nil, wire.DirectoryHandshake, line)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	good := wire.DirectoryHello{Accepted: true, Nick: "J5directory11111", Network: "regtest", Features: []string{}}
	no := good
	no.Accepted, no.MOTD = false, "Rejected: full\x1b[2J"
	other := good
	other.Network = "signet"
	for _, tt := range []struct {
		name, sends string
		closes      bool
		stage       client.Stage
		text        string
	}{
		{"silent", "", false, client.StageHandshake, "deadline exceeded"},
		{"closes", "", true, client.StageHandshake, "EOF"},
		{"another protocol", "SSH-2.0-OpenSSH\r\n", false, client.StageHandshake, "envelope refused"},
		{"a ping before the answer", "{\"type\": 798, \"line\": \"\"}\r\n", false, client.StageHandshake, "ping instead of dn-handshake"},
		{"another network", answer(other), false, client.StageHandshake, "signet"},
		{"refuses", answer(no), false, client.StageRefused, `"Rejected: full\x1b[2J"`},
		{"no message", answer(good), false, client.StageRoundTrip, "deadline exceeded"},
		{"another message", answer(good) + "{\"type\": 685, \"line\": \"a!b!c\"}\r\n", false, client.StageRoundTrip, "another private message"},
		{"closes after the answer", answer(good), true, client.StageRoundTrip, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var ends []net.Conn
				_, err := client.RoundTrip(ctx, "regtest", nicks(t), func(context.Context) (net.Conn, error) {
					ours, theirs := net.Pipe()
					ends = append(ends, theirs)
					go func() {
						io.ReadAtLeast(theirs, make([]byte, 512), 1) // the handshake
						io.WriteString(theirs, tt.sends)
						if tt.closes {
							theirs.Close()
						}
						io.Copy(io.Discard, theirs)
					}()
					return ours, nil
				})
				for _, c := range ends {
					c.Close()
				}
				var failed *client.StageError
				if !errors.As(err, &failed) || failed.Stage != tt.stage || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("got %v, want stage %s with %q", err, tt.stage, tt.text)
				}
			})
		})
	}
}

func TestRoundTripSaysThatItCannotDial(t *testing.T) {
	cause := errors.New("no descriptor")
	_, err := client.RoundTrip(t.Context(), "regtest", nicks(t), func(context.Context) (net.Conn, error) { return nil, cause })
	var failed *client.StageError
	if !errors.As(err, &failed) || failed.Stage != client.StageDial || !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

func TestPingsOfTheDirectoryAreAnswered(t *testing.T) {
	_, dial := serve(t, func(o *server.Options) {
		o.PingIdle, o.PongTimeout, o.SweepInterval = 20*time.Millisecond, 10*time.Second, 5*time.Millisecond
	})
	conn, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(conn)
	defer c.Close()
	nick := nicks(t)[0]
	if _, err := c.Handshake(t.Context(), wire.Handshake{Nick: nick, Network: "regtest", Features: []string{wire.FeaturePing}}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // several pings wait by now
	if err := c.Send(t.Context(), wire.GetPeerlist, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Expect(t.Context(), wire.Peerlist); err != nil {
		t.Fatal(err)
	}
}

func TestTooLongLineIsNotSent(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := client.New(ours)
	defer c.Close()
	if err := c.Send(t.Context(), wire.Pubmsg, make([]byte, wire.MaxLine)); !errors.Is(err, wire.ErrTooLong) {
		t.Errorf("got %v", err)
	}
}
