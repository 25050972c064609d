package server

import "time"

// A crowd is who fills the outbox of a receiver that takes less than it is sent: how much private messages of each sender,
// by circuit where it is known, were queued to it lately. Without it, somebody could have any slow peer closed by filling
// its outbox, each message within the rates. Guarded by the flusher's lock.
type crowd struct {
	since int64          // Server.now of the first entry
	bytes map[uint64]int // by circuit or, with the highest bit, by connection
}

const (
	// crowdMemory is how long it is remembered what a sender has queued.
	crowdMemory = 10 * time.Second
	// maxCrowd bounds how many senders are remembered, about 40 kB.
	maxCrowd = 1024
	// smallShare is what a sender may have queued whatever others have, in bytes, while a quarter of the outbox is
	// free: all makers answer an orderbook request, and each has a message or two.
	smallShare = 4 << 10
)

// admits reports whether a private message of n bytes may be queued, with waiting bytes in the outbox, and notes it. While
// less than an eighth of the outbox is used, everybody may add to it. Above that a sender's share is Options.OutboxShare or an
// eighth of what is left of the first quarter: the more the outbox holds, the less each of those who fill it may add, so that
// they never fill it and there is always room for who says little.
func (cr *crowd) admits(from *conn, n, waiting int, o *settings, now int64) bool {
	if o.OutboxShare == 0 {
		return true
	}
	key := from.id | 1<<63
	if from.via != nil {
		key = from.via.id
	}
	if cr.bytes == nil || time.Duration(now-cr.since) >= crowdMemory || len(cr.bytes) >= maxCrowd {
		cr.since, cr.bytes = now, make(map[uint64]int)
	}
	share := min(o.OutboxShare, (o.OutboxBytes/4-waiting)/8)
	if share < smallShare && waiting < o.OutboxBytes/4*3 {
		share = smallShare
	}
	if waiting >= o.OutboxBytes/8 && cr.bytes[key] >= share {
		return false
	}
	cr.bytes[key] += n
	return true
}

// forget gives the memory back of what is not remembered any more.
func (cr *crowd) forget(now int64) {
	if cr.bytes != nil && time.Duration(now-cr.since) >= crowdMemory {
		cr.bytes = nil
	}
}
