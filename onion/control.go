package onion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cretz/bine/control"
	"github.com/cretz/bine/torutil"
)

// channel is a control channel to Tor: bine's connection, made safe for use
// from several goroutines and bounded in time. It holds the connection for as
// long as it lives: an onion service can end with it.
type channel struct {
	conn   net.Conn
	bine   *control.Conn
	events chan control.Event // what was subscribed to; closed at the end
	turn   chan struct{}      // one request at a time: bine deadlocks on two
	lost   chan struct{}      // closed when reading has failed; err then says why
	err    error
	work   sync.WaitGroup
}

// newChannel authenticates and starts to read. conn is closed if it fails.
func newChannel(ctx context.Context, conn net.Conn, password string) (*channel, error) {
	c := &channel{
		conn:   conn,
		bine:   control.NewConn(textproto.NewConn(conn)),
		events: make(chan control.Event, 64),
		turn:   make(chan struct{}, 1),
		lost:   make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err := c.authenticate(password)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("authenticate to tor: %w", err)
	}
	c.work.Go(c.read)
	return c, nil
}

// authenticate uses the password if there is one; else what Tor offers, which
// is nothing or its cookie file. bine alone would prefer the cookie.
func (c *channel) authenticate(password string) error {
	if password == "" {
		return c.bine.Authenticate("")
	}
	_, err := c.bine.SendRequest("AUTHENTICATE %x", password)
	return err
}

// read hands events to c.events until the connection ends.
func (c *channel) read() {
	for {
		if err := c.bine.HandleNextEvent(); err != nil {
			c.err = err
			close(c.lost)
			return
		}
	}
}

// request sends one line and waits for the answer. An answer other than 250 is
// a *textproto.Error.
func (c *channel) request(ctx context.Context, line string) (*control.Response, error) {
	if strings.ContainsAny(line, "\r\n") {
		return nil, errors.New("control request: line end in it")
	}
	return do(ctx, c, func() (*control.Response, error) { return c.bine.SendRequest("%s", line) })
}

// do runs one exchange in its turn. When ctx ends first the exchange goes on
// and keeps the turn until Tor has answered or the connection ends.
func do[T any](ctx context.Context, c *channel, exchange func() (T, error)) (T, error) {
	var none T
	select {
	case c.turn <- struct{}{}:
	case <-c.lost:
		return none, ErrControlLost
	case <-ctx.Done():
		return none, ctx.Err()
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	c.work.Go(func() {
		defer func() { <-c.turn }()
		v, err := exchange()
		done <- result{v, err}
	})
	select {
	case r := <-done:
		var refused *textproto.Error
		if r.err != nil && !errors.As(r.err, &refused) {
			return none, fmt.Errorf("%w: %w", ErrControlLost, r.err)
		}
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// subscribe asks for events.
func (c *channel) subscribe(ctx context.Context, codes ...control.EventCode) error {
	_, err := do(ctx, c, func() (struct{}, error) { return struct{}{}, c.bine.AddEventListener(c.events, codes...) })
	return err
}

// info is GETINFO of one key.
func (c *channel) info(ctx context.Context, key string) (string, error) {
	r, err := c.request(ctx, commandInfo+key)
	if err != nil {
		return "", err
	}
	for _, d := range r.Data {
		if v, ok := strings.CutPrefix(d, key+"="); ok {
			return torutil.UnescapeSimpleQuotedStringIfNeeded(strings.TrimPrefix(v, "\r\n"))
		}
	}
	return "", fmt.Errorf("tor did not answer GETINFO %s", key)
}

// setConf is SETCONF of all options at once: either all are taken or none.
func (c *channel) setConf(ctx context.Context, options ...option) error {
	_, err := c.request(ctx, commandSetConf+confWords(options))
	return err
}

// order tells the guard of this channel what it passes on from now on. There is no answer: what comes later comes later.
func (c *channel) order(ctx context.Context, allowed *commands) error {
	b, err := json.Marshal(allowed)
	if err != nil {
		return fmt.Errorf("order of the guard: %w", err)
	}
	_, err = do(ctx, c, func() (int, error) { return c.conn.Write(slices.Concat([]byte(orderVerb), b, []byte("\r\n"))) })
	return err
}

// close ends the connection and waits for everything that used it.
func (c *channel) close() error {
	err := c.conn.Close()
	// Somebody may be about to hand over an event.
	drained := make(chan struct{})
	go func() {
		for range c.events {
		}
		close(drained)
	}()
	c.work.Wait()
	close(c.events)
	<-drained
	return err
}
