package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestRecipeOfGrafanaSaysWhatGrafanaReads: a stand-in for Grafana is told the
// headers that the recipe's grafana.ini names, by Postern alone.
func TestRecipeOfGrafanaSaysWhatGrafanaReads(t *testing.T) {
	t.Parallel()
	settings := map[string]string{}
	for line := range strings.Lines(recipe(t, "grafana/grafana.ini")) {
		if name, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, ";") {
			settings[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	up := newRecorder(t)
	g := prepareRecipe(t, "grafana", "/etc/postern/cert.pem", "cert.pem", "/etc/postern/key.pem", "cert.key", "127.0.0.1:3000", up.addr)
	g.writeCertificate("grafana.example.com")
	g.addUser("alice", "user")
	g.addUser("root", "user", "admin")
	mustRun(t, g.dir, "", "user", "set", "alice", "--name", "Alice Müller", "--field", "grafana_role=Editor", "--config", "gateway.yaml")
	g.start()

	for _, test := range []struct {
		name string
		want map[string]string // by Grafana's own word; empty: nothing is said
	}{
		{"alice", map[string]string{"Name": "Alice Müller", "Email": "alice@example.com", "Groups": "user", "Role": "Editor"}},
		{"root", map[string]string{"Name": "", "Email": "root@example.com", "Groups": "user,admin", "Role": ""}},
	} {
		c := g.visitor("https://grafana.example.com")
		token := c.login(test.name).AccessToken
		up.take()
		c.get("/api/user", bearer(token), "X-WEBAUTH-ROLE: Admin", "x-webauth-role: Admin", "X_WEBAUTH_USER: mallory", "X-WEBAUTH-USER: mallory", "X-WEBAUTH-GROUPS: mallory").want(t, 200, "Grafana")
		seen := up.take()
		if len(seen) != 1 {
			t.Fatalf("Grafana was asked %d times", len(seen))
		}
		told := map[string]string{settings["header_name"]: test.name}
		for pair := range strings.FieldsSeq(settings["headers"]) {
			word, header, _ := strings.Cut(pair, ":")
			told[header] = test.want[word]
		}
		for header, want := range told {
			if got := seen[0].values(header); want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{want}) {
				t.Errorf("of %s Grafana was told %s: %q, want %q", test.name, header, got, want)
			}
		}
		if strings.Contains(seen[0].raw, "mallory") || len(told) != 5 || len(seen[0].values("Authorization")) > 0 {
			t.Errorf("Grafana was told %s, by %v", seen[0].raw, told)
		}
	}
}
