package vanity

import (
	"encoding/binary"
	"math/big"
	"slices"
	"sync"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// A point is one of the curve -x² + y² = 1 + dx²y² in affine coordinates, with
// their product.
type point struct{ x, y, xy field.Element }

// affine normalises a point.
func affine(p *edwards25519.Point) point {
	X, Y, Z, _ := p.ExtendedCoordinates()
	var q point
	inverse := new(field.Element).Invert(Z)
	q.x.Multiply(X, inverse)
	q.y.Multiply(Y, inverse)
	q.xy.Multiply(&q.x, &q.y)
	return q
}

// steps are the differences that every batch adds to its centre: i·8B for i
// from 1 to n, and the way from one centre to the next, (2n+1)·8B.
type steps struct {
	table []point
	next  point
}

var stepTables sync.Map // by their n

func stepsOf(n int) *steps {
	if s, ok := stepTables.Load(n); ok {
		return s.(*steps)
	}
	eight := new(edwards25519.Point).MultByCofactor(edwards25519.NewGeneratorPoint())
	s := &steps{table: make([]point, n)}
	p := new(edwards25519.Point).Set(eight)
	for i := range s.table {
		s.table[i] = affine(p)
		p.Add(p, eight)
	}
	last := new(edwards25519.Point).Subtract(p, eight) // n·8B
	s.next = affine(p.Add(p, last))                    // (n+1)·8B + n·8B
	stepTables.Store(n, s)
	return s
}

// A batch is a window of 2n+1 keys around a centre, which moves on in steps of
// its own width. All its points share one inversion (Montgomery's trick).
//
// P ± Q share their numerator's and denominator's terms. With a = -1 the dual
// addition formulas (Hisil, Wong, Carter, Dawson 2008, 3.1) are
//
//	y(P±Q) = (x₁y₁ ∓ x₂y₂) / (x₁y₂ ∓ y₁x₂)
//	x(P±Q) = (x₁y₁ ± x₂y₂) / (y₁y₂ ∓ x₁x₂)
//
// and x is needed of the centres only: 5 multiplications for each key.
type batch struct {
	steps  *steps
	centre point
	dens   []field.Element // denominators, two for each step, then two of the next centre
	prods  []field.Element // products of all denominators before
	ys     []field.Element // of centre + table[i] at 2i, of centre - table[i] at 2i+1
}

func newBatch(n int) *batch {
	return &batch{
		steps: stepsOf(n),
		dens:  make([]field.Element, 2*n+2),
		prods: make([]field.Element, 2*n+2),
		ys:    make([]field.Element, 2*n),
	}
}

// width is how many keys a batch is.
func (b *batch) width() int { return len(b.ys) + 1 }

// compute fills ys and returns the next centre. It is false where the dual
// formulas have no answer: when the centre is a small multiple of 8B, or one
// such away from it. It must not allocate.
func (b *batch) compute() (next point, ok bool) {
	n := len(b.steps.table)
	c := &b.centre
	var product, u, v field.Element
	product.One()
	for i := range b.steps.table {
		t := &b.steps.table[i]
		u.Multiply(&c.x, &t.y)
		v.Multiply(&c.y, &t.x)
		b.dens[2*i].Subtract(&u, &v)
		b.dens[2*i+1].Add(&u, &v)
		b.prods[2*i] = product
		product.Multiply(&product, &b.dens[2*i])
		b.prods[2*i+1] = product
		product.Multiply(&product, &b.dens[2*i+1])
	}
	t := &b.steps.next
	u.Multiply(&c.x, &t.y)
	v.Multiply(&c.y, &t.x)
	b.dens[2*n].Subtract(&u, &v)
	u.Multiply(&c.y, &t.y)
	v.Multiply(&c.x, &t.x)
	b.dens[2*n+1].Subtract(&u, &v)
	for i := 2 * n; i < 2*n+2; i++ {
		b.prods[i] = product
		product.Multiply(&product, &b.dens[i])
	}
	var zero, inverse, one field.Element
	if product.Equal(&zero) == 1 {
		return point{}, false
	}
	inverse.Invert(&product)
	// From here on inverse is that of the product of dens[0..i].
	one.Multiply(&inverse, &b.prods[2*n+1])
	u.Add(&c.xy, &t.xy)
	next.x.Multiply(&u, &one)
	inverse.Multiply(&inverse, &b.dens[2*n+1])
	one.Multiply(&inverse, &b.prods[2*n])
	u.Subtract(&c.xy, &t.xy)
	next.y.Multiply(&u, &one)
	inverse.Multiply(&inverse, &b.dens[2*n])
	next.xy.Multiply(&next.x, &next.y)
	for i := n - 1; i >= 0; i-- {
		t := &b.steps.table[i]
		one.Multiply(&inverse, &b.prods[2*i+1])
		u.Add(&c.xy, &t.xy)
		b.ys[2*i+1].Multiply(&u, &one)
		inverse.Multiply(&inverse, &b.dens[2*i+1])
		one.Multiply(&inverse, &b.prods[2*i])
		u.Subtract(&c.xy, &t.xy)
		b.ys[2*i].Multiply(&u, &one)
		inverse.Multiply(&inverse, &b.dens[2*i])
	}
	return next, true
}

// step is the number of 8B from the centre to the key whose y is ys[i].
func step(i int) int64 {
	if i%2 == 0 {
		return int64(i/2 + 1)
	}
	return -int64(i/2 + 1)
}

// head is the first 64 bits of the address of a key with this y. The sign of x
// is bit 248 and not among them.
func head(y *field.Element) uint64 { return binary.BigEndian.Uint64(y.Bytes()) }

// advance is the scalar with 8·n added, as a number and not modulo the order of
// the group; false if it would not be a clamped scalar any more.
func advance(scalar [32]byte, n int64) ([32]byte, bool) {
	reverse(&scalar) // big.Int is big-endian
	v := new(big.Int).SetBytes(scalar[:])
	v.Add(v, new(big.Int).Lsh(big.NewInt(n), 3))
	if v.Sign() < 0 || v.BitLen() != 255 { // bit 254 is set and bit 255 is not
		return [32]byte{}, false
	}
	v.FillBytes(scalar[:])
	reverse(&scalar)
	return scalar, true
}

func reverse(s *[32]byte) { slices.Reverse(s[:]) }
