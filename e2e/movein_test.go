package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const moveInConfig = `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { level: info, format: json }
upstreams: [ { name: app, urls: ["http://127.0.0.1:1"] } ]
routes: [ { path: /, allow: [authenticated] } ]
auth:
  password: { algorithm: %s }
`

// moved is an account whose hash another program made a moment ago.
type moved struct{ program, username, password, hash string }

// moveIn has the real programs hash one password, each in all the ways that it
// knows, and gives each hash to an account.
func moveIn(t *testing.T, sections ...string) []moved {
	t.Helper()
	need(t, "/usr/bin/python3", "php", "htpasswd", "mkpasswd", "openssl")
	if err := exec.Command("/usr/bin/python3", "-c", "import django, passlib, bcrypt, argon2").Run(); err != nil {
		lack(t, "python3-django or python3-passlib")
	}
	script := filepath.Join(root(t), "auth", "legacyhash", "testdata", "vectors.py")
	cmd := exec.Command("/usr/bin/python3", append([]string{script}, sections...)...)
	cmd.Env = cleanEnv("LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	var all []moved
	for line := range strings.Lines(string(out)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		m := moved{program: parts[0], username: fmt.Sprintf("u%d", len(all)), hash: parts[2]}
		if err := json.Unmarshal([]byte(parts[1]), &m.password); err != nil {
			t.Fatal(err)
		}
		if m.password == "correct horse" { // one of each kind
			all = append(all, m)
		}
	}
	return all
}

// importAccounts puts accounts into the store by the command.
func (g *gateway) importAccounts(accounts []moved) {
	g.t.Helper()
	var lines strings.Builder
	for _, m := range accounts {
		line, err := json.Marshal(map[string]any{"username": m.username, "roles": []string{"user"}, "password_hash": m.hash})
		if err != nil {
			g.t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s\n", line)
	}
	g.write("accounts.jsonl", lines.String())
	mustRun(g.t, g.dir, "", "user", "import", "accounts.jsonl", "--config", "gateway.yaml")
}

// hashes are the stored hashes by user name, as an export shows them.
func (g *gateway) hashes() map[string]string {
	g.t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(mustRun(g.t, g.dir, "", "user", "export", "--format", "jsonl", "--config", "gateway.yaml")) {
		var row struct {
			Username     string
			PasswordHash string `json:"password_hash"`
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			g.t.Fatal(err)
		}
		found[row.Username] = row.PasswordHash
	}
	return found
}

// TestAccountsKeepTheirPasswordsWhenTheyMoveIn: whatever hashed a password, the
// account that is imported with its hash logs in with it, the hash is then the
// gateway's own, and the second login is as good as the first. A wrong password
// is refused before and after, and changes nothing.
func TestAccountsKeepTheirPasswordsWhenTheyMoveIn(t *testing.T) {
	t.Parallel()
	accounts := moveIn(t, "django", "php", "htpasswd", "openssl", "passlib")
	var few []moved // one of each program and form
	seen := map[string]bool{}
	for _, m := range accounts {
		form := m.program + m.hash[:min(6, len(m.hash))]
		if !seen[form] {
			seen[form] = true
			few = append(few, m)
		}
	}
	if len(few) < 20 {
		t.Fatalf("%d kinds of hashes, want at least 20", len(few))
	}
	g := prepare(t, fmt.Sprintf(moveInConfig, "argon2id"))
	g.importAccounts(few)
	g.start()
	for i, m := range few {
		if i%5 == 0 { // lockout would stop more of them
			tryPassword(t, g, m, "wrong horse", http.StatusUnauthorized)
			if now := g.hashes()[m.username]; now != m.hash {
				t.Errorf("%s: a wrong password changed the hash", m.program)
			}
		}
		tryPassword(t, g, m, m.password, http.StatusOK)
	}
	fresh := g.hashes()
	for _, m := range few {
		if now := fresh[m.username]; !strings.HasPrefix(now, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("%s: %.12s became %.30s", m.program, m.hash, now)
		}
	}
	for _, m := range few[:5] {
		tryPassword(t, g, m, m.password, http.StatusOK)
		tryPassword(t, g, m, "wrong horse", http.StatusUnauthorized)
	}
	if again := g.hashes(); fmt.Sprint(again) != fmt.Sprint(fresh) {
		t.Error("the second login kept a hash anew")
	}
	for _, m := range few {
		for _, hash := range []string{m.hash, fresh[m.username]} {
			if log := g.stdout.String() + g.stderr.String(); strings.Contains(log, hash) {
				t.Errorf("the log has a hash of %s", m.program)
			}
		}
	}
}

// TestNobodyIsLockedIntoTheGatewaysHashes: what it keeps in any of its ways is
// what passlib reads, so that accounts can move out as well.
func TestNobodyIsLockedIntoTheGatewaysHashes(t *testing.T) {
	t.Parallel()
	accounts := moveIn(t, "openssl")[:1]
	for algorithm, handler := range map[string]string{"argon2id": "argon2", "bcrypt": "bcrypt", "scrypt": "scrypt"} {
		t.Run(algorithm, func(t *testing.T) {
			g := prepare(t, fmt.Sprintf(moveInConfig, algorithm))
			g.importAccounts(accounts)
			g.start()
			tryPassword(t, g, accounts[0], accounts[0].password, http.StatusOK)
			hash := g.hashes()[accounts[0].username]
			for password, want := range map[string]string{accounts[0].password: "True", "wrong horse": "False"} {
				code := "import sys; from passlib import hash; print(getattr(hash, sys.argv[1]).verify(sys.argv[2], sys.argv[3]))"
				out, err := exec.Command("/usr/bin/python3", "-c", code, handler, password, hash).Output()
				if err != nil || strings.TrimSpace(string(out)) != want {
					t.Errorf("passlib says %q of %.20s and %q, want %s (%v)", out, hash, password, want, err)
				}
			}
		})
	}
}

// tryPassword logs in as an account that moved in.
func tryPassword(t *testing.T, g *gateway, m moved, password string, want int) {
	t.Helper()
	r := g.client().postJSON("/auth/login", map[string]string{"username": m.username, "password": password})
	if r.StatusCode != want {
		t.Errorf("%s: %.14s with %q: %s, want %d\n%s", m.program, m.hash, password, r.Status, want, r.body)
	}
}
