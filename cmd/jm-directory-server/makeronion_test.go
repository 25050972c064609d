package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jm-directory-server/onion/tornet"
	"jm-directory-server/server/admin"
	"jm-directory-server/server/wire"
)

// quickLocationChecks has peers looked for soon after they have come.
const quickLocationChecks = `[location_check]
enabled = true
delay_min = "0s"
delay_max = "1s"
per_minute = 600
retry = "1s"
timeout = "30s"
`

const (
	makerNick  = "J5makerAtHomezzz"
	liarNick   = "J5makerE1sewhere"
	readerNick = "J5readerzzzzzzzz"
)

// A makerOnion is a maker that is reached through an onion service of a client's Tor.
type makerOnion struct {
	dir    string // of the onion service's key
	socket string
}

// newMakerOnion answers those who dial the onion, like a maker: with its own handshake.
func newMakerOnion(t *testing.T) *makerOnion {
	t.Helper()
	dir, err := os.MkdirTemp("", "jmmk") // short: socket paths have 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	m := &makerOnion{dir: filepath.Join(dir, "onion"), socket: filepath.Join(dir, "s")}
	l, err := net.Listen("unix", m.socket)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go meet(conn)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
		os.RemoveAll(dir)
	})
	return m
}

// meet is the maker's side of one connection.
func meet(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	lines := bufio.NewScanner(conn)
	lines.Split(wire.SplitLine)
	if !lines.Scan() {
		return
	}
	if env, err := new(wire.Parser).Parse(lines.Bytes()); err != nil || env.Type != wire.ClientHandshake {
		return
	}
	h := wire.Handshake{Nick: makerNick, Network: "mainnet"}
	answer, _ := wire.AppendEnvelope(nil, wire.ClientHandshake, h.AppendLine(nil))
	conn.Write(answer)
	lines.Scan() // until the other side hangs up
}

// torrc is what the Tor that serves the maker needs.
func (m *makerOnion) torrc() []string {
	return []string{"HiddenServiceDir " + m.dir, "HiddenServicePort 5222 unix:" + m.socket}
}

func (m *makerOnion) host(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile(filepath.Join(m.dir, "hostname"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(name))
}

// isFound has the maker join the directory at host, and a liar, which says that it serves where the maker does. The first is
// to be found, the second not; who reads features is told, and the numbers say the same.
func (m *makerOnion) isFound(ctx context.Context, t *testing.T, client *tornet.Node, host, binary, config string) {
	location := wire.Location{Host: m.host(t), Port: 5222}
	probe, err := client.Reach(ctx, "probe", location.Host, 5222) // its descriptor is up
	if err != nil {
		t.Fatal(err)
	}
	probe.Close()
	for _, h := range []wire.Handshake{{Nick: makerNick, Location: location}, {Nick: liarNick, Location: location}} {
		h.Network = "mainnet"
		p, err := joinAs(ctx, client, host, h)
		if err != nil {
			t.Fatal(err)
		}
		defer p.conn.Close()
		if err := p.send(wire.Pubmsg, h.Nick+"!PUBLIC!sw0reloffer 0 27300 500000000 0 0.0002!newabsoffer 1"); err != nil {
			t.Fatal(err)
		}
	}
	for {
		out, err := exec.CommandContext(ctx, binary, "status", "--json", "--config", config).Output()
		if err != nil {
			t.Fatalf("status: %v", err)
		}
		var r admin.Report
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatalf("status: %v: %s", err, out)
		}
		if n := r.Offers.ByType; r.Located == (admin.Located{Enabled: true, Reachable: 1, Unreachable: 1}) &&
			r.Offers.Total == 4 && n["sw0reloffer"] == 2 && n["other"] == 2 && len(n) == int(wire.NumOfferTypes) {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%+v, %+v: want one peer that is found, one that is not, and two offers of each", r.Located, r.Offers)
		case <-time.After(200 * time.Millisecond):
		}
	}
	reader, err := joinAs(ctx, client, host, wire.Handshake{Nick: readerNick, Network: "mainnet", Features: []string{wire.FeaturePeerlist}})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.conn.Close()
	if err := reader.send(wire.GetPeerlist, ""); err != nil {
		t.Fatal(err)
	}
	_, list, err := reader.next()
	if err != nil {
		t.Fatal(err)
	}
	maker, liar := makerNick+";"+location.String(), liarNick+";"+location.String()
	if !strings.Contains(list, maker+";F:reachable") || !strings.Contains(list, liar) || strings.Contains(list, liar+";F") {
		t.Errorf("the peer list says %q, want %s reachable and %s not", list, makerNick, liarNick)
	}
}
