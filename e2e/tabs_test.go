package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
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
// taken for a thief. Over https all requests share one HTTP/2 connection and
// none waits for another; over http six go at a time.
func TestSixteenRestoredTabsKeepTheSession(t *testing.T) {
	t.Parallel()
	rounds := 1
	if os.Getenv("POSTERN_TEST_SOAK") != "" {
		rounds = 5
	}
	for _, test := range []struct{ public, page string }{
		{"https://tabs.test", "modern"}, {"http://127.0.0.1", "modern"}, {"http://127.0.0.1", "plain"},
	} {
		t.Run(test.page+" pages over "+test.public, func(t *testing.T) {
			l := startLegacy(t, map[string]string{"/app/plain": plainTab, "/app/modern": modernTab})
			g, site := publish(t, l, test.public, "  access_token: { ttl: 2s }\n")
			profile := t.TempDir()
			b := openBrowser(t, profile, map[string]any{})
			b.open(site + "/auth/login?rd=/app/home")
			b.login("alice")
			b.at("/app/home", "ok")
			for round := range rounds {
				b.close()
				time.Sleep(3 * time.Second) // the token in the profile expires
				b = restoreTabs(t, profile, g, l, fmt.Sprintf("%s/app/%s?%d-", site, test.page, round))
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
		})
	}
}

// restoreTabs opens a browser with sixteen tabs and waits for the data of each;
// url is the page's, but for the number of the tab.
func restoreTabs(t *testing.T, profile string, g *gateway, l *legacy, url string) *browser {
	t.Helper()
	const tabs = 16
	before := len(g.audit("refresh"))
	var urls []string
	for i := range tabs {
		urls = append(urls, url+strconv.Itoa(i))
	}
	b := openBrowser(t, profile, map[string]any{"session.restore_on_startup": 4, "session.startup_urls": urls})
	data := "/app/data" + url[strings.IndexByte(url, '?'):]
	eventually(t, "the data of every tab", func() bool { return len(l.arrived(data)) >= tabs })
	for _, a := range l.arrived(data) {
		if a.user != "alice" {
			t.Errorf("%s was asked for by %q", a.target, a.user)
		}
	}
	refreshes := len(g.audit("refresh")) - before
	t.Logf("%d tabs, %d refreshes", len(b.tabs()), refreshes)
	if refreshes == 0 || strings.Contains(url, "modern") && refreshes < tabs {
		t.Errorf("%d tabs made %d refreshes", tabs, refreshes)
	}
	return b
}
