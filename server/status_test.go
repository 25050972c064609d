package server

import "testing"

// BenchmarkStatus is what a look at a full directory costs it.
func BenchmarkStatus(b *testing.B) {
	s := newServer(b, func(o *Options) { unlimited(o); o.MaxPeers = 10_000 })
	addPeers(b, s, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if st := s.Status(); st.Peers != 10_000 {
			b.Fatalf("%d peers", st.Peers)
		}
	}
}
