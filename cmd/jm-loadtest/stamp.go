package main

import "encoding/binary"

// A stamp is what each message of a measurement carries, in a fixed place, so that a receiver can tell what it
// is without understanding the rest.
type stamp struct {
	phase  uint32 // which measurement; what belongs to another one is not counted
	sender uint32 // number of the sender in that measurement
	slot   uint32 // number of the place in the window, or of the pair
	seq    uint32 // of that sender, from 0
	time   int64  // ns since the start of the program, when it was sent or was due
}

// stampLen is the length of a stamp as text: hex, and as long as the commitment that stands there in real
// messages (protocol.md 6.1, hp2).
const stampLen = 64

// put writes the stamp over the first stampLen bytes of dst. It MUST NOT allocate.
func (s stamp) put(dst []byte) {
	dst = dst[:stampLen]
	putHex(dst[0:8], s.phase)
	putHex(dst[8:16], s.sender)
	putHex(dst[16:24], s.slot)
	putHex(dst[24:32], s.seq)
	putHex(dst[32:40], uint32(uint64(s.time)>>32))
	putHex(dst[40:48], uint32(uint64(s.time)))
	putHex(dst[48:56], 0)
	putHex(dst[56:64], s.sum())
}

// parseStamp reads the first stampLen bytes of b. It fails when they are not what put has written. It MUST NOT
// allocate: it runs once for each delivery.
func parseStamp(b []byte) (s stamp, ok bool) {
	b = b[:stampLen]
	s.phase = hex(b[0:8])
	s.sender = hex(b[8:16])
	s.slot = hex(b[16:24])
	s.seq = hex(b[24:32])
	s.time = int64(uint64(hex(b[32:40]))<<32 | uint64(hex(b[40:48])))
	return s, hex(b[56:64]) == s.sum()
}

// sum tells a stamp from other hex digits, and from one that was damaged.
func (s stamp) sum() uint32 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio: spreads the bits
	x := uint64(s.phase)<<32 | uint64(s.sender)
	x = (x ^ uint64(s.time)) * odd
	x = (x ^ x>>29 ^ uint64(s.slot)<<32 ^ uint64(s.seq)) * odd
	return uint32(x >> 32)
}

// putHex writes eight lower-case hex digits.
func putHex(dst []byte, v uint32) {
	const digits = "0123456789abcdef"
	_ = dst[7]
	for i := range 8 {
		dst[i] = digits[v>>(28-4*i)&15]
	}
}

// hex reads eight lower-case hex digits, all at once: a digit's value is in its low four bits, a letter's is that
// plus 9. What other characters give is for the sum to find.
func hex(b []byte) uint32 {
	x := binary.BigEndian.Uint64(b)
	x = x&0x0f0f0f0f0f0f0f0f + 9*(x>>6&0x0101010101010101)
	x = (x | x>>4) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16)
}
