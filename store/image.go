package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
)

// The layout of a bbolt file, version 2 (internal/common of go.etcd.io/bbolt). Numbers have the byte order of
// the machine.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader    = 16 // id 8, flags 2, count 2, overflow 4
	metaLength    = 64 // magic 4, version 4, page size 4, flags 4, root 8, sequence 8, freelist 8, pages 8, txid 8, sum 8
	elementLength = 16 // branch: pos 4, key 4, page 8; leaf: flags 4, pos 4, key 4, value 4
	bucketHeader  = 16 // root 8, sequence 8

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10
	bucketFlag   = 0x01

	maxBuckets = 2 // the root, and ours in it
)

var order = binary.NativeEndian

// An image is the content of a file while it is checked.
type image struct {
	data     []byte
	pageSize uint64
	pages    uint64 // those from here on are not in use
	used     []bool // by page: something leads to it
}

// checkImage checks everything that bbolt relies on without looking: that each page is what leads to it says,
// lies in the file and is led to once, that elements lie in their page and keys are in order, and that free pages are
// free. Pages that nothing leads to are harmless. The error wraps ErrCorrupt.
func checkImage(data []byte) error {
	im := &image{data: data}
	root, freelist, err := im.meta()
	if err == nil {
		im.used = make([]bool, im.pages)
		im.used[0], im.used[1] = true, true
		err = im.page(root, nil, nil, 1)
	}
	if err == nil {
		err = im.freelist(freelist)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// meta finds the page size and the meta page the way bbolt does, and reads it.
func (im *image) meta() (root, freelist uint64, err error) {
	valid := func(at uint64) []byte {
		if at+pageHeader+metaLength > uint64(len(im.data)) {
			return nil
		}
		m := im.data[at+pageHeader:][:metaLength]
		sum := fnv.New64a()
		sum.Write(m[:56]) // never fails
		if order.Uint32(m) != boltMagic || order.Uint32(m[4:]) != boltVersion || order.Uint64(m[56:]) != sum.Sum64() {
			return nil
		}
		return m
	}
	m := valid(0)
	if m != nil {
		im.pageSize = uint64(order.Uint32(m[8:]))
	}
	for size := uint64(1 << 10); m == nil && size <= 1<<24; size <<= 1 {
		if m = valid(size); m != nil {
			im.pageSize = size
		}
	}
	if m == nil {
		return 0, 0, fmt.Errorf("no valid meta page")
	}
	if im.pageSize < 1<<10 || im.pageSize > 1<<16 || im.pageSize&(im.pageSize-1) != 0 {
		return 0, 0, fmt.Errorf("page size %d", im.pageSize)
	}
	if other := valid(im.pageSize); other != nil && order.Uint64(other[48:]) > order.Uint64(m[48:]) {
		m = other
	}
	if size := uint64(order.Uint32(m[8:])); size != im.pageSize {
		return 0, 0, fmt.Errorf("page sizes %d and %d", im.pageSize, size)
	}
	root, freelist, im.pages = order.Uint64(m[16:]), order.Uint64(m[32:]), order.Uint64(m[40:])
	if have := uint64(len(im.data)) / im.pageSize; im.pages < 4 || im.pages > have {
		return 0, 0, fmt.Errorf("%d pages where the file has %d", im.pages, have)
	}
	for id := range uint64(2) { // both are there: the file has at least four
		if p := im.data[id*im.pageSize:]; valid(id*im.pageSize) != nil && (order.Uint64(p) != id || order.Uint16(p[8:]) != metaPage) {
			return 0, 0, fmt.Errorf("page %d has a wrong header", id)
		}
	}
	return root, freelist, nil
}

// take returns a page with what overflows from it, and marks it as used.
func (im *image) take(id uint64) (p []byte, flags uint16, err error) {
	if id < 2 || id >= im.pages {
		return nil, 0, fmt.Errorf("page %d of %d", id, im.pages)
	}
	p = im.data[id*im.pageSize:]
	more := uint64(order.Uint32(p[12:]))
	if order.Uint64(p) != id || more >= im.pages-id {
		return nil, 0, fmt.Errorf("page %d has a wrong header", id)
	}
	for i := id; i <= id+more; i++ {
		if im.used[i] {
			return nil, 0, fmt.Errorf("page %d is used twice", i)
		}
		im.used[i] = true
	}
	return p[:(more+1)*im.pageSize], order.Uint16(p[8:]), nil
}

// page checks a branch or leaf and everything below it. Its first key is from, unless that is nil, and all are below to, unless
// that is nil. The recursion ends, because no page is taken twice.
func (im *image) page(id uint64, from, to []byte, depth int) error {
	p, flags, err := im.take(id)
	if err != nil {
		return err
	}
	switch flags {
	case leafPage:
		err = im.leaf(p, from, to, depth)
	case branchPage:
		err = im.branch(p, from, to, depth)
	default:
		err = fmt.Errorf("it is of kind %#x", flags)
	}
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements calls each with the parts of every element: its place, its key, and what follows the key.
func elements(p []byte, each func(i int, e, key, rest []byte) error, layout func(e []byte) (pos, key uint32)) error {
	n := int(order.Uint16(p[10:]))
	if pageHeader+n*elementLength > len(p) {
		return fmt.Errorf("%d elements do not fit", n)
	}
	for i := range n {
		at := pageHeader + i*elementLength
		e := p[at:]
		pos, key := layout(e)
		if pos < elementLength || uint64(pos)+uint64(key) > uint64(len(e)) || key == 0 {
			return fmt.Errorf("element %d lies outside", i)
		}
		if err := each(i, e[:elementLength], e[pos:][:key], e[pos+key:]); err != nil {
			return err
		}
	}
	return nil
}

func (im *image) branch(p []byte, from, to []byte, depth int) error {
	type child struct {
		key  []byte
		page uint64
	}
	var children []child
	err := elements(p, func(i int, e, key, _ []byte) error {
		if i > 0 {
			from = children[i-1].key
		}
		if err := inOrder(i, key, from, to); err != nil {
			return err
		}
		children = append(children, child{key, order.Uint64(e[8:])})
		return nil
	}, func(e []byte) (pos, key uint32) { return order.Uint32(e), order.Uint32(e[4:]) })
	if err != nil {
		return err
	}
	if len(children) == 0 {
		return fmt.Errorf("a branch without children")
	}
	for i, c := range children {
		end := to
		if i+1 < len(children) {
			end = children[i+1].key
		}
		if err := im.page(c.page, c.key, end, depth); err != nil {
			return err
		}
	}
	return nil
}

func (im *image) leaf(p []byte, from, to []byte, depth int) error {
	if from != nil && order.Uint16(p[10:]) == 0 {
		return fmt.Errorf("a leaf without elements below a branch")
	}
	return elements(p, func(i int, e, key, rest []byte) error {
		if err := inOrder(i, key, from, to); err != nil {
			return err
		}
		from = key
		value := uint64(order.Uint32(e[12:]))
		if value > uint64(len(rest)) {
			return fmt.Errorf("element %d lies outside", i)
		}
		switch flags := order.Uint32(e); {
		case flags == bucketFlag && depth < maxBuckets:
			return im.bucket(rest[:value], depth+1)
		case flags != 0:
			return fmt.Errorf("element %d is of kind %#x", i, flags)
		case depth == 1:
			return fmt.Errorf("element %d is no bucket", i)
		}
		return nil
	}, func(e []byte) (pos, key uint32) { return order.Uint32(e[4:]), order.Uint32(e[8:]) })
}

// bucket checks the bucket that a value describes; a small one has its only page in there.
func (im *image) bucket(value []byte, depth int) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("a bucket of %d bytes", len(value))
	}
	if root := order.Uint64(value); root != 0 {
		return im.page(root, nil, nil, depth)
	}
	p := value[bucketHeader:]
	if len(p) < pageHeader || order.Uint16(p[8:]) != leafPage || order.Uint32(p[12:]) != 0 {
		return fmt.Errorf("an inline bucket that is none")
	}
	return im.leaf(p, nil, nil, depth)
}

// inOrder checks one key: the first must be what its parent says, if it has one, and the others above the one before. To a page
// whose first key is another than its parent's bbolt leads twice once it is written: under the new key, and under the old one.
func inOrder(i int, key, from, to []byte) error {
	c := bytes.Compare(key, from)
	if i == 0 && from != nil && c != 0 || i > 0 && c <= 0 || to != nil && bytes.Compare(key, to) >= 0 {
		return fmt.Errorf("key %d is out of order", i)
	}
	return nil
}

// freelist checks that the pages which will be written to are free, and named once.
func (im *image) freelist(id uint64) error {
	p, flags, err := im.take(id)
	if err != nil {
		return fmt.Errorf("free pages: %w", err)
	}
	n, ids := uint64(order.Uint16(p[10:])), p[pageHeader:]
	if n == 0xFFFF { // too many for the header
		n, ids = order.Uint64(ids), ids[8:]
	}
	if flags != freelistPage || n > uint64(len(ids))/8 {
		return fmt.Errorf("free pages: %d of them, kind %#x", n, flags)
	}
	for i := range n {
		free := order.Uint64(ids[8*i:])
		if free < 2 || free >= im.pages || im.used[free] {
			return fmt.Errorf("free pages: page %d is not free", free)
		}
		im.used[free] = true
	}
	return nil
}
