package e2e

import (
	"strings"
	"testing"
)

// TestDocsPageTriesTheEndpoints in a real browser: its one script runs under
// the page's own policy, logs in and sends what the forms say.
func TestDocsPageTriesTheEndpoints(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	g := startDemo(t)
	b.open("http://" + g.addr + "/auth/docs")
	const me = `form[data-method=GET] input[value="/auth/me"]`
	try := func() {
		b.script(`const f = document.querySelector('` + me + `').closest("form");
			f.closest("details").open = true; f.querySelector("pre").textContent = ""; f.requestSubmit()`)
	}
	told := func() string {
		text, _ := b.script(`return document.querySelector('` + me + `').closest("form").querySelector("pre").textContent`).(string)
		return text
	}
	try()
	eventually(t, "the answer to a stranger", func() bool { return strings.HasPrefix(told(), "401") })
	b.fill("#username", "alice")
	b.fill("#password", "alice-password")
	b.click("#login button")
	eventually(t, "the login", func() bool { return strings.Contains(b.text(), "sent as alice") })
	try()
	eventually(t, "alice's account", func() bool { return strings.HasPrefix(told(), "200") && strings.Contains(told(), `"username":"alice"`) })
	b.screenshot("docs")
	if got := g.audit("login"); len(got) != 1 {
		t.Errorf("logins in the audit log: %v", got)
	}
}
