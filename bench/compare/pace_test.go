package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// timing is a contender that answers by a handler, and has one token.
func timing(t *testing.T, h http.HandlerFunc) *contender {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c := &contender{address: server.Listener.Addr().String(), tokens: filepath.Join(t.TempDir(), "tokens")}
	if err := os.WriteFile(c.tokens, []byte("only\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAPaceIsKeptWhateverIsAnsweredSlowly counts requests, and looks for those
// that had to wait for the connection that one answer held up.
func TestAPaceIsKeptWhateverIsAnsweredSlowly(t *testing.T) {
	t.Parallel()
	const held = 200 * time.Millisecond
	var asked atomic.Int64
	c := timing(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer only" {
			t.Errorf("asked with %q", r.Header.Get("Authorization"))
		}
		if asked.Add(1) == 1 {
			time.Sleep(held)
		}
	})
	took, err := pace(c, 10*pacedConnections, 500*time.Millisecond) // each connection asks every 100 ms
	if err != nil {
		t.Fatal(err)
	}
	if want := 5 * pacedConnections; len(took) != want || asked.Load() != int64(want) {
		t.Errorf("%d requests, %d of them timed, want %d", asked.Load(), len(took), want)
	}
	slow := 0
	for _, ms := range took {
		if ms >= float64(held.Milliseconds())/2 {
			slow++
		}
	}
	if slow < 2 {
		t.Errorf("%d requests were slow: the one that was held up, and the next on its connection was due meanwhile", slow)
	}
}

func TestAPaceWithAWrongAnswerIsNone(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	c := timing(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 5 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	if _, err := pace(c, 1000, 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("%v, want the status", err)
	}
	c.tokens += ".gone"
	if _, err := pace(c, 1000, time.Millisecond); err == nil {
		t.Error("it asks without tokens")
	}
}
