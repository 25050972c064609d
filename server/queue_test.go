package server

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type ticket struct{ number, at int }

func (t *ticket) before(other *ticket) bool { return t.number < other.number }
func (t *ticket) place() *int               { return &t.at }

// TestQueueServesInOrderWhoeverLeaves compares a queue with a list that is searched.
func TestQueueServesInOrderWhoeverLeaves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue[*ticket]
		var here, gone []*ticket
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				e := &ticket{number: rapid.IntRange(0, 20).Draw(t, "number")}
				q.add(e)
				here = append(here, e)
			},
			"next": func(t *rapid.T) {
				if len(here) == 0 {
					t.Skip("empty")
				}
				e := q.next()
				first := slices.MinFunc(here, func(a, b *ticket) int { return a.number - b.number })
				if e.number != first.number {
					t.Fatalf("%d came before %d", e.number, first.number)
				}
				here = slices.DeleteFunc(here, func(other *ticket) bool { return other == e })
				gone = append(gone, e)
			},
			"remove": func(t *rapid.T) {
				if len(here) == 0 {
					t.Skip("empty")
				}
				e := rapid.SampledFrom(here).Draw(t, "who")
				if !q.remove(e) {
					t.Fatalf("%d, which waits, is not there", e.number)
				}
				here = slices.DeleteFunc(here, func(other *ticket) bool { return other == e })
				gone = append(gone, e)
			},
			"": func(t *rapid.T) {
				if len(q) != len(here) {
					t.Fatalf("%d wait, not %d", len(q), len(here))
				}
				for i, e := range q {
					if e.at != i || !slices.Contains(here, e) {
						t.Fatalf("place %d has %d, which is at %d", i, e.number, e.at)
					}
				}
				for _, e := range gone {
					if e.at != -1 || q.remove(e) {
						t.Fatalf("%d has left, and is at %d", e.number, e.at)
					}
				}
			},
		})
	})
}
