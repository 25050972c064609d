package store

import (
	"bytes"
	"errors"
	"hash/fnv"
	"strings"
	"testing"
)

// TestWhatBboltReliesOnIsChecked breaks one rule of the file at a time, on pages whose meta pages are good.
func TestWhatBboltReliesOnIsChecked(t *testing.T) {
	good := filled(t, 0, 400) // one large bucket, whose keys have 8 bytes
	if err := checkImage(good); err != nil {
		t.Fatal(err)
	}
	im := image{data: good}
	root, freelist, err := im.meta()
	must(t, err)
	var b []byte // the copy that is broken
	page := func(id uint64) []byte { return b[id*im.pageSize:][:im.pageSize] }
	// find returns the first page of a kind with enough elements that is in use.
	used := image{data: good, pages: im.pages, pageSize: im.pageSize, used: make([]bool, im.pages)}
	must(t, used.page(root, nil, nil, 1))
	find := func(kind, count uint16) uint64 {
		for id := uint64(2); id < im.pages; id++ {
			p := good[id*im.pageSize:]
			if used.used[id] && id != root && order.Uint16(p[8:]) == kind && order.Uint16(p[10:]) >= count {
				return id
			}
		}
		t.Fatalf("no page of kind %d", kind)
		return 0
	}
	branch, leaf := find(branchPage, 2), find(leafPage, 2)
	element := func(id uint64, i int) []byte { return page(id)[pageHeader+i*elementLength:] }
	key := func(id uint64, i int) []byte { // of a leaf
		e := element(id, i)
		return e[order.Uint32(e[4:]):][:order.Uint32(e[8:])]
	}
	branchKey := func(i int) []byte {
		e := element(branch, i)
		return e[order.Uint32(e):][:order.Uint32(e[4:])]
	}
	metas := func(f func(m []byte)) {
		for id := range uint64(2) {
			m := page(id)[pageHeader:]
			f(m)
			sum := fnv.New64a()
			sum.Write(m[:56]) // never fails
			order.PutUint64(m[56:], sum.Sum64())
		}
	}
	txid := func(id uint64) uint64 { return order.Uint64(good[id*im.pageSize+pageHeader+48:]) }
	for name, c := range map[string]struct {
		edit func()
		want string
	}{
		"page size":           {func() { metas(func(m []byte) { order.PutUint32(m[8:], 1000) }) }, "page size 1000"},
		"page size 0":         {func() { metas(func(m []byte) { order.PutUint32(m[8:], 0) }) }, "page size 0"},
		"more pages":          {func() { metas(func(m []byte) { order.PutUint64(m[40:], im.pages+1) }) }, "where the file has"},
		"root outside":        {func() { metas(func(m []byte) { order.PutUint64(m[16:], im.pages) }) }, "page"},
		"root is a meta page": {func() { metas(func(m []byte) { order.PutUint64(m[16:], 1) }) }, "page 1 of"},
		"newest root outside": {func() { // of the second meta page, which the first does not outdo
			metas(func(m []byte) {
				if order.Uint64(m[48:]) == txid(1) {
					order.PutUint64(m[48:], txid(0)+1)
					order.PutUint64(m[16:], im.pages)
				}
			})
		}, "page"},
		"no free pages": {func() { metas(func(m []byte) { order.PutUint64(m[32:], 1<<64-1) }) }, "free pages"},
		"meta header":   {func() { page(0)[8] = leafPage }, "page 0 has a wrong header"},

		"page ID":              {func() { page(leaf)[0]++ }, "wrong header"},
		"kind":                 {func() { page(leaf)[8] = metaPage }, "of kind 0x4"},
		"two kinds":            {func() { page(leaf)[8] = leafPage | branchPage }, "of kind 0x3"},
		"overflow":             {func() { order.PutUint32(page(leaf)[12:], uint32(im.pages)) }, "wrong header"},
		"overflow into others": {func() { order.PutUint32(page(3)[12:], uint32(im.pages-3-1)) }, ""},
		"count":                {func() { order.PutUint16(page(leaf)[10:], 0xFFFF) }, "do not fit"},

		"key outside":   {func() { order.PutUint32(element(leaf, 0)[4:], uint32(im.pageSize)) }, "outside"},
		"key in itself": {func() { order.PutUint32(element(leaf, 0)[4:], 0) }, "outside"},
		"key of 4 GiB":  {func() { order.PutUint32(element(leaf, 0)[8:], 1<<32-1) }, "outside"},
		"no key":        {func() { order.PutUint32(element(leaf, 0)[8:], 0) }, "outside"},
		"value outside": {func() { order.PutUint32(element(leaf, 0)[12:], uint32(im.pageSize)) }, "outside"},
		"element kind":  {func() { order.PutUint32(element(leaf, 0), 2) }, "of kind 0x2"},
		"too deep":      {func() { order.PutUint32(element(leaf, 0), bucketFlag) }, "of kind 0x1"},
		"same key":      {func() { copy(key(leaf, 1), key(leaf, 0)) }, "out of order"},
		"key too small": {func() { clear(key(leaf, 1)) }, "out of order"},
		"last key too large": {func() {
			child := order.Uint64(element(branch, 0)[8:])
			key(child, int(order.Uint16(page(child)[10:]))-1)[0] = 0xFF
		}, "out of order"},
		"key too large": {func() { key(order.Uint64(element(branch, 0)[8:]), 1)[0] = 0xFF }, "out of order"},

		"child is its parent": {func() { order.PutUint64(element(branch, 0)[8:], branch) }, "used twice"},
		"child of two":        {func() { copy(element(branch, 0)[8:16], element(branch, 1)[8:16]) }, ""},
		"child outside":       {func() { order.PutUint64(element(branch, 1)[8:], 1<<40) }, "page 1099511627776 of"},
		"no child":            {func() { order.PutUint16(page(branch)[10:], 0) }, "without children"},
		"above its child":     {func() { branchKey(0)[7]++ }, "out of order"},
		"before its child":    {func() { clear(branchKey(0)) }, "out of order"},
		"leaf of nothing":     {func() { order.PutUint16(page(leaf)[10:], 0) }, "without elements"},
		"below its child":     {func() { copy(branchKey(1), branchKey(0)); branchKey(1)[7]++ }, "out of order"},

		"free pages, kind":  {func() { page(freelist)[8] = leafPage }, "free pages"},
		"free pages, count": {func() { order.PutUint16(page(freelist)[10:], 0xFFFE) }, "free pages"},
		"free pages, long count": {func() {
			order.PutUint16(page(freelist)[10:], 0xFFFF)
			order.PutUint64(page(freelist)[pageHeader:], 1<<63)
		}, "free pages"},
		"free page in use":  {func() { order.PutUint64(page(freelist)[pageHeader:], leaf) }, "is not free"},
		"free page twice":   {func() { copy(page(freelist)[pageHeader:][:8], page(freelist)[pageHeader+8:]) }, "is not free"},
		"free page outside": {func() { order.PutUint64(page(freelist)[pageHeader:], im.pages) }, "is not free"},
		"free meta page":    {func() { order.PutUint64(page(freelist)[pageHeader:], 1) }, "is not free"},
	} {
		b = bytes.Clone(good)
		c.edit()
		if err := checkImage(b); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTornMetaPageIsNoDamage guards that a crash in the midst of a commit costs the commit and no more.
func TestTornMetaPageIsNoDamage(t *testing.T) {
	good := filled(t, 0, 400) // one large bucket, whose keys have 8 bytes
	im := image{data: good}
	_, _, err := im.meta()
	must(t, err)
	for id := range uint64(2) {
		b := bytes.Clone(good)
		clear(b[id*im.pageSize:][:100])
		if err := checkImage(b); err != nil {
			t.Errorf("without page %d: %v", id, err)
		}
	}
}
