// Package vectors reads the protocol's machine-readable cases in server/wire/testdata/vectors, for the tests of any package
// of this module. Their README describes the files.
package vectors

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A Record is what every record has. Embed it in the type of a file's records.
type Record struct {
	Name   string `json:"name"`   // unique in its file
	Reason string `json:"reason"` // what the record is about

	Text *string `json:"bytes"`     // UTF-8, with the delimiter
	Hex  *string `json:"bytes_hex"` // bytes that are no text
	Make *Make   `json:"make"`      // bytes that are long
}

// Make describes long input: Prefix, Count times Fill, Suffix.
type Make struct {
	Prefix string `json:"prefix"` // once
	Fill   string `json:"fill"`   // Count times
	Count  int    `json:"count"`  // of Fill
	Suffix string `json:"suffix"` // once, with the delimiter if there is one
}

// Wire returns the bytes of the record, in whichever way it gives them. A record without any, and one that is
// ambiguous, fails the test.
func (r Record) Wire(tb testing.TB) []byte {
	tb.Helper()
	var found [][]byte
	if r.Text != nil {
		found = append(found, []byte(*r.Text))
	}
	if r.Hex != nil {
		b, err := hex.DecodeString(*r.Hex)
		if err != nil {
			tb.Fatalf("vector %s: bytes_hex: %v", r.Name, err)
		}
		found = append(found, b)
	}
	if r.Make != nil {
		found = append(found, []byte(r.Make.Prefix+strings.Repeat(r.Make.Fill, r.Make.Count)+r.Make.Suffix))
	}
	if len(found) != 1 {
		tb.Fatalf("vector %s gives its bytes in %d ways, want 1", r.Name, len(found))
	}
	return found[0]
}

// Load reads all records of a file, as "envelopes.jsonl". A file that is missing, empty or malformed fails the test.
func Load[T any](tb testing.TB, file string) []T {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(Dir(tb), file))
	if err != nil {
		tb.Fatalf("vectors: %v", err)
	}
	var records []T
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, len(b)+1)
	for n := 1; lines.Scan(); n++ {
		var r T
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			tb.Fatalf("vectors: %s:%d: %v", file, n, err)
		}
		records = append(records, r)
	}
	if len(records) == 0 {
		tb.Fatalf("vectors: %s has no records", file)
	}
	return records
}

// Dir returns the directory of the vectors. It looks upwards from the directory that the test runs in.
func Dir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatalf("vectors: %v", err)
	}
	for {
		vectors := filepath.Join(dir, "server", "wire", "testdata", "vectors")
		if _, err := os.Stat(vectors); err == nil {
			return vectors
		}
		up := filepath.Dir(dir)
		if up == dir {
			tb.Fatal("vectors: not inside the module")
		}
		dir = up
	}
}
