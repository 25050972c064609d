package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"jm-directory-server/server/admin"
)

// rateSpan is the time over which rates of reasons are taken.
const rateSpan = 10 * time.Second

// A watch shows the state of a server again and again, until somebody ends it.
type watch struct {
	client   *adminClient
	display  *display
	layout   layout        // without width and height
	interval time.Duration // between reports
	keys     <-chan byte   // nil: no keyboard
	resized  <-chan os.Signal

	trends  trends
	reports []*admin.Report // of the last rateSpan, oldest first; of one run of the server
	failed  error           // why there is no newer report; nil: there is
	since   time.Time       // of failed
}

// watchStatus takes over the terminal of out, and of in if that is one, and watches until a key, a signal or the end of ctx.
// First is the report that there is already.
func watchStatus(ctx context.Context, client *adminClient, first *admin.Report, l layout, interval time.Duration, out, in *os.File) (err error) {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	defer signal.Stop(resized)
	w := &watch{client: client, layout: l, interval: interval, resized: resized, trends: trends{utf8: l.utf8}}
	w.past(ctx, first)

	give := func(back io.Closer) {
		if e := back.Close(); err == nil {
			err = e
		}
	}
	if in != nil {
		k, err := openKeyboard(in)
		if err != nil {
			return err
		}
		defer give(closer(k.close))
		w.keys = k.keys
	}
	if w.display, err = newDisplay(out); err != nil {
		return err
	}
	defer give(closer(w.display.close))
	return w.run(ctx)
}

// closer is a function as an io.Closer.
type closer func() error

// Close implements io.Closer.
func (c closer) Close() error { return c() }

// past begins with what the server remembers of the last minutes. A server without a store has nothing to tell.
func (w *watch) past(ctx context.Context, first *admin.Report) {
	if minutes, err := w.client.minutes(ctx, first.Time.Add(-trendMost*trendStep)); err == nil {
		w.trends.addPast(minutes, first.Time)
	}
	// The minute that is not over is not in the history, and is not to look as if the server had not run.
	begun := first.Time.Truncate(time.Minute)
	if up := first.Time.Add(-seconds(first.UptimeSeconds)); up.After(begun) {
		begun = up
	}
	for at := begun; at.Before(first.Time); at = at.Add(trendStep) {
		w.trends.add(at, seenNow(first))
	}
	w.take(first)
}

// seenNow is what bars are drawn of, as a report has it.
func seenNow(r *admin.Report) [numTrends]float64 {
	return [numTrends]float64{trendPeers: float64(r.ConnectedPeers.Total), trendDeliveries: r.Rates.Deliveries}
}

// take keeps a report.
func (w *watch) take(r *admin.Report) {
	if n := len(w.reports); n > 0 && r.UptimeSeconds < w.reports[n-1].UptimeSeconds {
		w.reports = nil // the server was started anew
	}
	for len(w.reports) > 1 && r.UptimeSeconds-w.reports[1].UptimeSeconds >= rateSpan.Seconds() {
		w.reports = w.reports[1:]
	}
	w.reports = append(w.reports, r)
	w.trends.add(r.Time, seenNow(r))
}

// run draws and asks until the end of ctx or a key that ends it.
func (w *watch) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	answers := make(chan reportOrError)
	var asking sync.WaitGroup
	asking.Go(func() { w.ask(ctx, answers) })
	defer asking.Wait()
	defer cancel()
	second := time.NewTicker(time.Second) // for the time since the last answer
	defer second.Stop()
	for {
		if err := w.draw(); err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case key, ok := <-w.keys:
			const ctrlC, ctrlD, escape = 3, 4, 27
			if !ok {
				return nil // the terminal is gone
			}
			switch key {
			case 'q', 'Q', ctrlC, ctrlD:
				return nil
			case 'l', 12: // as in other programs: draw everything anew
				w.display.width = 0
			}
		case <-w.resized:
		case <-second.C:
		case a := <-answers:
			if a.err == nil {
				w.failed = nil
				w.take(a.report)
			} else if w.failed == nil {
				w.failed, w.since = a.err, time.Now()
			} else {
				w.failed = a.err
			}
		}
	}
}

type reportOrError struct {
	report *admin.Report
	err    error
}

// ask asks for a report every interval.
func (w *watch) ask(ctx context.Context, answers chan<- reportOrError) {
	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r, _, err := w.client.status(ctx)
		select {
		case <-ctx.Done():
			return
		case answers <- reportOrError{r, err}:
		}
	}
}

// draw shows the newest report, and what is to be known of the watching in the last line.
func (w *watch) draw() error {
	width, height := w.display.size()
	l := w.layout
	l.width, l.height = width-1, height-1 // in the last column some terminals begin a new line
	v := &view{Report: *w.reports[len(w.reports)-1], trends: &w.trends}
	if len(w.reports) > 1 {
		v.before = w.reports[0]
	}
	foot := row{cells: []cell{{"q quits", faint}, {"every " + shortTime(w.interval), faint}}}
	if w.failed != nil {
		v.silent = true
		why := absence(w.client.where, w.failed)
		if why == "" {
			why = cleanText(w.failed.Error(), maxLogText)
		}
		foot.cells = []cell{{"no answer for " + shortTime(time.Since(w.since).Truncate(time.Second)) + ": " + why, bad}}
	}
	lines := l.lines(v.rows())
	for len(lines) < l.height {
		lines = append(lines, "")
	}
	return w.display.draw(append(lines, l.block(foot, 1)...))
}
