package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumLength is that of the checksum behind each value, in bytes.
const sumLength = 4

// checksum covers the key as well, so that a value under another key is noticed.
func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// put writes a value with its checksum.
func put(b *bbolt.Bucket, key, value []byte) error {
	return b.Put(key, binary.BigEndian.AppendUint32(value[:len(value):len(value)], checksum(key, value)))
}

// get returns the value of a key, nil if there is none. It is valid as long as the transaction.
func get(b *bbolt.Bucket, key []byte) ([]byte, error) {
	sealed := b.Get(key)
	if sealed == nil {
		return nil, nil
	}
	return unseal(key, sealed)
}

// unseal takes the checksum off.
func unseal(key, sealed []byte) ([]byte, error) {
	n := len(sealed) - sumLength
	if n < 0 || binary.BigEndian.Uint32(sealed[n:]) != checksum(key, sealed[:n]) {
		return nil, fmt.Errorf("record %x: %w: wrong checksum", key, ErrCorrupt)
	}
	return sealed[:n:n], nil
}

// errRecord is the answer to a value that was not written by this version.
var errRecord = errors.New("not a record of this version")

// checkRecords reads each record once, as it will be read later. The error is a historyError if only the history is damaged.
func checkRecords(tx *bbolt.Tx) error {
	if err := checkBucket(tx, metaBucket, func(_, _ []byte) error { return nil }); err != nil {
		return err
	}
	if err := checkBucket(tx, bansBucket, func(key, value []byte) error {
		_, err := decodeBan(key, value)
		return err
	}); err != nil {
		return err
	}
	var damaged *historyError
	for _, res := range Resolutions {
		err := checkBucket(tx, res.bucket(), func(key, value []byte) error {
			_, err := decodeSample(res, key, value)
			return err
		})
		if err == nil {
			continue
		}
		if damaged == nil {
			damaged = &historyError{error: err}
		}
		damaged.in = append(damaged.in, res)
	}
	if damaged == nil {
		return nil
	}
	return damaged
}

// checkBucket reads the records of one bucket. The error wraps ErrCorrupt.
func checkBucket(tx *bbolt.Tx, name []byte, decode func(key, value []byte) error) error {
	b := tx.Bucket(name)
	if b == nil {
		return fmt.Errorf("%w: no bucket %s", ErrCorrupt, name)
	}
	return b.ForEach(func(key, sealed []byte) error {
		value, err := unseal(key, sealed)
		if err == nil {
			err = decode(key, value)
		}
		if err != nil {
			return fmt.Errorf("bucket %s: %w", name, err)
		}
		return nil
	})
}
