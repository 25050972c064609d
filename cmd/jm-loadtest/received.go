package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server/wire"
)

// line acts on one line of the directory, given without its delimiter.
func (r *reader) line(p *peer, line []byte, at int64) {
	if r.public != nil && p.in {
		if text, ok := r.public.text(line); ok {
			r.publicMessage(p, text, at)
			return
		}
	}
	if r.private != nil && p.in {
		if text, ok := r.private.text(line); ok {
			r.privateMessage(p, text, at)
			return
		}
	}
	r.control(p, line, at)
}

// publicMessage counts a public message. It MUST NOT allocate.
func (r *reader) publicMessage(p *peer, text []byte, at int64) {
	ph, t := r.ph, r.tally
	if ph == nil {
		return
	}
	if len(text) < publicStamp+stampLen || string(text[wire.NickLen:publicStamp]) != publicTo+commitment {
		if len(text) > wire.NickLen && string(text[wire.NickLen:]) == publicTo+orderbook && ph.onOrderbook != nil {
			ph.onOrderbook(p, text[:wire.NickLen])
			return
		}
		t.foreign++
		return
	}
	st, s := r.stamped(p, text, publicStamp, ph.publicText)
	if s == nil {
		return
	}
	if s.to != nil || string(text[:wire.NickLen]) != s.peer.nick {
		t.damaged++
		return
	}
	if s.peer == p {
		t.misdelivered++
		return
	}
	if !p.early(st.sender, st.seq) && t.take(ph.nextPublic(p, st.sender), uint32(p.id), st.sender, st.seq) {
		r.delivery(&st, at, &t.latency)
	}
}

// privateMessage counts a private message or an answer to orderbook. It MUST NOT allocate.
func (r *reader) privateMessage(p *peer, text []byte, at int64) {
	ph, t := r.ph, r.tally
	if ph == nil {
		return
	}
	want, where := ph.privateText, privateStamp
	switch {
	case len(text) >= privateStamp+stampLen && string(text[privateHead:privateStamp]) == commitment:
	case len(text) >= offerStamp+stampLen && string(text[privateHead:offerStamp]) == offer:
		want, where = ph.answerText, offerStamp
	default:
		t.foreign++
		return
	}
	st, s := r.stamped(p, text, where, want)
	if s == nil {
		return
	}
	if s.to == nil || string(text[:wire.NickLen]) != s.peer.nick || string(text[wire.NickLen+1:privateHead-1]) != s.to.nick {
		t.damaged++
		return
	}
	if s.to != p {
		t.misdelivered++
		return
	}
	if !p.early(st.sender, st.seq) && t.take(ph.nextPrivate(p, st.sender), uint32(p.id), st.sender, st.seq) {
		times := &t.latency
		if ph.apart {
			times = &t.apart
		}
		r.delivery(&st, at, times)
	}
}

// stamped reads the stamp at an offset of a text that must have want bytes, and returns it with its sender; nil, for what is not to
// be counted, or has been as a fault. It MUST NOT allocate.
func (r *reader) stamped(p *peer, text []byte, at, want int) (st stamp, s *sender) {
	ph, t := r.ph, r.tally
	st, ok := parseStamp(text[at:])
	switch {
	case !ok:
		t.damaged++
	case st.phase != ph.id:
		t.foreign++
	case p.counted != ph:
	case int(st.sender) >= len(ph.senders) || len(text) != want:
		t.damaged++
	default:
		s = ph.senders[st.sender]
	}
	return st, s
}

// delivery counts a message that came for the first time, and its time in times.
func (r *reader) delivery(st *stamp, at int64, times *histogram) {
	if st.time >= r.ph.measured.Load() {
		times.record(at - st.time)
	}
	r.tally.last = at
	r.count++
	if int(st.slot) < len(r.tally.came) {
		r.ph.came(r.tally, st)
	}
}

// control acts on a line that is no message of a known form.
func (r *reader) control(p *peer, line []byte, at int64) {
	r.fleet.longest(len(line))
	env, err := r.parser.Parse(line)
	if err != nil {
		r.fleet.malformed.Add(1)
		return
	}
	switch env.Type {
	case wire.DirectoryHandshake:
		if !p.in {
			r.answer(p, env.Line, at)
		}
	case wire.Ping:
		p.write(r.envelope(wire.Pong, nil))
	case wire.Pubmsg:
		if f, ok := learnForm(line, env.Line); ok && r.public == nil {
			r.fleet.public.CompareAndSwap(nil, &f)
		}
		r.publicMessage(p, env.Line, at)
	case wire.Privmsg:
		if f, ok := learnForm(line, env.Line); ok && r.private == nil {
			r.fleet.private.CompareAndSwap(nil, &f)
		}
		r.privateMessage(p, env.Line, at)
	case wire.Peerlist:
		if r.ph != nil && r.ph.onPeerlist != nil {
			r.ph.onPeerlist(r, p, env.Line, len(line), at)
		}
	}
}

// answer acts on the directory's answer to the handshake.
func (r *reader) answer(p *peer, text []byte, at int64) {
	hello, err := wire.ParseDirectoryHello(text)
	switch {
	case err != nil:
		r.drop(p, err.Error())
		return
	case !hello.Accepted:
		r.drop(p, terminal.Fit(hello.MOTD, 100))
		return
	case hello.Network != r.fleet.network:
		r.drop(p, fmt.Sprintf("the directory is of network %s", terminal.Fit(hello.Network, 16)))
		return
	}
	p.mu.Lock()
	p.in = true
	p.mu.Unlock()
	if p.deaf {
		// It fails only when the descriptor is not watched, and then it is not read either.
		_ = unix.EpollCtl(r.epoll, unix.EPOLL_CTL_MOD, p.fd, p.event())
	}
	if r.ph != nil {
		r.ph.count(p)
	}
	r.said(p, joinEvent{peer: p, took: at - p.began})
}
