package store

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// A Sample is one interval of the directory's history, in numbers only.
type Sample struct {
	Start      time.Time     // of the interval, UTC
	Span       time.Duration // its length: a minute, an hour or a day
	Up         time.Duration // of it, the time in which the server ran
	Ready      time.Duration // of it, the time in which clients could reach the directory
	Peers      float64       // mean over Up
	PeersMax   int
	Makers     float64       // mean over Up
	Accepted   uint64        // connections
	Handshakes uint64        // accepted ones
	Public     uint64        // messages forwarded
	Private    uint64        // messages forwarded
	Deliveries uint64        // lines written out
	BytesIn    uint64        // read from connections
	BytesOut   uint64        // written to connections
	Dropped    uint64        // messages
	Refused    uint64        // handshakes
	Evicted    uint64        // connections
	OutboxMax  int           // bytes waiting for all peers, largest seen
	EffortMax  int           // suggested proof-of-work effort, largest seen
	ChecksOK   int           // self-checks that passed
	ChecksBad  int           // self-checks that failed
	CheckMax   time.Duration // slowest passed self-check
}

// merge adds another sample to s, which keeps its interval: times and counts are summed up, means are weighted
// by Up, of the largest the larger one stays. The order in which samples are merged makes no difference.
func (s *Sample) merge(o *Sample) {
	s.Peers = mean(s.Peers, s.Up, o.Peers, o.Up)
	s.Makers = mean(s.Makers, s.Up, o.Makers, o.Up)
	s.Up += o.Up
	s.Ready += o.Ready
	s.PeersMax = max(s.PeersMax, o.PeersMax)
	s.Accepted += o.Accepted
	s.Handshakes += o.Handshakes
	s.Public += o.Public
	s.Private += o.Private
	s.Deliveries += o.Deliveries
	s.BytesIn += o.BytesIn
	s.BytesOut += o.BytesOut
	s.Dropped += o.Dropped
	s.Refused += o.Refused
	s.Evicted += o.Evicted
	s.OutboxMax = max(s.OutboxMax, o.OutboxMax)
	s.EffortMax = max(s.EffortMax, o.EffortMax)
	s.ChecksOK += o.ChecksOK
	s.ChecksBad += o.ChecksBad
	s.CheckMax = max(s.CheckMax, o.CheckMax)
}

// mean of two means with their weights. Of no time at all it is 0.
func mean(a float64, wa time.Duration, b float64, wb time.Duration) float64 {
	switch {
	case wb == 0 && wa == 0:
		return 0
	case wb == 0:
		return a
	case wa == 0:
		return b
	}
	return a + (b-a)*(float64(wb)/(float64(wa)+float64(wb)))
}

// Bounds of what one sample may say. The sum over a day stays in its type.
const (
	maxCount = 1 << 40
	maxTime  = time.Hour
)

// check returns what is wrong with a sample that comes from outside, as an error that wraps ErrInvalid.
func (s *Sample) check() error {
	wrong := func(what string) error { return fmt.Errorf("sample: %w: %s", ErrInvalid, what) }
	if sec := s.Start.Unix(); sec < 0 || sec > maxCount {
		return wrong("Start is out of range")
	}
	if s.Span != 0 && s.Span != time.Minute {
		return wrong("Span is not a minute")
	}
	for _, d := range []time.Duration{s.Up, s.Ready, s.CheckMax} {
		if d < 0 || d > maxTime {
			return wrong("a time is out of range")
		}
	}
	for _, f := range []float64{s.Peers, s.Makers} {
		if !(f >= 0 && f <= maxCount) { // also not a number
			return wrong("a mean is out of range")
		}
	}
	for _, n := range s.numbers() {
		if n > maxCount { // also below 0
			return wrong("a number is out of range")
		}
	}
	return nil
}

// numbers are the integers, in the order of the fields.
func (s *Sample) numbers() [numbers]uint64 {
	return [...]uint64{
		uint64(s.PeersMax), s.Accepted, s.Handshakes, s.Public, s.Private, s.Deliveries, s.BytesIn, s.BytesOut,
		s.Dropped, s.Refused, s.Evicted, uint64(s.OutboxMax), uint64(s.EffortMax), uint64(s.ChecksOK), uint64(s.ChecksBad),
	}
}

const numbers = 15

// A sample of version 1 is: version 1; Peers and Makers as IEEE 754, 8 bytes each, big-endian; and as varints
// (encoding/binary) Up, Ready and CheckMax in nanoseconds, then the integers in the order of the fields. Start is the
// key, Span is that of the bucket.
const (
	sampleVersion = 1
	sampleFixed   = 1 + 8 + 8
)

func (s *Sample) encode() []byte {
	v := append(make([]byte, 0, 128), sampleVersion)
	v = binary.BigEndian.AppendUint64(v, math.Float64bits(s.Peers))
	v = binary.BigEndian.AppendUint64(v, math.Float64bits(s.Makers))
	for _, d := range []time.Duration{s.Up, s.Ready, s.CheckMax} {
		v = binary.AppendUvarint(v, uint64(d))
	}
	for _, n := range s.numbers() {
		v = binary.AppendUvarint(v, n)
	}
	return v
}

// decodeSample reads what encode has made. Errors wrap ErrCorrupt.
func decodeSample(res Resolution, key, v []byte) (*Sample, error) {
	bad := func() (*Sample, error) { return nil, fmt.Errorf("sample %x: %w: %w", key, ErrCorrupt, errRecord) }
	if len(key) != 8 || len(v) < sampleFixed || v[0] != sampleVersion {
		return bad()
	}
	seconds := binary.BigEndian.Uint64(key)
	if seconds > maxCount || seconds%uint64(res.Span()/time.Second) != 0 {
		return bad()
	}
	s := &Sample{
		Start: time.Unix(int64(seconds), 0).UTC(), Span: res.Span(),
		Peers:  math.Float64frombits(binary.BigEndian.Uint64(v[1:])),
		Makers: math.Float64frombits(binary.BigEndian.Uint64(v[9:])),
	}
	var n [3 + numbers]uint64
	v = v[sampleFixed:]
	for i := range n {
		x, length := binary.Uvarint(v)
		if length <= 0 {
			return bad()
		}
		n[i], v = x, v[length:]
	}
	signed := func(x uint64) int {
		if x > math.MaxInt {
			return -1
		}
		return int(x)
	}
	s.Up, s.Ready, s.CheckMax = time.Duration(n[0]), time.Duration(n[1]), time.Duration(n[2]) // too large ones are below 0
	s.PeersMax, s.Accepted, s.Handshakes, s.Public, s.Private = signed(n[3]), n[4], n[5], n[6], n[7]
	s.Deliveries, s.BytesIn, s.BytesOut, s.Dropped, s.Refused, s.Evicted = n[8], n[9], n[10], n[11], n[12], n[13]
	s.OutboxMax, s.EffortMax, s.ChecksOK, s.ChecksBad = signed(n[14]), signed(n[15]), signed(n[16]), signed(n[17])
	if len(v) > 0 || min(s.Up, s.Ready, s.CheckMax) < 0 || !(s.Peers >= 0 && s.Makers >= 0) || math.IsInf(s.Peers+s.Makers, 0) ||
		min(s.PeersMax, s.OutboxMax, s.EffortMax, s.ChecksOK, s.ChecksBad) < 0 {
		return bad()
	}
	return s, nil
}
