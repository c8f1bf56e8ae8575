package sqlstore

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
)

// groupLimit is how many writes share a commit at most, so that the first of
// them does not wait for too many others.
const groupLimit = 64

// group commits concurrent writes together. A commit waits for the disk, and
// with one writer at a time all others wait for it too; in a group they wait
// once.
//
// There is no goroutine behind it. Whoever comes first leads: it opens the
// transaction, takes along everybody who queued meanwhile, commits, and only
// then answers them. The others sleep, or lead the next group.
type group struct {
	lead  chan struct{} // capacity 1: who puts a token in is the leader
	limit int           // groupLimit; the benchmark tries others

	mu    sync.Mutex
	queue []*write // guarded by mu
}

// write is one write that waits for its commit.
type write struct {
	run     func(context.Context, querier) error
	outcome error
	done    chan struct{} // closed when outcome is final: committed, or undone
}

// Each member stands in a savepoint of the group's transaction.
const (
	savepoint    = `SAVEPOINT member`
	rollbackTo   = `ROLLBACK TO member`
	releasePoint = `RELEASE member`
)

// errAbandoned is the outcome of the writes in a group whose leader panicked.
var errAbandoned = errors.New("the write group was abandoned")

// hold waits until no group is under way and keeps the next from starting
// until release is called.
func (g *group) hold() (release func()) {
	g.lead <- struct{}{}
	return func() { <-g.lead }
}

// write runs run inside a transaction and returns once it is committed. run
// shares the transaction with others, so it stands in a savepoint: when it
// answers an error its own work is undone and nobody else's.
//
// run gets a context that does not end. SQLite answers an interrupted statement by rolling
// back the whole transaction, and with it the others in the group. A caller who
// gives up before its turn is taken off the queue; one whose turn has come
// gets the outcome.
func (s *Store) write(ctx context.Context, run func(context.Context, querier) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g, w := &s.group, &write{run: run, done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, w)
	g.mu.Unlock()

	for {
		select {
		case <-w.done:
			return w.outcome
		case <-ctx.Done():
			if g.withdraw(w) {
				return ctx.Err()
			}
			<-w.done
			return w.outcome
		case g.lead <- struct{}{}:
			s.leadGroup(context.WithoutCancel(ctx))
		}
	}
}

// withdraw takes w off the queue. False: it is in a group already.
func (g *group) withdraw(w *write) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, w)
	if i < 0 {
		return false
	}
	g.queue = slices.Delete(g.queue, i, i+1)
	return true
}

// take removes the next group from the queue.
func (g *group) take() []*write {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.queue), g.limit)
	members := slices.Clone(g.queue[:n])
	g.queue = slices.Delete(g.queue, 0, n)
	return members
}

// leadGroup runs the next group as its leader.
func (s *Store) leadGroup(ctx context.Context) {
	defer func() { <-s.group.lead }()
	if s.group.empty() {
		return // a leader before us answered everybody
	}
	// Requests that can run do so up to their own write, and join. On one core
	// nobody else would: a leader that never waits gives way to no one, and each
	// write would be a group of its own.
	runtime.Gosched()
	// First the lock, then the group: while another process holds the lock,
	// whoever waits may still give up, and more join.
	tx, err := s.writer.BeginTx(ctx, nil)
	members, answered := s.group.take(), false
	defer func() {
		if answered {
			return
		}
		// A member panicked, or ended our goroutine. Leave nobody waiting.
		if tx != nil {
			_ = tx.Rollback()
		}
		settle(members, errAbandoned)
	}()
	if err == nil {
		err = runAll(ctx, prepared{tx, s.hotWrites}, members)
	}
	settle(members, err)
	answered = true
}

// empty says that nobody waits.
func (g *group) empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue) == 0
}

// settle answers the members. A fault of the transaction is everybody's, and
// comes before what each one's own work said.
func settle(members []*write, err error) {
	for _, w := range members {
		if err != nil {
			w.outcome = err
		}
		close(w.done)
	}
}

// runAll runs the members' work in tx and commits. An error is that of the
// transaction: nothing was done.
func runAll(ctx context.Context, tx prepared, members []*write) error {
	for _, w := range members {
		if err := runOne(ctx, tx, w); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// runOne runs one member's work in a savepoint. The error is that of the
// savepoint; the work's own becomes the member's outcome.
func runOne(ctx context.Context, tx prepared, w *write) error {
	if _, err := tx.ExecContext(ctx, savepoint); err != nil {
		return err
	}
	w.outcome = w.run(ctx, tx)
	if w.outcome != nil {
		// After a full disk or a broken page SQLite has undone the whole
		// transaction. Then this fails, and the group with it.
		if _, err := tx.ExecContext(ctx, rollbackTo); err != nil {
			return errors.Join(w.outcome, err)
		}
	}
	_, err := tx.ExecContext(ctx, releasePoint)
	return err
}
