package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCutLineTakesLFWithOrWithoutOneCR(t *testing.T) {
	for _, c := range []struct {
		in   string
		line string
		n    int
	}{
		{"", "", 0},
		{"a", "", 0},
		{"a\r", "", 0},
		{"\n", "", 1},
		{"\r\n", "", 2},
		{"a\n", "a", 2},
		{"a\r\n", "a", 3},
		{"a\r\r\n", "a\r", 4},
		{"a\rb\r\n", "a\rb", 5},
		{"a\nb\n", "a", 2},
		{"\na\n", "", 1},
	} {
		line, n, err := CutLine([]byte(c.in), 0)
		if string(line) != c.line || n != c.n || err != nil {
			t.Errorf("%q: %q, %d, %v, want %q, %d", c.in, line, n, err, c.line, c.n)
		}
	}
}

func TestCutLineHoldsTheLimitBeforeAndAfterTheDelimiter(t *testing.T) {
	a := strings.Repeat("a", MaxLine)
	for _, c := range []struct {
		name string
		in   string
		n    int
		err  error
	}{
		{"longest, no delimiter yet", a, 0, nil},
		{"longest and a CR", a + "\r", 0, nil},
		{"longest and CRLF", a + "\r\n", MaxLine + 2, nil},
		{"longest and LF", a + "\n", MaxLine + 1, nil},
		{"longest, CR inside it", a[1:] + "\r\n", MaxLine + 1, nil},
		{"one more", a + "a", 0, ErrTooLong},
		{"one more and LF", a + "a\n", 0, ErrTooLong},
		{"one more and CRLF", a + "a\r\n", 0, ErrTooLong},
		{"a CR that is no delimiter", a + "\ra", 0, ErrTooLong},
		{"two CR", a + "\r\r", 0, ErrTooLong},
		{"two CR and LF", a + "\r\r\n", 0, ErrTooLong},
		{"LF far behind", a + a + "\n", 0, ErrTooLong},
		{"a short line, then a flood", "x\n" + a + a, 2, nil},
	} {
		line, n, err := CutLine([]byte(c.in), 0)
		if n != c.n || !errors.Is(err, c.err) || len(line) > MaxLine {
			t.Errorf("%s: %d bytes, n %d, %v, want n %d, %v", c.name, len(line), n, err, c.n, c.err)
		}
	}
}

// A line that arrives in pieces is the line that arrives at once, and from, given as it must be, changes nothing.
func TestCutLineOfPiecesIsCutLineOfTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return strings.Repeat(rapid.SampledFrom([]string{"", "a", "\r", "ab\r", "x"}).Draw(t, "unit"),
				rapid.SampledFrom([]int{1, 3, 13_333, 20_000, MaxLine, MaxLine + 1}).Draw(t, "count")) +
				rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "delimiter")
		}), 1, 4).Draw(t, "lines")
		stream := []byte(strings.Join(lines, ""))
		want, wantErr := cutAll(stream)

		var got [][]byte
		var gotErr error
		var buf []byte
		scanned := 0
		for rest := stream; len(rest) > 0 && gotErr == nil; {
			size := min(len(rest), rapid.SampledFrom([]int{1, 100, 4096, 39_999, 65_536}).Draw(t, "piece"))
			if len(stream) > 200 && size == 1 {
				size = min(len(rest), 997)
			}
			buf = append(buf, rest[:size]...)
			rest = rest[size:]
			for {
				line, n, err := CutLine(buf, scanned)
				if gotErr = err; err != nil {
					break
				}
				if n == 0 {
					scanned = len(buf)
					break
				}
				got = append(got, bytes.Clone(line))
				buf, scanned = buf[n:], 0
			}
		}
		if len(got) != len(want) || !errors.Is(gotErr, wantErr) {
			t.Fatalf("%d lines, %v, want %d, %v", len(got), gotErr, len(want), wantErr)
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("line %d differs", i)
			}
		}
	})
}

func TestLineOfADirectoryEndsAsTheStrictestClientHasIt(t *testing.T) {
	longest := strings.Repeat("a", MaxLine)
	for _, c := range []struct {
		in    string
		lines []string
		err   error
	}{
		{"", nil, nil},
		{"a\r\n\r\nb\r\n", []string{"a", "", "b"}, nil},
		{"a\r\nb\n", []string{"a"}, ErrNoCRLF},
		{"\n\r\n", nil, ErrNoCRLF},
		{"a\r\nb", []string{"a"}, io.ErrUnexpectedEOF},
		{"a\r", nil, io.ErrUnexpectedEOF},
		{longest + "\r\n", []string{longest}, nil},
		{longest + "a\r\n", nil, ErrTooLong},
	} {
		s := bufio.NewScanner(strings.NewReader(c.in))
		s.Buffer(nil, MaxLine+3)
		s.Split(SplitLine)
		var lines []string
		for s.Scan() {
			lines = append(lines, s.Text())
		}
		if !slices.Equal(lines, c.lines) || !errors.Is(s.Err(), c.err) {
			t.Errorf("%.20q: %.20q, %v, want %.20q, %v", c.in, lines, s.Err(), c.lines, c.err)
		}
	}
}

// cutAll is CutLine by splitting the whole stream.
func cutAll(stream []byte) (lines [][]byte, err error) {
	for {
		line, rest, ok := bytes.Cut(stream, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) > MaxLine {
			return lines, ErrTooLong
		}
		if !ok {
			return lines, nil
		}
		lines = append(lines, line)
		stream = rest
	}
}

func FuzzCutLine(f *testing.F) {
	f.Add([]byte("{\"type\":798,\"line\":\"\"}\r\n"), 0)
	f.Add([]byte("a\r\r\nb"), 2)
	f.Add([]byte(strings.Repeat("a", MaxLine)+"\r"), 7)
	f.Add([]byte(strings.Repeat("a", MaxLine)+"\r\n"), 40_001)
	f.Add([]byte(strings.Repeat("a", MaxLine+1)+"\n"), 0)
	f.Fuzz(func(t *testing.T, buf []byte, from int) {
		line, n, err := CutLine(buf, 0)
		want, wantErr := cutAll(buf)
		switch {
		case err != nil:
			if len(want) > 0 || wantErr == nil || n != 0 || line != nil {
				t.Fatalf("refused %d bytes whose first line is legal", len(buf))
			}
		case n == 0:
			if len(want) > 0 {
				t.Fatal("a line is not seen")
			}
		case len(want) == 0 || !bytes.Equal(line, want[0]) || buf[n-1] != '\n' || len(line) < n-2:
			t.Fatalf("line %.40q, n %d", line, n)
		}
		// Whatever from is, nothing goes out of bounds; where it tells the truth, it changes nothing.
		line2, n2, err2 := CutLine(buf, from)
		if lf := bytes.IndexByte(buf, '\n'); from <= lf || lf < 0 {
			if !bytes.Equal(line, line2) || n != n2 || !errors.Is(err2, err) {
				t.Fatalf("from %d: n %d, %v, want %d, %v", from, n2, err2, n, err)
			}
		}
	})
}
