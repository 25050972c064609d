package onion

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

const (
	// maxControlLine is how long a line of the control protocol may be, its end included, in bytes: Tor's own limit
	// (MAX_COMMAND_LINE_LENGTH of its control.c), and for what is kept of one answer.
	maxControlLine = 1 << 20
	// orderVerb begins the line that tells a relay what it passes on from then on. Tor does not see it.
	orderVerb = "GUARD "
	// refusedVerb is what Tor gets in the place of a command that is not passed on, and does not know either: its answer
	// (510) is the one to that command.
	refusedVerb = "REFUSED_BY_THE_GUARD"
)

// A refusal is why a command is not passed on.
type refusal string

const (
	refusedLong    refusal = "too long"
	refusedUnknown refusal = "none of the server's"
)

// A relay stands between a server and its Tor (control-spec, "Message format"). It passes commands on, all of them until it
// is told which, one at a time: the next when the last is answered. What Tor says is passed on as it is.
type relay struct {
	server, tor net.Conn
	refused     func(refusal)

	commands *commands // nil: all
	answers  chan []string
	ended    chan struct{}
	once     sync.Once
}

func newRelay(server, tor net.Conn, refused func(refusal)) *relay {
	return &relay{server: server, tor: tor, refused: refused, answers: make(chan []string), ended: make(chan struct{})}
}

// run passes on until one side has ended, and then closes both.
func (r *relay) run() {
	var work sync.WaitGroup
	work.Go(func() { defer r.end(); r.passCommands(r.server, r.ask) })
	work.Go(func() { defer r.end(); r.passAnswers() })
	work.Wait()
}

func (r *relay) end() {
	r.once.Do(func() {
		close(r.ended)
		r.server.Close()
		r.tor.Close()
	})
}

var errRelayEnded = errors.New("the other side has ended")

// ask sends one command to Tor and waits for the whole answer.
func (r *relay) ask(command string) ([]string, error) {
	if _, err := io.WriteString(r.tor, command+"\r\n"); err != nil {
		return nil, err
	}
	select {
	case answer := <-r.answers:
		return answer, nil
	case <-r.ended:
		return nil, errRelayEnded
	}
}

// passCommands reads commands, each of one line, until an error. One of several lines ("+") is none that a server of ours
// sends; its lines are refused one by one.
func (r *relay) passCommands(server io.Reader, ask func(command string) ([]string, error)) error {
	in := bufio.NewReader(server)
	for {
		line, long, err := readLine(in)
		if err != nil {
			return err
		}
		line = strings.TrimSuffix(line, "\r")
		if order, ok := strings.CutPrefix(line, orderVerb); ok && r.commands == nil {
			if r.commands, err = parseCommands(order); err != nil {
				return err
			}
			continue
		}
		if why := r.refuse(line, long); why != "" {
			r.refused(why)
			line = refusedVerb
		}
		answer, err := ask(line)
		if err != nil {
			return err
		}
		if r.commands != nil {
			r.commands.answered(line, answer)
		}
	}
}

// refuse is why a line is not passed on; "": it is.
func (r *relay) refuse(line string, long bool) refusal {
	switch {
	case long:
		return refusedLong
	case r.commands != nil && !r.commands.allow(line):
		return refusedUnknown
	default:
		return ""
	}
}

// passAnswers reads what Tor says until an error. Every byte is passed on as it is read.
func (r *relay) passAnswers() error {
	in := bufio.NewReader(io.TeeReader(r.tor, r.server))
	for {
		event, lines, err := readMessage(in)
		if err != nil {
			return err
		}
		if event {
			continue
		}
		select {
		case r.answers <- lines:
		case <-r.ended:
			return errRelayEnded
		}
	}
}

// readMessage reads a message of Tor and says whether it is an event. The lines are those of an answer, without their
// status 250; nil if it has another status, lines of data, or more than maxControlLine bytes.
func readMessage(in *bufio.Reader) (event bool, lines []string, err error) {
	plain, size := true, 0
	for {
		line, long, err := readAnswerLine(in)
		if err != nil {
			return false, nil, err
		}
		if len(line) < 4 {
			return false, nil, fmt.Errorf("tor says %q", line)
		}
		status, kind, text := line[:3], line[3], line[4:]
		size += len(line)
		plain = plain && status == "250" && kind != '+' && !long && size <= maxControlLine
		if plain {
			lines = append(lines, text)
		}
		for kind == '+' && line != "." {
			if line, _, err = readAnswerLine(in); err != nil {
				return false, nil, err
			}
		}
		if kind == ' ' {
			if !plain {
				lines = nil
			}
			return status == "650", lines, nil
		}
	}
}

// errLineEnd: Tor ends each of its lines with CR and LF. Where it does not, readers differ about which line is the last.
var errLineEnd = errors.New("tor ends a line without CR")

// readAnswerLine reads a line of Tor's.
func readAnswerLine(in *bufio.Reader) (line string, long bool, err error) {
	line, long, err = readLine(in)
	if err != nil || long {
		return line, long, err
	}
	line, ok := strings.CutSuffix(line, "\r")
	if !ok {
		return "", false, errLineEnd
	}
	return line, false, nil
}

// readLine reads a line and returns it without its LF; of a long one, only the beginning.
func readLine(in *bufio.Reader) (line string, long bool, err error) {
	var b []byte
	for {
		part, err := in.ReadSlice('\n')
		kept := part[:min(len(part), maxControlLine-len(b))]
		b = append(b, kept...)
		long = long || len(kept) < len(part)
		switch {
		case err == nil:
			return strings.TrimSuffix(string(b), "\n"), long, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", false, err
		}
	}
}
