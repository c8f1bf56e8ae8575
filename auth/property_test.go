package auth_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

// story is one session and the tabs of the browser that holds it, on a clock
// that the property moves.
type story struct {
	*rapid.T
	clock  *atomic.Int64 // unix milliseconds
	svc    *auth.Service
	sid    string
	tabs   []string          // the refresh token that each tab knows
	issued map[string]issued // every refresh token that was ever current
	head   string            // the current one
	last   time.Time         // of the last rotation
	ended  error             // what every token gets, once the session is over
}

type issued struct {
	number int
	spent  time.Time // when its successor came; zero: current
}

func (s *story) now() time.Time { return time.UnixMilli(s.clock.Load()) }

// spend refreshes with a token and checks the answer against the rule.
func (s *story) spend(token string) (auth.Grant, error) {
	g, err := s.svc.Refresh(context.Background(), token, home())
	if err != nil {
		return g, err
	}
	if _, known := s.issued[g.RefreshToken]; !known {
		if token != s.head {
			s.Fatalf("a spent token made a new one")
		}
		s.issued[s.head] = issued{number: s.issued[s.head].number, spent: s.now()}
		s.issued[g.RefreshToken] = issued{number: len(s.issued)}
		s.head, s.last = g.RefreshToken, s.now()
	}
	if g.RefreshToken != s.head {
		s.Fatalf("answered a token that is not the current one")
	}
	return g, nil
}

// honest is a tab that refreshes with what it knows, which is never older than
// the grace; its answer may get lost.
func (s *story) honest(tab int, lost bool) {
	g, err := s.spend(s.tabs[tab])
	if s.ended != nil {
		if !errors.Is(err, s.ended) {
			s.Fatalf("an ended session: %v, want %v", err, s.ended)
		}
		return
	}
	if err != nil {
		s.Fatalf("tab %d, token %d of %d: %v", tab, s.issued[s.tabs[tab]].number, len(s.issued), err)
	}
	if !lost {
		s.tabs[tab] = g.RefreshToken
	}
}

// Any interleaving of lost answers, tabs and pauses within the grace leaves an
// honest session alive; any replay outside of it, or after a logout, ends it.
func TestRefreshKeepsTheHonestAndEndsTheReplayed(t *testing.T) {
	store, clock := newStoryStore(t)
	conf := auth.DefaultConfig()
	conf.Issuer, conf.RefreshToken.SessionTTL = issuer, 3650*24*time.Hour
	svc, err := auth.New(t.Context(), auth.Options{Store: store, Master: auth.MasterKey{1}, Config: conf, Now: store.Now})
	if err != nil {
		t.Fatal(err)
	}
	alice, err := svc.AddAccount(t.Context(), auth.NewAccount{Username: "alice"}, auth.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	clock.Add(pastGrace.Milliseconds()) // past the leniency after a start
	rapid.Check(t, func(rt *rapid.T) {
		g, err := auth.Begin(context.Background(), svc, alice, home())
		if err != nil {
			rt.Fatal(err)
		}
		s := &story{
			T: rt, clock: clock, svc: svc, sid: g.Session, head: g.RefreshToken,
			tabs: []string{g.RefreshToken, g.RefreshToken, g.RefreshToken}, issued: map[string]issued{g.RefreshToken: {}},
		}
		s.last = s.now()
		s.live(rapid.IntRange(1, 25).Draw(rt, "steps"))
		s.replay()
	})
}

func newStoryStore(t *testing.T) (*sqlstore.Store, *atomic.Int64) {
	t.Helper()
	store := openStore(t, filepath.Join(t.TempDir(), "postern.db"))
	clock := new(atomic.Int64)
	clock.Store(time.Now().UnixMilli())
	store.Now = func() time.Time { return time.UnixMilli(clock.Load()) }
	return store, clock
}

// live lets the tabs refresh. Before a longer pause all of them catch up, as
// tabs do that share cookies; within the grace they may be up to eight behind.
func (s *story) live(steps int) {
	for i := range steps {
		tab := rapid.IntRange(0, len(s.tabs)-1).Draw(s.T, fmt.Sprintf("tab %d", i))
		switch rapid.IntRange(0, 9).Draw(s.T, fmt.Sprintf("what %d", i)) {
		case 0: // a pause
			for t := range s.tabs {
				s.catchUp(t)
			}
			// Two in a row must not add up to the end of the refresh token.
			left := auth.DefaultConfig().RefreshToken.TTL - s.now().Sub(s.last) - time.Minute
			s.clock.Add(rapid.Int64Range(0, max(0, min(100*time.Hour, left)).Milliseconds()).Draw(s.T, fmt.Sprintf("pause %d", i)))
		case 1, 2: // the answer is lost: the tab keeps what it knew
			s.catchUp(tab)
			s.honest(tab, true)
		case 3: // a moment passes
			s.clock.Add(rapid.Int64Range(0, 500).Draw(s.T, fmt.Sprintf("moment %d", i)))
		default:
			s.catchUp(tab)
			s.honest(tab, false)
		}
	}
}

// catchUp gives a tab the current token when its own is further behind than the
// rule answers: a browser's tabs share one cookie jar, so that this happens to
// them by themselves.
func (s *story) catchUp(tab int) {
	known := s.issued[s.tabs[tab]]
	behind := len(s.issued) - 1 - known.number
	if behind > 7 || behind > 0 && s.now().Sub(known.spent) >= grace/2 {
		s.tabs[tab] = s.head
	}
}

// replay ends the story: a thief presents a spent token past the grace, or the
// owner logs out, and every token of the session is worth nothing.
func (s *story) replay() {
	var spent []string
	for token, i := range s.issued {
		if token != s.head && i.number == 0 { // the first: the same at each run
			spent = append(spent, token)
		}
	}
	if len(spent) > 0 && rapid.Bool().Draw(s.T, "thief") {
		s.clock.Store(s.last.Add(grace).UnixMilli())
		if _, err := s.svc.Refresh(context.Background(), spent[0], home()); !errors.Is(err, auth.ErrRefreshReused) {
			s.Fatalf("a replay past the grace: %v", err)
		}
		s.ended = auth.ErrRefreshReused // the owner hears of it too
	} else {
		if err := s.svc.Logout(context.Background(), s.sid, home()); err != nil {
			s.Fatal(err)
		}
		s.ended = auth.ErrRefreshInvalid
	}
	for tab := range s.tabs {
		s.honest(tab, true)
	}
	s.tabs[0] = s.head
	s.honest(0, true)
}
