package server

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jm-directory-server/server/wire"
)

func TestFrameIsReusedOnlyAfterItsLastReference(t *testing.T) {
	fr, err := newFrame(wire.Pubmsg, []byte("a!PUBLIC!b"), 1)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":687,"line":"a!PUBLIC!b"}` + "\r\n"
	b := fr.b
	fr.hold(2)
	fr.release()
	fr.release()
	if string(b) != want {
		t.Fatalf("frame changed to %q while it is held", b)
	}
	fr.release()
	if string(b) == want {
		t.Error("frame is still readable after its last release: tests cannot see a use after it")
	}
	defer func() {
		if recover() == nil {
			t.Error("released once too often, and nobody noticed")
		}
	}()
	fr.release()
}

func TestFrameAboveTheLimitIsRefused(t *testing.T) {
	if _, err := newFrame(wire.Pubmsg, bytes.Repeat([]byte("x"), wire.MaxLine), 1); err == nil {
		t.Error("a frame above the limit was made")
	}
	if _, err := newFrame(wire.Pubmsg, bytes.Repeat([]byte{1}, 7000), 1); err == nil {
		t.Error("a frame that escapes make too long was made")
	}
	fr, err := newFrame(wire.Pubmsg, []byte(strings.Repeat("x", wire.MaxLine-len(`{"type":687,"line":""}`))), 1)
	if err != nil || len(fr.b) != wire.MaxLine+2 {
		t.Errorf("the longest frame: %v", err)
	}
	fr.release()
}

// TestOutboxKeepsOrderAndCountsBytes fills, writes in arbitrary parts and empties an outbox.
func TestOutboxKeepsOrderAndCountsBytes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var o outbox
		var v vector
		var want, got []byte
		r.Repeat(map[string]func(*rapid.T){
			"push": func(r *rapid.T) {
				fr, err := newFrame(wire.Pubmsg, []byte(rapid.StringN(0, 50, 2000).Draw(r, "line")), 1)
				if err != nil {
					r.Skip("not a line")
				}
				want = append(want, fr.b...)
				o.frames.push(fr, 1)
				o.bytes += len(fr.b)
			},
			"write": func(r *rapid.T) {
				v.fill(&o)
				if v.n == 0 {
					return
				}
				n := rapid.IntRange(0, v.bytes).Draw(r, "written")
				left := n
				v.each(func(b []byte) {
					k := min(left, len(b))
					got = append(got, b[:k]...)
					left -= k
				})
				v.clear()
				o.advance(n, &v)
			},
			"shrink": func(*rapid.T) { o.frames.shrink() },
			"": func(r *rapid.T) {
				if o.bytes != len(want)-len(got) {
					r.Fatalf("outbox says %d bytes, %d wait", o.bytes, len(want)-len(got))
				}
				if !bytes.HasPrefix(want, got) {
					r.Fatalf("written bytes differ")
				}
			},
		})
		o.discard()
	})
}
