package main

import (
	"os"
	"strings"

	"github.com/sirupsen/logrus"

	"jm-directory-server/onion"
)

// onion returns what package onion is told; not for tor.mode "off".
func (c *Config) onion(log logrus.FieldLogger, progress func(onion.Progress)) onion.Config {
	return onion.Config{
		Mode:            onion.Mode(c.Tor.Mode),
		StateDir:        c.StateDir,
		RuntimeDir:      c.RuntimeDir,
		Credential:      keyCredential(os.Getenv),
		Ephemeral:       c.Tor.Ephemeral,
		VirtualPort:     c.Tor.Port,
		TorPath:         c.Tor.Path,
		Control:         c.Tor.Control,
		ControlPassword: c.Tor.ControlPassword,
		PoW:             c.Tor.PoW,
		PoWQueueRate:    c.Tor.PoWQueueRate,
		PoWQueueBurst:   c.Tor.PoWQueueBurst,
		IntroDoSDefense: c.Tor.IntroDoSDefense,
		IntroDoSRate:    c.Tor.IntroDoSRate,
		IntroDoSBurst:   c.Tor.IntroDoSBurst,
		IntroPoints:     c.Tor.IntroPoints,
		MaxStreams:      c.Tor.MaxStreams,
		Socks:           true,
		ExtraTorrc:      c.Tor.Torrc,
		Confine:         c.confine(),
		JSONAlarm:       c.Log.Format == "json",
		Log:             func(level, msg string) { logTor(log, level, msg) },
		Progress:        progress,
	}
}

// toldAsAdvice are warnings that Tor repeats for every connection that fails while it starts. Progress.Advice
// says the same once, with what to do.
var toldAsAdvice = []string{"Problem bootstrapping.", "connections have failed:", "connections died in state "}

// logTor passes on a line of Tor's log. Its notices are for debugging here, and so are warnings that come as
// advice: what an operator wants of them comes as progress.
func logTor(log logrus.FieldLogger, level, msg string) {
	for _, told := range toldAsAdvice {
		if level == "warn" && strings.Contains(msg, told) {
			level = "told as advice"
		}
	}
	switch level {
	case "err":
		log.Error("tor: " + msg)
	case "warn":
		log.Warn("tor: " + msg)
	default:
		log.WithField("tor_level", level).Debug("tor: " + msg)
	}
}
