package vanity

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkBatch is keys per second of one worker by the steps of a batch; batchSteps was chosen by it.
func BenchmarkBatch(b *testing.B) {
	for _, n := range []int{32, 128, 256, 512, 1024, 2048} {
		b.Run(fmt.Sprintf("steps=%d", n), func(b *testing.B) { benchmark(b, n, "joinmarket") })
	}
}

// BenchmarkPrefixes is the same for more prefixes at once.
func BenchmarkPrefixes(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		var list []string
		for i := range n {
			list = append(list, "joinmarket"+strings.Repeat(string(rune('a'+i%26)), 1+i/26))
		}
		b.Run(fmt.Sprintf("prefixes=%d", n), func(b *testing.B) { benchmark(b, batchSteps, list...) })
	}
}

func benchmark(b *testing.B, steps int, prefixes ...string) {
	var s Search
	w := &worker{prefixes: mustPrefixes(b, prefixes...), batch: newBatch(steps), tried: &s.tried}
	if err := w.begin(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := w.next(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.Tried())/b.Elapsed().Seconds(), "keys/s")
}
