package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// The scripts of restored pages: each waits up to 400 ms and then asks for
// data. One refreshes by itself before that, the other has never heard of it.
const (
	plainTab  = `<title>tab</title><script>setTimeout(() => fetch("/app/data" + location.search), 400 * Math.random())</script>`
	modernTab = `<title>tab</title><script>setTimeout(async () => { await fetch("/auth/refresh", { method: "POST" }); fetch("/app/data" + location.search) }, 400 * Math.random())</script>`
)

// TestSixteenRestoredTabsKeepTheSession closes a browser and opens it again
// with sixteen tabs, when the access token has expired: all load at once, all
// are refreshed, each rotates or repeats what another tab spent, and nobody is
// taken for a thief.
func TestSixteenRestoredTabsKeepTheSession(t *testing.T) {
	const tabs = 16
	kinds := []string{"modern", "plain"}
	if os.Getenv("POSTERN_TEST_SOAK") != "" {
		kinds = append(kinds, "modern", "modern", "modern", "plain")
	}
	l := startLegacy(t, map[string]string{"/app/plain": plainTab, "/app/modern": modernTab})
	g, site := publish(t, l, "http://127.0.0.1", "  access_token: { ttl: 2s }\n")
	profile := t.TempDir()
	b := openBrowser(t, profile, map[string]any{})
	b.open(site + "/auth/login?rd=/app/home")
	b.login("alice")
	b.at("/app/home", "ok")
	for round, kind := range kinds {
		b.close()
		time.Sleep(3 * time.Second) // the token in the profile expires
		before := len(g.audit("refresh"))
		var urls []string
		for i := range tabs {
			urls = append(urls, fmt.Sprintf("%s/app/%s?%d-%d", site, kind, round, i))
		}
		b = openBrowser(t, profile, map[string]any{"session.restore_on_startup": 4, "session.startup_urls": urls})
		data := fmt.Sprintf("/app/data?%d-", round)
		eventually(t, fmt.Sprintf("the data of %d %s tabs", tabs, kind), func() bool { return len(l.arrived(data)) >= tabs })
		for _, a := range l.arrived(data) {
			if a.user != "alice" {
				t.Errorf("%s was asked for by %q", a.target, a.user)
			}
		}
		refreshes := func() int { return len(g.audit("refresh")) - before }
		eventually(t, "the refreshes of the tabs", func() bool { return refreshes() >= map[string]int{"modern": tabs, "plain": 1}[kind] })
		t.Logf("%s: %d tabs, %d refreshes", kind, len(b.tabs()), refreshes())
	}
	time.Sleep(3 * time.Second)
	b.open(site + "/app/afterwards")
	b.at("/app/afterwards", "ok")
	for _, event := range []string{"refresh_reused", "refresh_failed"} {
		if lines := g.audit(event); len(lines) > 0 {
			t.Errorf("%d lines of %s, the first %v", len(lines), event, lines[0])
		}
	}
	judgeSessions(t, g, 1)
}
