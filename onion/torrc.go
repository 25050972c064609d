package onion

import (
	"fmt"
	"strings"
)

// option is one line of a torrc.
type option struct{ key, value string }

// torrcQuoter escapes as Tor's unescape_string undoes it.
var torrcQuoter = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// quote makes one word of a value, blanks and '#' included.
func quote(s string) string { return `"` + torrcQuoter.Replace(s) + `"` }

// line is the option as it stands in a torrc. Every value is quoted: an
// unquoted one ends at a '#'.
func (o option) line() string { return o.key + " " + quote(o.value) }

// serviceFeatures are the parts of a service that not every Tor has.
type serviceFeatures struct {
	circuitIDs, pow, introDoS bool
}

// serviceOptions describe the onion service as Tor's HiddenService options.
// HiddenServiceDir comes first: it opens the block.
func serviceOptions(c Config, keyDir, socket string, f serviceFeatures) []option {
	o := []option{
		{"HiddenServiceDir", keyDir},
		{"HiddenServicePort", servicePort(c.VirtualPort, socket)},
	}
	if f.circuitIDs {
		o = append(o, option{"HiddenServiceExportCircuitID", "haproxy"})
	}
	if c.MaxStreams > 0 {
		o = append(o,
			option{"HiddenServiceMaxStreams", fmt.Sprint(c.MaxStreams)},
			option{"HiddenServiceMaxStreamsCloseCircuit", "1"})
	}
	if f.pow {
		o = append(o,
			option{"HiddenServicePoWDefensesEnabled", "1"},
			option{"HiddenServicePoWQueueRate", fmt.Sprint(c.PoWQueueRate)},
			option{"HiddenServicePoWQueueBurst", fmt.Sprint(c.PoWQueueBurst)})
	}
	if f.introDoS {
		o = append(o, option{"HiddenServiceEnableIntroDoSDefense", "1"})
		if c.IntroDoSRate > 0 {
			o = append(o, option{"HiddenServiceEnableIntroDoSRatePerSec", fmt.Sprint(c.IntroDoSRate)})
		}
		if c.IntroDoSBurst > 0 {
			o = append(o, option{"HiddenServiceEnableIntroDoSBurstPerSec", fmt.Sprint(c.IntroDoSBurst)})
		}
	}
	if c.IntroPoints > 0 {
		o = append(o, option{"HiddenServiceNumIntroductionPoints", fmt.Sprint(c.IntroPoints)})
	}
	return o
}

// servicePort is the value of HiddenServicePort for a unix socket.
func servicePort(virtual int, socket string) string {
	return fmt.Sprintf("%d unix:%s", virtual, quote(socket))
}

// onionSocks is the value of SocksPort for a unix socket that leads to onion
// services and nowhere else. Tor makes the socket with mode 0600; that our
// directory may be looked into is openRuntimeDir's business.
func onionSocks(socket string) string {
	return fmt.Sprintf("unix:%s OnionTrafficOnly ExtendedErrors RelaxDirModeCheck", quote(socket))
}

// childTorrc is the whole configuration of a Tor that we start. It listens on
// no port, and on a unix socket for SOCKS only if there is one, and stays off
// the network until told over the control channel, so that no event is missed.
func childTorrc(c Config, dataDir, socks string, service []option) string {
	socksPort := "0"
	if socks != "" {
		socksPort = onionSocks(socks)
	}
	var b strings.Builder
	for _, o := range append([]option{
		{"DataDirectory", dataDir},
		{"SocksPort", socksPort},
		{"ControlPort", "0"},
		{"DisableNetwork", "1"},
		{"AvoidDiskWrites", "1"},
		{"Log", "notice stdout"},
	}, service...) {
		b.WriteString(o.line() + "\n")
	}
	for _, l := range c.ExtraTorrc {
		b.WriteString(l + "\n")
	}
	return b.String()
}
