package onion

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cretz/bine/control"
)

// otherServices is what Tor answers about a service that is not ours, and ours.
var otherServices = []string{
	`HiddenServiceDir=/srv/other`, `HiddenServicePort=80 127.0.0.1:8080`,
	`HiddenServiceDir=/srv/ours`, `HiddenServicePort=5222 unix:"/run/ours"`,
}

const (
	setOthers = `SETCONF HiddenServiceDir="/srv/other" HiddenServicePort="80 127.0.0.1:8080"`
	setOurs   = ` HiddenServiceDir="/srv/ours" HiddenServicePort="5222 unix:\"/run/ours\"" HiddenServicePoWQueueRate="250" HiddenServicePoWQueueBurst="2500"`
)

// testCommands are those of a service with proof of work.
func testCommands(t testing.TB) *commands {
	t.Helper()
	ours := []option{{"HiddenServiceDir", "/srv/ours"}, {"HiddenServicePort", `5222 unix:"/run/ours"`},
		{"HiddenServicePoWQueueRate", "250"}, {"HiddenServicePoWQueueBurst", "2500"}}
	if confWords(ours) != setOurs {
		t.Fatalf("our options are %s", confWords(ours))
	}
	return &commands{Exact: []string{commandInfo + infoCircuits, commandHalt, commandServices}, Dir: "/srv/ours", Sets: setsAnyLimits(ours)}
}

func TestCommandsAreWordForWord(t *testing.T) {
	for line, want := range map[string]bool{
		"GETINFO circuit-status":               true,
		"GETINFO circuit-status ":              false,
		"getinfo circuit-status":               false,
		"GETINFO circuit-status config-text":   false,
		"GETINFO  circuit-status":              false,
		" GETINFO circuit-status":              false,
		"GETINFO circuit-status\x00":           false,
		"GETINFO circuit-status\r":             false,
		"GETINFO \"circuit-status\"":           false,
		"+GETINFO circuit-status":              false,
		"SIGNAL HALT":                          true,
		"SIGNAL DUMP":                          false,
		"CLOSECIRCUIT 26":                      true,
		"CLOSECIRCUIT 4294967295":              true,
		"CLOSECIRCUIT 26 IfUnused":             false,
		"CLOSECIRCUIT":                         false,
		"CLOSECIRCUIT ":                        false,
		"CLOSECIRCUIT -1":                      false,
		"CLOSECIRCUIT 26\nSIGNAL DUMP":         false,
		"CLOSECIRCUIT 00000000000000000000001": false,
		"":                                     false,
		"GUARD {}":                             false,
		setOthers + setOurs:                    true,
		setOthers:                              true,
		strings.Replace(setOthers+setOurs, "250", "9999999999", 1):  true,
		strings.Replace(setOthers+setOurs, `"250"`, `"250 5"`, 1):   false,
		strings.Replace(setOthers+setOurs, `"250"`, `250`, 1):       false,
		setOthers + setOurs + " SocksPort=9050":                     false,
		setOthers + " SocksPort=9050" + setOurs:                     false,
		setOthers + setOurs + setOurs:                               false,
		setOthers + " ":                                             false,
		"SETCONF" + setOurs:                                         false, // the other service would be gone
		"SETCONF":                                                   false,
		commandResetServices:                                        false,
		strings.Replace(setOthers+setOurs, "8080", "22", 1):         false,
		strings.Replace(setOthers+setOurs, "SETCONF", "setconf", 1): false,
		"RE" + setOthers + setOurs:                                  false,
	} {
		c := testCommands(t)
		c.answered(commandServices, otherServices)
		if c.allow(line) != want {
			t.Errorf("%q: allowed %v", line, !want)
		}
	}
}

// TestServicesAreSetOnceAfterTheyWereAskedFor: otherwise what somebody else has changed could be changed back later.
func TestServicesAreSetOnceAfterTheyWereAskedFor(t *testing.T) {
	c := testCommands(t)
	if c.allow(setOthers+setOurs) || c.allow("SETCONF"+setOurs) || c.allow(commandResetServices) {
		t.Error("before Tor was asked")
	}
	for name, answer := range map[string][]string{"an error": nil, "what cannot be read": {`HiddenServiceDir="/srv`}} {
		c.answered(commandServices, answer)
		if c.allow("SETCONF"+setOurs) || c.allow(commandResetServices) {
			t.Errorf("after %s", name)
		}
	}
	c.answered(commandServices, otherServices)
	c.answered(commandHalt, []string{"OK"})
	if !c.allow(setOthers + setOurs) {
		t.Error("not after the answer")
	}
	c.answered(setOthers+setOurs, nil)
	if c.allow(setOthers + setOurs) {
		t.Error("twice")
	}
	c.answered(commandServices, []string{"HiddenServiceOptions"}) // there is none
	if !c.allow("SETCONF"+setOurs) || !c.allow(commandResetServices) || c.allow("SETCONF") {
		t.Error("without others")
	}
}

// passed are the lines that Tor gets of an input, and the refusals. Tor answers about its services, and else nothing that
// counts.
func passed(c *commands, input io.Reader) (lines []string, refusals []refusal, err error) {
	r := newRelay(nil, nil, func(why refusal) { refusals = append(refusals, why) })
	r.commands = c
	err = r.passCommands(input, func(line string) ([]string, error) {
		lines = append(lines, line)
		if line == commandServices {
			return otherServices, nil
		}
		return nil, nil
	})
	return lines, refusals, err
}

func TestEveryLineIsOneCommand(t *testing.T) {
	input := "GETINFO circuit-status\r\nCLOSECIRCUIT 7\n" + // a bare LF is an end for Tor, too
		"+LOADCONF\r\nSocksPort 9050\r\n.\r\n" +
		"CLOSECIRCUIT 7\rSIGNAL DUMP\r\n" +
		"CLOSECIRCUIT 8\x00\r\n" +
		strings.Repeat("x", maxControlLine) + "\r\n" +
		"\r\n" + commandServices + "\r\n" + setOthers + setOurs + "\r\n" + setOthers + setOurs + "\r\n" +
		`SETCONF HiddenServiceDir="a` + "\r\n" +
		"SIGNAL HALT" // without an end
	const no = refusedVerb
	want := []string{"GETINFO circuit-status", "CLOSECIRCUIT 7", no, no, no, no, no, no, no, commandServices, setOthers + setOurs, no, no}
	for name, in := range map[string]io.Reader{
		"at once": strings.NewReader(input), "by bytes": iotest.OneByteReader(strings.NewReader(input)),
		"by halves": iotest.HalfReader(strings.NewReader(input)),
	} {
		lines, refusals, err := passed(testCommands(t), in)
		if !slices.Equal(lines, want) || !errors.Is(err, io.EOF) {
			t.Errorf("%s: Tor gets %q, %v", name, lines, err)
		}
		long := slices.DeleteFunc(refusals, func(r refusal) bool { return r != refusedLong })
		if len(long) != 1 {
			t.Errorf("%s: %d lines are too long", name, len(long))
		}
	}
}

// TestLineAtTheLimitIsPassedOn: as long as Tor takes them.
func TestLineAtTheLimitIsPassedOn(t *testing.T) {
	for size, want := range map[int]bool{maxControlLine: true, maxControlLine + 1: false} {
		line := strings.Repeat("x", size-len("\r\n"))
		lines, _, _ := passed(nil, strings.NewReader(line+"\r\n"))
		if len(lines) != 1 || (lines[0] == line) != want {
			t.Errorf("%d bytes: passed on %v, want %v", size, !want, want)
		}
	}
}

// TestRelayPassesAllUntilItsOrder has a Tor that counts the commands that it gets.
func TestRelayPassesAllUntilItsOrder(t *testing.T) {
	server, toServer := net.Pipe()
	tor, toTor := net.Pipe()
	r := newRelay(toServer, toTor, func(refusal) {})
	ended := make(chan struct{})
	go func() { defer close(ended); r.run() }()
	got := make(chan string, 16)
	torEnded := make(chan struct{})
	go func() {
		defer close(torEnded)
		in := bufio.NewReader(tor)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			got <- strings.TrimSpace(line)
			io.WriteString(tor, "650 EVENT\r\n250+key=\r\n250 not the end\r\n..\r\n.\r\n250 OK\r\n") // its reader may be gone
		}
	}()
	in := bufio.NewReader(server)
	for _, step := range []struct{ send, want string }{
		{"AUTHENTICATE\r\n", "AUTHENTICATE"},
		{"SETCONF DisableNetwork=0\r\n", "SETCONF DisableNetwork=0"},
		{"GUARD {\"Exact\":[\"GETINFO circuit-status\"]}\r\nSETCONF DisableNetwork=0\r\n", refusedVerb},
		{"GETINFO circuit-status\r\n", "GETINFO circuit-status"},
	} {
		if _, err := io.WriteString(server, step.send); err != nil {
			t.Fatal(err)
		}
		if line := <-got; line != step.want {
			t.Errorf("%q: Tor gets %q, want %q", step.send, line, step.want)
		}
		for _, want := range []string{"650 EVENT", "250+key=", "250 not the end", "..", ".", "250 OK"} {
			if line, err := in.ReadString('\n'); err != nil || line != want+"\r\n" {
				t.Fatalf("%q, %v, want %s", line, err, want)
			}
		}
	}
	server.Close()
	<-ended
	<-torEnded // its channel is closed, too
}

// TestOneOrderIsAll: nobody gives himself more later.
func TestOneOrderIsAll(t *testing.T) {
	lines, _, _ := passed(nil, strings.NewReader("GUARD {\"Exact\":[\"SIGNAL HALT\"]}\r\nSIGNAL HALT\r\nGUARD {\"Exact\":[\"SIGNAL DUMP\"]}\r\nSIGNAL DUMP\r\n"))
	if want := []string{"SIGNAL HALT", refusedVerb, refusedVerb}; !slices.Equal(lines, want) {
		t.Errorf("Tor gets %q, want %q", lines, want)
	}
}

// TestOrderThatCannotBeReadEndsTheRelay: nothing may come after it.
func TestOrderThatCannotBeReadEndsTheRelay(t *testing.T) {
	lines, _, err := passed(nil, strings.NewReader("GUARD {\r\nSIGNAL HALT\r\n"))
	if len(lines) > 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("passed on %q, %v", lines, err)
	}
}

func TestAnswersThatCountArePlainOnes(t *testing.T) {
	for text, want := range map[string][]string{
		"250 OK\r\n":                                          {"OK"},
		"250-a=b\r\n250-c=d\r\n250 e=f\r\n":                   {"a=b", "c=d", "e=f"},
		"552 Unrecognized\r\n":                                nil,
		"250-a=b\r\n552 no\r\n":                               nil,
		"250+a=\r\nb\r\n.\r\n250 OK\r\n":                      nil,
		"250-a=b\r\n250+c=\r\n.\r\n250 OK\r\n":                nil,
		"250 " + strings.Repeat("x", maxControlLine) + "\r\n": nil,
		strings.Repeat("250-"+strings.Repeat("x", maxControlLine/4)+"\r\n", 4) + "250 OK\r\n": nil,
	} {
		in := bufio.NewReader(strings.NewReader(text + "650 next\r\n"))
		event, lines, err := readMessage(in)
		if event || err != nil || !slices.Equal(lines, want) {
			t.Errorf("%.40q: event %v, %.40q, %v", text, event, lines, err)
		}
		if event, _, err := readMessage(in); !event || err != nil {
			t.Errorf("%.40q: what comes then is an event: %v, %v", text, event, err)
		}
	}
}

func TestAnswerThatDoesNotEndItsLinesAsTorDoesIsNotGuessedAt(t *testing.T) {
	for _, text := range []string{"250 OK\n", "250+a=\r\n\n.\r\n250 OK\r\n", "250+a=\r\nb\n.\n250 OK\r\n"} {
		if _, lines, err := readMessage(bufio.NewReader(strings.NewReader(text))); !errors.Is(err, errLineEnd) {
			t.Errorf("%q: %q, %v", text, lines, err)
		}
	}
}

// FuzzGuardCommand: whatever comes after the order, Tor gets one command for each line, and none that does more than it should.
func FuzzGuardCommand(f *testing.F) {
	for _, seed := range []string{
		"GETINFO circuit-status\r\nCLOSECIRCUIT 7\r\nSIGNAL HALT\r\n",
		commandServices + "\r\n" + setOthers + setOurs + "\r\n" + commandServices + "\n" + setOthers + "\n",
		commandServices + "\r\n" + setOthers + setOurs + " SocksPort=9050\r\n",
		"+LOADCONF\r\nSocksPort 9050\r\n.\r\n", "CLOSECIRCUIT 7\rSIGNAL DUMP\n", "signal halt\n", "GUARD {}\n", "\x00\n\r\n\n",
		commandServices + "\r\n" + `SETCONF HiddenServiceDir="/srv/other\" HiddenServicePort="80 127.0.0.1:22"` + "\r\n",
	} {
		f.Add([]byte(seed))
	}
	all := testCommands(f)
	limits := regexp.MustCompile(`^[0-9]{1,10}$`)
	f.Fuzz(func(t *testing.T, input []byte) {
		c := *all
		lines, refusals, err := passed(&c, strings.NewReader(string(input)))
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if want := strings.Count(string(input), "\n"); len(lines) != want {
			t.Fatalf("%d commands for %d lines", len(lines), want)
		}
		refused := 0
		for _, line := range lines {
			if line == refusedVerb {
				refused++
				continue
			}
			verb, rest, _ := strings.Cut(line, " ")
			switch {
			case slices.Contains(c.Exact, line):
			case verb == "CLOSECIRCUIT" && limits.MatchString(rest):
			case verb == "SETCONF":
				// A second opinion: what reads the words of an event.
				for key, value := range parseArgs(rest) {
					switch key {
					case "HiddenServiceDir":
						if value != "/srv/other" && value != "/srv/ours" {
							t.Errorf("directory %q", value)
						}
					case "HiddenServicePort":
						if value != "80 127.0.0.1:8080" && value != `5222 unix:"/run/ours"` {
							t.Errorf("port %q", value)
						}
					case "HiddenServicePoWQueueRate", "HiddenServicePoWQueueBurst":
						if !limits.MatchString(value) {
							t.Errorf("limit %q", value)
						}
					default:
						t.Errorf("%s is set to %q", key, value)
					}
				}
			default:
				t.Errorf("passed on: %q", line)
			}
		}
		if refused != len(refusals) {
			t.Errorf("%d lines are refused, %d told", refused, len(refusals))
		}
	})
}

// FuzzGuardAnswer: what Tor says is passed on as it is, and messages begin and end where bine, which reads it then, has them.
func FuzzGuardAnswer(f *testing.F) {
	f.Add([]byte("650 EVENT\r\n250-a=b\r\n250 OK\r\n"))
	f.Add([]byte("250+a=\r\nb\r\n..\r\n.\r\n250 OK\r\n552 no\r\n"))
	f.Add([]byte("250+a=\r\n250 b\r\n"))
	f.Add([]byte("250+\n\n.\n.\n250 \n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		input = input[:bytes.LastIndexByte(input, '\n')+1] // bine takes the end of all for the end of a line
		theirs := control.NewConn(textproto.NewConn(struct {
			io.Reader
			io.WriteCloser
		}{Reader: bytes.NewReader(input)}))
		agree := true // until bine refuses what we do not
		var out strings.Builder
		in := bufio.NewReader(io.TeeReader(strings.NewReader(string(input)), &out))
		for {
			event, lines, err := readMessage(in)
			if agree = agree && !errors.Is(err, errLineEnd); agree {
				r, theirErr := theirs.ReadResponse()
				agree = theirErr == nil
				if agree && (err != nil || event != r.IsAsync() || lines != nil && !slices.Equal(lines, r.DataWithReply())) {
					t.Errorf("event %v, %q, %v; bine reads %+v", event, lines, err, r)
				}
			}
			if err != nil {
				break
			}
			for _, line := range lines {
				if strings.Contains(line, "\n") {
					t.Errorf("a line with an end in it: %q", line)
				}
			}
		}
		if !strings.HasPrefix(string(input), out.String()) {
			t.Error("not passed on as it is")
		}
	})
}
