package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// family is one login and what its client knows of it: the tokens that it was
// given, the last one current. It knows nothing of whether a lost answer was a
// lost request.
type family struct {
	current tokens
	spent   []string
}

// walker is a client that refreshes its sessions again and again, one at a time.
type walker struct {
	c        *client
	families []*family
}

// errStopped says that a walker was told to stop while the gateway was away.
var errStopped = errors.New("stopped")

// refresh asks for the next token of a session until it is answered, with the
// token that it has: that is all a client can do whose answer was lost.
func (w *walker) refresh(f *family, stop <-chan struct{}) error {
	for {
		r, err := w.c.try("POST", "/auth/refresh", `{"refresh_token":"`+f.current.RefreshToken+`"}`, "Content-Type: application/json")
		if err != nil { // the gateway was killed, or is not up again
			select {
			case <-stop:
				return errStopped
			case <-time.After(20 * time.Millisecond):
				continue
			}
		}
		var next tokens
		if err := json.Unmarshal([]byte(r.body), &next); err != nil || r.StatusCode != http.StatusOK {
			return fmt.Errorf("a refresh of a live session after %d: %s %v\n%s", len(f.spent), r.Status, err, r.body)
		}
		if before, after := counter(f.current.RefreshToken), counter(next.RefreshToken); after != before+1 {
			return fmt.Errorf("token %d was followed by token %d: somebody else has one between", before, after)
		}
		f.spent = append(f.spent, f.current.RefreshToken)
		f.current = next
		return nil
	}
}

// counter is the number of a refresh token in its session.
func counter(token string) int64 {
	parts := strings.Split(token, ".")
	if len(parts) < 2 {
		return -1
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// walk refreshes until it is stopped; done counts.
func (w *walker) walk(stop <-chan struct{}, done *atomic.Int64) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := w.refresh(w.families[rand.IntN(len(w.families))], stop); err != nil {
			return err
		}
		done.Add(1)
	}
}

// startWalkers logs in as often as there are to be sessions and deals them out.
// Four at a time: more would only wait for the password hashes.
func startWalkers(g *gateway, sessions, clients int) []*walker {
	walkers := make([]*walker, clients)
	for i := range walkers {
		walkers[i] = &walker{c: g.client()}
	}
	families := make([]*family, sessions)
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			c := g.client()
			for i := part; i < sessions; i += 4 {
				r, err := c.try("POST", "/auth/login", `{"username":"alice","password":"`+passwordOf("alice")+`"}`, "Content-Type: application/json")
				f := &family{}
				if err != nil || r.StatusCode != http.StatusOK || json.Unmarshal([]byte(r.body), &f.current) != nil {
					g.t.Errorf("login %d: %v\n%s", i, err, r.body)
					return
				}
				families[i] = f
			}
		})
	}
	wg.Wait()
	if g.t.Failed() {
		g.t.FailNow()
	}
	for i, f := range families {
		walkers[i%clients].families = append(walkers[i%clients].families, f)
	}
	return walkers
}

// TestKillDuringRefreshesLosesNothing cuts the power, as far as a process can
// tell, while many clients refresh, and starts again, over and over. No client
// ever loses its session or has a second one, and when all is over no token
// that was spent works again. The soak is the form that the project promises:
// 1,000 sessions, 64 clients, twenty kills.
func TestKillDuringRefreshesLosesNothing(t *testing.T) {
	t.Parallel()
	sessions, clients, kills := 64, 16, 5
	if os.Getenv("POSTERN_TEST_SOAK") != "" {
		sessions, clients, kills = 1000, 64, 20
	}
	g, _ := startPolicy(t, "  refresh_token: { reuse_grace: 30s }\n")
	walkers := startWalkers(g, sessions, clients)
	stop, done := make(chan struct{}), &atomic.Int64{}
	var wg sync.WaitGroup
	for _, w := range walkers {
		wg.Go(func() {
			if err := w.walk(stop, done); err != nil && !errors.Is(err, errStopped) {
				t.Error(err)
			}
		})
	}
	for range kills {
		before := done.Load()
		eventually(t, "every client is at work", func() bool { return done.Load() >= before+int64(10*clients) || t.Failed() })
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		g.kill()
		g.start()
	}
	before := done.Load()
	eventually(t, "every client goes on", func() bool { return done.Load() >= before+int64(10*clients) || t.Failed() })
	close(stop)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Logf("%d refreshes of %d sessions by %d clients, %d kills", done.Load(), sessions, clients, kills)
	judgeSessions(t, g, sessions)
	each(walkers, func(w *walker, f *family) {
		if err := w.refresh(f, stop); err != nil {
			t.Error(err)
		}
		if r, err := w.c.try("GET", "/app/home", "", bearer(f.current.AccessToken)); err != nil || r.StatusCode != http.StatusOK {
			t.Errorf("a page with the last access token: %v\n%s", err, r.body)
		}
	})
	judgeSpentTokens(t, g, walkers)
}

// each does something for every session, each client its own at a time.
func each(walkers []*walker, do func(*walker, *family)) {
	var wg sync.WaitGroup
	for _, w := range walkers {
		wg.Go(func() {
			for _, f := range w.families {
				do(w, f)
			}
		})
	}
	wg.Wait()
}

// judgeSpentTokens shortens the grace and waits for its end; then one spent
// token of each session, an old one or the last, must end it, for everybody.
func judgeSpentTokens(t *testing.T, g *gateway, walkers []*walker) {
	t.Helper()
	g.amend("reuse_grace: 30s", "reuse_grace: 1s")
	time.Sleep(1100 * time.Millisecond) // past the grace, that of a session and that of the start
	var sessions atomic.Int64
	each(walkers, func(w *walker, f *family) {
		sessions.Add(1)
		for i, token := range []string{f.spent[rand.IntN(len(f.spent))], f.current.RefreshToken} {
			r, err := w.c.try("POST", "/auth/refresh", `{"refresh_token":"`+token+`"}`, "Content-Type: application/json")
			if err != nil || r.StatusCode != http.StatusUnauthorized || r.code() != "refresh_reused" {
				t.Errorf("%s: %v\n%s", []string{"a spent token after the grace", "the last token after that"}[i], err, r.body)
			}
		}
		if r, err := w.c.try("GET", "/app/home", "", bearer(f.current.AccessToken)); err != nil || r.code() != "token_revoked" {
			t.Errorf("the last access token after that: %v\n%s", err, r.body)
		}
	})
	eventually(t, "one audit line for each session", func() bool { return len(g.audit("refresh_reused")) == int(sessions.Load()) })
	judgeSessions(t, g, 0)
}

// judgeSessions wants one live session for each client, no more and no less.
func judgeSessions(t *testing.T, g *gateway, want int) {
	t.Helper()
	var sessions []struct{ ID, User string }
	out := mustRun(t, g.dir, "", "session", "list", "--output", "json", "--config", "gateway.yaml")
	if err := json.Unmarshal([]byte(out), &sessions); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(sessions) != want {
		t.Errorf("%d sessions are live, want %d: one for each login", len(sessions), want)
	}
}

// TestKillDuringLoginsLeavesAWholeStore: what was answered is there after the
// cut, and the store opens.
func TestKillDuringLoginsLeavesAWholeStore(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	var mu sync.Mutex
	var answered []tokens
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, err := g.client().try("POST", "/auth/login", `{"username":"alice","password":"`+passwordOf("alice")+`"}`, "Content-Type: application/json")
				if err != nil {
					return
				}
				var got tokens
				if r.StatusCode == 200 && json.Unmarshal([]byte(r.body), &got) == nil {
					mu.Lock()
					answered = append(answered, got)
					mu.Unlock()
				}
			}
		})
	}
	eventually(t, "some logins", func() bool { mu.Lock(); defer mu.Unlock(); return len(answered) >= 4 })
	g.kill()
	close(stop)
	wg.Wait()
	g.start()
	for i, got := range answered {
		g.client().refresh(got.RefreshToken).want(t, 200, "a session whose login was answered")
		if i > 20 {
			break
		}
	}
}

// TestLogoutIsDurable: a logout that was answered holds after a kill at once.
func TestLogoutIsDurable(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	got := g.client().login("alice")
	g.client().do("POST", "/auth/logout", "", bearer(got.AccessToken)).want(t, 204, "logout")
	g.kill()
	g.start()
	g.client().refresh(got.RefreshToken).want(t, 401, "refresh after logout and kill")
	g.client().get("/app/home", bearer(got.AccessToken)).want(t, 401, "the access token after logout and kill")
}
