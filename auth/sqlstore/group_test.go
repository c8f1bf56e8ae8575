package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

// stall lets a write stand in its transaction until release is called, so that
// others queue behind it.
func stall(t *testing.T, s *sqlstore.Store) (release func()) {
	t.Helper()
	add(t, s, "stalled")
	inside, leave, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		_, err := s.UpdateAccount(context.Background(), "stalled", auth.AccountUpdate{Change: func(*auth.Account) error {
			close(inside)
			<-leave
			return nil
		}})
		done <- err
	}()
	<-inside
	return func() {
		t.Helper()
		close(leave)
		if err := <-done; err != nil {
			t.Errorf("the write in front: %v", err)
		}
	}
}

func TestOneFailingWriteTakesNoOtherAlong(t *testing.T) {
	path := file(t)
	s, other := openAt(t, path), openAt(t, path)
	add(t, s, "first")
	release := stall(t, s)
	refusal := errors.New("refused")
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			id := fmt.Sprintf("id-%d", i)
			var conflict *auth.ConflictError
			switch i % 3 {
			case 0:
				if err := s.CreateAccount(context.Background(), auth.Account{ID: id, Username: id}); err != nil {
					t.Errorf("%s: %v", id, err)
				}
				// Answered is committed: another connection sees it.
				if _, err := other.Account(context.Background(), id); err != nil {
					t.Errorf("%s was answered and is not there: %v", id, err)
				}
			case 1:
				err := s.CreateAccount(context.Background(), auth.Account{ID: id, Username: id, Email: "name-first"})
				if !errors.As(err, &conflict) {
					t.Errorf("%s: %v", id, err)
				}
			case 2:
				_, err := s.UpdateAccount(context.Background(), "first", auth.AccountUpdate{Change: func(a *auth.Account) error {
					a.Name = id
					return refusal
				}})
				if err != refusal {
					t.Errorf("%s: %v", id, err)
				}
			}
		})
	}
	release()
	all.Wait()
	accounts, err := other.Accounts(context.Background())
	if err != nil || len(accounts) != 12 {
		t.Errorf("%d accounts, %v; want 12", len(accounts), err)
	}
	for _, a := range accounts {
		if a.Name != "" || a.Email != "" {
			t.Errorf("a refused write left %+v", a)
		}
	}
}

func TestWhoGivesUpInTheQueueIsNotWritten(t *testing.T) {
	s := openAt(t, file(t))
	release := stall(t, s)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	// The write in front is still in its transaction: this returns only because
	// the queue can be left.
	if err := s.CreateAccount(ctx, auth.Account{ID: "late"}); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("got %v, want the end of the context", err)
	}
	release()
	if _, err := s.Account(context.Background(), "late"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("the abandoned write: %v", err)
	}
	add(t, s, "next")
}

func TestACallerWhoLeavesDuringItsTransactionHarmsNobody(t *testing.T) {
	s := openAt(t, file(t))
	add(t, s, "a")
	ctx, cancel := context.WithCancel(context.Background())
	_, err := s.UpdateAccount(ctx, "a", auth.AccountUpdate{Change: func(a *auth.Account) error {
		cancel()
		a.Name = "written"
		return nil
	}})
	if err != nil {
		t.Errorf("the write was under way: %v", err)
	}
	if a, err := s.Account(context.Background(), "a"); a.Name != "written" || err != nil {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestReadersDoNotWaitForTheWriter(t *testing.T) {
	s := openAt(t, file(t))
	add(t, s, "a")
	defer stall(t, s)()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	if _, err := s.Account(ctx, "a"); err != nil {
		t.Error(err)
	}
}

func TestAPanicOrExitInAChangeLeavesNobodyWaiting(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("a bug") }, "exit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			s := openAt(t, file(t))
			add(t, s, "a")
			var ended sync.WaitGroup
			ended.Go(func() {
				defer func() { _ = recover() }()
				_, err := s.UpdateAccount(context.Background(), "a", auth.AccountUpdate{Change: func(a *auth.Account) error {
					a.Name = "half"
					end()
					return nil
				}})
				t.Errorf("it came back with %v", err)
			})
			ended.Wait()
			add(t, s, "b")
			if a, err := s.Account(context.Background(), "a"); a.Name != "" || err != nil {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
}

func TestCloseWaitsForTheWriteUnderWay(t *testing.T) {
	path := file(t)
	s := openAt(t, path)
	release := stall(t, s)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		t.Errorf("closed during a write: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := s.CreateAccount(context.Background(), auth.Account{ID: "late"}); !errors.Is(err, auth.ErrUnavailable) || strings.Contains(err.Error(), path) {
		t.Errorf("after the close: %v", err)
	}
}
