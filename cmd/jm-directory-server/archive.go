package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/server"
	"jm-directory-server/server/admin"
	"jm-directory-server/store"
)

// An archive is the store as the running server uses it. Where there is none, the server goes on without: bans are then
// kept in memory only, and there is no history.
type archive struct {
	log    logrus.FieldLogger
	path   string
	store  *store.Store  // nil: see err
	err    error         // why there is no store
	since  time.Time     // of err
	damage string        // what was found damaged, "" for nothing
	told   atomic.Bool   // that a sample could not be kept
	lost   atomic.Uint64 // samples that were given up, because too many waited for the disk
}

// openArchive opens the store in the state directory. It never fails: what is wrong is logged and shown in the status.
func openArchive(stateDir string, log logrus.FieldLogger) *archive {
	a := &archive{log: log, path: filepath.Join(stateDir, store.FileName), since: time.Now()}
	a.store, a.err = store.Open(a.path, store.Options{})
	if a.err != nil {
		log.WithError(a.err).Error("no store: bans will not outlive this run, and there is no history")
		return a
	}
	if o := a.store.Opened(); o.Damage != nil {
		a.damage = foundDamaged(o)
		log.WithError(o.Damage).WithField("moved_to", o.MovedAside).Error(a.damage)
	}
	return a
}

// foundDamaged says what of a store was damaged when it was opened, and what became of it.
func foundDamaged(o store.Opened) string {
	switch {
	case o.HistoryOnly && o.MovedAside == "":
		return "a part of the history is damaged, and there can be no copy of it: it is neither read nor added to; bans are kept"
	case o.HistoryOnly:
		return "a part of the history was damaged, and begins anew; bans are kept"
	default:
		return "the store was damaged: bans and history begin anew"
	}
}

// close ends the store's use.
func (a *archive) close() {
	if a.store == nil {
		return
	}
	if err := a.store.Close(); err != nil {
		a.log.WithError(err).Error("the store was not closed in order")
	}
}

// useBans puts the bans that were kept in force.
func (a *archive) useBans(s *server.Server) {
	if a.store == nil {
		return
	}
	kept, err := a.store.Bans()
	if err != nil {
		a.log.WithError(err).Error("bans that were kept cannot be read")
	}
	bans := make([]server.Ban, 0, len(kept))
	for _, b := range kept {
		bans = append(bans, server.Ban{ID: b.ID, Kind: server.BanKind(b.Kind), Subject: b.Subject,
			Reason: b.Reason, Created: b.Created, Expires: b.Expires})
	}
	s.UseBans(a.store.Secret(), bans, a)
}

// PutBan implements server.BanJournal.
func (a *archive) PutBan(b server.Ban) error {
	return a.store.PutBan(store.Ban{ID: b.ID, Kind: store.BanKind(b.Kind), Subject: b.Subject,
		Reason: b.Reason, Created: b.Created, Expires: b.Expires})
}

// DeleteBan implements server.BanJournal.
func (a *archive) DeleteBan(id string) error {
	err := a.store.DeleteBan(id)
	if errors.Is(err, store.ErrNoBan) {
		return server.ErrNoSuchBan
	}
	return err
}

// keep adds a sample to the history. A failure is logged once until one succeeds again.
func (a *archive) keep(s admin.Sample) {
	if a.store == nil {
		return
	}
	err := a.store.Append(store.Sample(s))
	switch {
	case err != nil && !a.told.Swap(true):
		a.log.WithError(err).Error("the store takes nothing: the history has a gap; the directory goes on")
	case err == nil && a.told.Swap(false):
		a.log.Info("the store takes samples again")
	}
}

// lose counts a sample that the disk was too slow for, as a write that failed, and logs it as keep does. It does not wait for the disk.
func (a *archive) lose() {
	if a.store == nil {
		return
	}
	a.lost.Add(1)
	if !a.told.Swap(true) {
		a.log.Error("the disk does not answer: the history has a gap; the directory goes on")
	}
}

// history returns samples of that span; see admin.Source.
func (a *archive) history(span time.Duration, from, to time.Time) ([]admin.Sample, error) {
	if a.store == nil {
		return nil, fmt.Errorf("there is no history: %w", a.err)
	}
	for _, resolution := range store.Resolutions {
		if resolution.Span() != span {
			continue
		}
		kept, err := a.store.History(resolution, from, to)
		if err != nil {
			return nil, err
		}
		samples := make([]admin.Sample, len(kept))
		for i, s := range kept {
			samples[i] = admin.Sample(s)
		}
		return samples, nil
	}
	return nil, fmt.Errorf("there is no history of %v", span)
}

// copyTo writes a copy of the file.
func (a *archive) copyTo(ctx context.Context, w io.Writer) error {
	if a.store == nil {
		return fmt.Errorf("there is no store: %w", a.err)
	}
	return a.store.WriteTo(ctx, w)
}

// health is the state of the store for the status.
func (a *archive) health() admin.Store {
	if a.store == nil {
		return admin.Store{Problem: a.err.Error(), Since: a.since}
	}
	h := a.store.Health()
	s := admin.Store{OK: h.OK, Problem: h.LastError, Failed: h.Failed + a.lost.Load(), Damage: a.damage, MovedTo: a.store.Opened().MovedAside}
	if !h.OK {
		s.Since = h.Since
	}
	if info, err := os.Stat(a.path); err == nil {
		s.Bytes = info.Size()
	}
	return s
}
