// Package store keeps what must survive a restart of the server: bans, and the directory's history in
// numbers. It is one file in the state directory, written by bbolt; the package knows nothing of the rest.
//
// What is in the file:
//
//	meta     schema  → version of the layout, 8 bytes; stays readable for all versions to come
//	         secret  → 32 random bytes, the key of the hashes in bans
//	         clean   → 1 after Close, 0 from Open on
//	bans     id      → one Ban
//	minutes  seconds → one Sample, kept 48 hours
//	hours    seconds → the same summed up, kept 60 days
//	days     seconds → the same summed up, kept 5 years
//
// Seconds are those since 1970, 8 bytes, big-endian, so that a span of time is one walk of a cursor. Each value ends
// with a checksum of its key and itself (record.go). No nick is in the file: a ban holds a keyed hash of it.
//
// # Damage
//
// bbolt reads a file through a memory map and follows its page numbers without looking: a bad one panics, faults, or
// recurses for ever, also in goroutines of bbolt where nothing can recover it. So Open reads the file first and checks each
// page itself (image.go), then, through bbolt, each record. What fails is moved aside, never deleted at once, and an empty
// file takes its place. A record of the history that is wrong costs no ban: only the minutes, hours or days that it is
// among begin anew, and the file as it was is copied aside. While the store is open, each use of bbolt turns panics and
// faults into errors; after one, bbolt's own state is not to be trusted, and all later uses are refused.
//
// # Who waits
//
// The package has no goroutine. Each method that writes returns when the disk has it (one fdatasync or two) and
// waits for the writer before it; a disk that hangs holds it up. It belongs into a goroutine that may wait: that of the
// admin's request, or the one that appends a sample each minute. Nothing on the path of a message may call the
// package; that one asks a copy of the bans in memory. Readers wait for nobody, and nobody for them. A write that fails
// is an error and is seen in Health; the store stays in use, and what is in the file stays as it was.
package store
