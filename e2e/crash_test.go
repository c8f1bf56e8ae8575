package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"
)

// walker refreshes one session again and again. It knows the last token that it
// was given, and nothing of whether a lost answer was a lost request.
type walker struct {
	g         *gateway
	c         *client
	current   tokens
	refreshed int
}

// step asks for the next token. An answer that does not come leaves the walker
// with the token that it has: it will ask with it again.
func (w *walker) step(t *testing.T) bool {
	r, err := w.c.try("POST", "/auth/refresh", `{"refresh_token":"`+w.current.RefreshToken+`"}`, "Content-Type: application/json")
	if err != nil {
		return false
	}
	if r.StatusCode != http.StatusOK {
		t.Errorf("a refresh of a live session: %s\n%s", r.Status, r.body)
		return false
	}
	var next tokens
	if err := json.Unmarshal([]byte(r.body), &next); err != nil {
		t.Errorf("a refresh answered half: %v", err)
		return false
	}
	w.current = next
	w.refreshed++
	return true
}

// TestKillDuringRefreshesLosesNothing cuts the power, as far as a process can
// tell, while many clients refresh, and starts again. Every client tries its
// last token once more and goes on; none has a second session.
func TestKillDuringRefreshesLosesNothing(t *testing.T) {
	const clients = 24
	rounds := 4
	if soak, err := time.ParseDuration(os.Getenv("POSTERN_TEST_SOAK")); err == nil {
		rounds = max(rounds, int(soak/(5*time.Second)))
	}
	g, _ := startPolicy(t, "")
	walkers := make([]*walker, clients)
	for i := range walkers {
		c := g.client()
		walkers[i] = &walker{g: g, c: c, current: c.login([]string{"alice", "root"}[i%2])}
	}
	for round := range rounds {
		var wg sync.WaitGroup
		for _, w := range walkers {
			wg.Go(func() {
				for w.step(t) {
				}
			})
		}
		time.Sleep(time.Duration(200+rand.IntN(400)) * time.Millisecond)
		g.kill()
		wg.Wait()
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		g.start()
		for i, w := range walkers {
			w.c.http.CloseIdleConnections()
			for range 2 { // the retry, and one more: the session goes on
				if !w.step(t) {
					t.Fatalf("round %d: client %d is out after %d refreshes", round, i, w.refreshed)
				}
			}
			w.c.get("/app/home", bearer(w.current.AccessToken)).want(t, 200, "a page with the new token")
		}
	}
	total := 0
	for _, w := range walkers {
		total += w.refreshed
	}
	t.Logf("%d refreshes by %d clients, %d kills", total, clients, rounds)
	if total < clients*rounds*3 {
		t.Errorf("only %d refreshes: nothing was going on when the process was killed", total)
	}
	judgeSessions(t, g, clients)
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
	g, _ := startPolicy(t, "")
	got := g.client().login("alice")
	g.client().do("POST", "/auth/logout", "", bearer(got.AccessToken)).want(t, 204, "logout")
	g.kill()
	g.start()
	g.client().refresh(got.RefreshToken).want(t, 401, "refresh after logout and kill")
	g.client().get("/app/home", bearer(got.AccessToken)).want(t, 401, "the access token after logout and kill")
}
