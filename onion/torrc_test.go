package onion

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestServiceOptions(t *testing.T) {
	c, err := Config{Mode: Embedded, StateDir: "/s", MaxStreams: 20}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	lines := func(f serviceFeatures) string {
		var b strings.Builder
		for _, o := range serviceOptions(c, "/k", "/run/a b", f) {
			b.WriteString(o.line() + "\n")
		}
		return b.String()
	}
	const all = `HiddenServiceDir "/k"
HiddenServicePort "5222 unix:\"/run/a b\""
HiddenServiceExportCircuitID "haproxy"
HiddenServiceMaxStreams "20"
HiddenServiceMaxStreamsCloseCircuit "1"
HiddenServicePoWDefensesEnabled "1"
HiddenServicePoWQueueRate "250"
HiddenServicePoWQueueBurst "2500"
HiddenServiceEnableIntroDoSDefense "1"
`
	if got := lines(serviceFeatures{circuitIDs: true, pow: true, introDoS: true}); got != all {
		t.Errorf("all: %s", got)
	}
	c.MaxStreams = 0
	if got := lines(serviceFeatures{}); strings.Count(got, "\n") != 2 {
		t.Errorf("none: %s", got)
	}
	c.IntroDoSRate, c.IntroDoSBurst, c.IntroPoints = 5, 50, 7
	if got := lines(serviceFeatures{}); strings.Count(got, "\n") != 3 || !strings.HasSuffix(got, "HiddenServiceNumIntroductionPoints \"7\"\n") {
		t.Errorf("introduction points: %s", got)
	}
	const dos = `HiddenServiceEnableIntroDoSDefense "1"
HiddenServiceEnableIntroDoSRatePerSec "5"
HiddenServiceEnableIntroDoSBurstPerSec "50"
`
	if got := lines(serviceFeatures{introDoS: true}); !strings.Contains(got, dos) {
		t.Errorf("introduction DoS defence: %s", got)
	}
}

func TestChildTorrcOpensNoPort(t *testing.T) {
	rc := childTorrc(Config{ExtraTorrc: []string{"Extra 1"}}, "/d", "", nil)
	for _, want := range []string{"SocksPort \"0\"\n", "ControlPort \"0\"\n", "DisableNetwork \"1\"\n", "\nExtra 1\n"} {
		if !strings.Contains(rc, want) {
			t.Errorf("%q is missing in %s", want, rc)
		}
	}
	rc = childTorrc(Config{}, "/d", "/r n/s", nil)
	if want := `SocksPort "unix:\"/r n/s\" OnionTrafficOnly`; !strings.Contains(rc, want) || strings.Count(rc, "SocksPort") != 1 {
		t.Errorf("%q is missing in %s", want, rc)
	}
}

func TestQuoteIsUndoneByUnquote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[ -~]*`).Draw(t, "value")
		if got, rest := unquote(quote(s)[1:]); got != s || rest != "" {
			t.Fatalf("%q: %q, rest %q", s, got, rest)
		}
	})
}

func TestAddOnionRequest(t *testing.T) {
	c, err := Config{Mode: External, StateDir: "/s", Control: "unix:/c", MaxStreams: 20}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	var key SecretKey
	blob := key.blob()
	if got, want := addOnionRequest(c, key, "/sock", true), "ADD_ONION "+blob+" Flags=MaxStreamsCloseCircuit MaxStreams=20 PoWDefensesEnabled=1 PoWQueueRate=250 PoWQueueBurst=2500 Port=5222,unix:/sock"; got != want {
		t.Errorf("%s", got)
	}
	c.MaxStreams = 0
	if got, want := addOnionRequest(c, key, "/sock", false), "ADD_ONION "+blob+" Port=5222,unix:/sock"; got != want {
		t.Errorf("%s", got)
	}
}

func TestOtherServicesOfARunningTorAreKept(t *testing.T) {
	lines := []string{
		"HiddenServiceDir=/var/lib/tor/a", "HiddenServicePort=80",
		`HiddenServiceDir="/our dir/"`, "HiddenServicePort=5222", "HiddenServiceExportCircuitID=haproxy",
		"HiddenServiceDir=/var/lib/tor/b", `HiddenServicePort="22 unix:\"/x\""`,
	}
	want := []option{
		{"HiddenServiceDir", "/var/lib/tor/a"}, {"HiddenServicePort", "80"},
		{"HiddenServiceDir", "/var/lib/tor/b"}, {"HiddenServicePort", `22 unix:"/x"`},
	}
	if got, there, err := withoutService(lines, "/our dir"); err != nil || !there || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for value, has := range map[string]bool{"1": true, "0": false} {
		if o := append(want, option{"hiddenservicepowdefensesenabled", value}); havePoW(o) != has {
			t.Errorf("proof of work of %v: %v", o, !has)
		}
	}
	if got, there, err := withoutService([]string{"HiddenServiceOptions"}, "/x"); err != nil || there || len(got) != 0 {
		t.Errorf("none: %v, %v", got, err)
	}
}

func TestConfigRefusesWhatCannotWork(t *testing.T) {
	good := Config{Mode: External, StateDir: "s", Control: "unix:/c"}
	if c, err := good.withDefaults(); err != nil || c.VirtualPort != 5222 || c.PoWQueueRate != 250 || c.PoWQueueBurst != 2500 || !strings.HasSuffix(c.RuntimeDir, "/s/run") {
		t.Errorf("defaults: %+v, %v", c, err)
	}
	for name, set := range map[string]func(*Config){
		"mode":        func(c *Config) { c.Mode = "off" },
		"state":       func(c *Config) { c.StateDir = "" },
		"line end":    func(c *Config) { c.StateDir = "a\nHiddenServicePort 1" },
		"torrc line":  func(c *Config) { c.ExtraTorrc = []string{"a\nb"} },
		"port":        func(c *Config) { c.VirtualPort = 65536 },
		"rate":        func(c *Config) { c.PoWQueueRate = -1 },
		"burst":       func(c *Config) { c.PoWQueueBurst = 1 },
		"DoS rate":    func(c *Config) { c.IntroDoSRate = -1 },
		"DoS burst":   func(c *Config) { c.IntroDoSBurst = 24 },
		"DoS default": func(c *Config) { c.IntroDoSRate = 201 },
		"intros":      func(c *Config) { c.IntroPoints = 21 },
		"few intros":  func(c *Config) { c.IntroPoints = 2 },
		"streams":     func(c *Config) { c.MaxStreams = 65536 },
		"no control":  func(c *Config) { c.Control = "" },
		"nul in path": func(c *Config) { c.RuntimeDir = "a\x00b" },
	} {
		c := good
		set(&c)
		if _, err := c.withDefaults(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]struct {
		refused, warned bool
	}{
		"Tor version 0.4.9.11.":                    {},
		"0.4.8.17":                                 {},
		"Tor version 0.4.8.16 (git-abcdef).":       {warned: true},
		"0.4.8.1-alpha":                            {warned: true},
		"Tor version 0.4.7.16.":                    {refused: true},
		"Tor 0.3.5.14-dev":                         {refused: true},
		"0.5.0.1-alpha-dev (git-0123456789abcdef)": {},
	} {
		advice, err := checkVersion(text)
		if errors.Is(err, ErrTorTooOld) != want.refused || (advice != "") != want.warned {
			t.Errorf("%s: advice %q, err %v", text, advice, err)
		}
	}
	if _, err := checkVersion("no number"); err == nil {
		t.Error("no version accepted")
	}
}
