package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// gatedLog is a log that takes what it is given when it is let.
type gatedLog struct {
	gate chan struct{} // nil: always

	mu    sync.Mutex // guards the following
	text  bytes.Buffer
	calls int
}

func (g *gatedLog) Write(p []byte) (int, error) {
	if g.gate != nil {
		<-g.gate
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	return g.text.Write(p)
}

func (g *gatedLog) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

// TestNoLineIsLostOrTorn of many that write at once, some through the queue and
// some past it, while it runs, before and after.
func TestNoLineIsLostOrTorn(t *testing.T) {
	log := &gatedLog{}
	q := newLogQueue(log)
	ctx, cancel := context.WithCancel(t.Context())
	var writers, runner sync.WaitGroup
	for writer := range 8 {
		writers.Go(func() {
			for i := range 500 {
				var w io.Writer = requestLines{q}
				if i%50 == 0 {
					w = q
				}
				line := fmt.Sprintf("%d %d %s\n", writer, i, strings.Repeat("x", i))
				if n, err := w.Write([]byte(line)); n != len(line) || err != nil {
					t.Error(n, err)
				}
				if i == 100 && writer == 0 {
					runner.Go(func() { _ = q.run(ctx) })
				}
				if i == 400 && writer == 0 {
					cancel()
				}
			}
		})
	}
	writers.Wait()
	cancel()
	runner.Wait()
	next := map[int]int{}
	for line := range strings.Lines(log.String()) {
		var writer, i int
		var rest string
		if n, _ := fmt.Sscanf(line, "%d %d %s", &writer, &i, &rest); n < 2 || len(rest) != i || next[writer] != i {
			t.Fatalf("after %d of %d: %.80q", next[writer], writer, line)
		}
		next[writer]++
	}
	for writer := range 8 {
		if next[writer] != 500 {
			t.Errorf("%d lines of %d", next[writer], writer)
		}
	}
}

// TestRequestsDoNotWaitForTheLog until the queue is full, and then they do: none
// of their lines is lost.
func TestRequestsDoNotWaitForTheLog(t *testing.T) {
	log := &gatedLog{gate: make(chan struct{})}
	q := newLogQueue(log)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	q.seen(true) // as run does, which may take a while to begin
	all.Go(func() { _ = q.run(ctx) })
	line := []byte(strings.Repeat("x", 1023) + "\n")
	const fill = queuedAtMost / 1024
	for range fill { // the log takes nothing, and nobody waits
		_, _ = requestLines{q}.Write(line)
	}
	written := make(chan struct{})
	all.Go(func() {
		for range fill + 2 { // at most one queue more is under way to the log
			_, _ = requestLines{q}.Write(line)
		}
		close(written)
	})
	select {
	case <-written:
		t.Error("lines were queued where there was no room")
	case log.gate <- struct{}{}:
	}
	close(log.gate)
	<-written
	cancel()
	all.Wait()
	if n := strings.Count(log.String(), "\n"); n != 2*fill+2 {
		t.Errorf("%d lines", n)
	}
}

// TestALineOfTheProgramIsThereWhenItIsWritten, behind those of requests.
func TestALineOfTheProgramIsThereWhenItIsWritten(t *testing.T) {
	log := &gatedLog{}
	q := newLogQueue(log)
	q.seen(true) // and nobody writes
	_, _ = requestLines{q}.Write([]byte("request\n"))
	if log.String() != "" {
		t.Error("a request has written")
	}
	_, _ = q.Write([]byte("why it ends\n"))
	if log.String() != "request\nwhy it ends\n" || log.calls != 1 {
		t.Errorf("%q in %d calls", log.String(), log.calls)
	}
}

// TestLinesThatFollowCloselyAreWrittenTogether, and the first of them at once.
func TestLinesThatFollowCloselyAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &gatedLog{}
		q := newLogQueue(log)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = q.run(ctx) }()
		synctest.Wait() // it runs
		for _, step := range []struct {
			line  string
			pause time.Duration
			calls int
		}{
			{"1\n", 0, 1},
			{"2\n", time.Millisecond, 1},
			{"3\n", gathering, 2},
			{"4\n", time.Hour, 3},
			{"5\n", 0, 4},
		} {
			_, _ = requestLines{q}.Write([]byte(step.line))
			time.Sleep(step.pause)
			synctest.Wait()
			if log.calls != step.calls {
				t.Errorf("%d calls after %q, %d expected: %q", log.calls, step.line, step.calls, log)
			}
		}
		cancel()
		synctest.Wait()
		if log.String() != "1\n2\n3\n4\n5\n" {
			t.Errorf("%q", log)
		}
	})
}

type brokenLog struct{}

var errBroken = errors.New("broken")

func (brokenLog) Write([]byte) (int, error) { return 0, errBroken }

func TestAQueueSaysWhatItsLogSays(t *testing.T) {
	if _, err := newLogQueue(brokenLog{}).Write([]byte("x\n")); !errors.Is(err, errBroken) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q := newLogQueue(brokenLog{})
	q.seen(true)
	q.add([]byte("x\n"))
	if err := q.run(ctx); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}
