package e2e

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// goodConfig needs nothing but the folder it lies in.
const goodConfig = `listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
upstreams:
  - { name: app, urls: ["http://127.0.0.1:1"] }
routes:
  - { path: /**, allow: authenticated }
`

// fingerprint is every file of a folder with its mode and a digest of its
// content.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s", name, info.Mode())
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %x", sha256.Sum256(content))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// refused runs a command that must end with the status, say every one of the
// words on standard error, print no log or stack instead, and leave the folder
// as it was.
func (g *gateway) refused(t *testing.T, status int, words []string, args ...string) {
	t.Helper()
	before := fingerprint(t, g.dir)
	r := run(t, g.dir, "", args...)
	if r.status != status {
		t.Errorf("postern %s: exit status %d, want %d", strings.Join(args, " "), r.status, status)
	}
	for _, word := range words {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("postern %s: standard error lacks %q:\n%s", strings.Join(args, " "), word, r.stderr)
		}
	}
	if strings.Contains(r.stderr+r.stdout, "goroutine ") || strings.Contains(r.stderr, "Usage:") {
		t.Errorf("postern %s: a stack or a page of usage in place of a message:\n%s", strings.Join(args, " "), r.stderr)
	}
	if after := fingerprint(t, g.dir); after != before {
		t.Errorf("postern %s changed the folder. Before:\n%safter:\n%s", strings.Join(args, " "), before, after)
	}
}

// TestBadConfigurationIsRefused: each mistake is named with its place, the
// start is refused with status 2, and no store or key was made on the way.
func TestBadConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, config string
		words        []string
	}{
		{"an unknown key", goodConfig + "rotues: []\n", []string{"gateway.yaml:8:1", "rotues", "routes"}},
		{"CF-04 an unknown key in a rule", strings.Replace(goodConfig, "authenticated", "{ rolse: admin }", 1), []string{"gateway.yaml:7:", "rolse", "role"}},
		{"a wrong type", strings.Replace(goodConfig, `listen: "{LISTEN}"`, "listen: [1, 2]", 1), []string{"gateway.yaml:1:", "listen"}},
		{"a list for a mapping", goodConfig + "auth: []\n", []string{"gateway.yaml:8:", "auth"}},
		{"a bare number for a duration", goodConfig + "auth: { access_token: { ttl: 15 } }\n", []string{"gateway.yaml:8:", "15", "15m"}},
		{"a duration that is none", goodConfig + "auth: { access_token: { ttl: soon } }\n", []string{"gateway.yaml:8:", "soon"}},
		{"several mistakes at once", goodConfig + "one: 1\ntwo: 2\n", []string{"gateway.yaml:8:1", "gateway.yaml:9:1"}},
		{"an empty file", "", []string{"gateway.yaml"}},
		{"a file of comments", "# nothing\n", []string{"gateway.yaml"}},
		{"two documents", goodConfig + "---\n" + goodConfig, []string{"gateway.yaml", "document"}},
		{"not YAML", "listen: [\n", []string{"gateway.yaml"}},
		{"CF-08 a key twice", goodConfig + "listen: 127.0.0.1:1\n", []string{"gateway.yaml:8:1", "listen"}},
		{"CF-08 a billion laughs", "a: &a [x,x,x,x,x,x,x,x,x]\n" + laughs() + goodConfig, []string{"gateway.yaml"}},
		{"a role nobody defined", strings.Replace(goodConfig, "authenticated", "{ role: adnim }", 1), []string{"gateway.yaml:7:", "adnim"}},
		{"an empty rule", strings.Replace(goodConfig, "authenticated", "{}", 1), []string{"gateway.yaml:7:"}},
		{"an empty list of rules", strings.Replace(goodConfig, "authenticated", "[]", 1), []string{"gateway.yaml:7:"}},
		{"a route that allows nothing at all", strings.Replace(goodConfig, ", allow: authenticated", "", 1), []string{"gateway.yaml:7:", "allow"}},
		{"an unknown upstream", strings.Replace(goodConfig, "allow:", "upstream: ap, allow:", 1), []string{"gateway.yaml:7:", "ap"}},
		{"an upstream that is no URL", strings.Replace(goodConfig, "http://127.0.0.1:1", "127.0.0.1", 1), []string{"gateway.yaml:5:"}},
		{"CF-07 a route for all methods beside one for some", goodConfig + "  - { path: /**, methods: [GET], allow: anyone }\n", []string{"gateway.yaml:8:"}},
		{"CF-09 a path without a slash", strings.Replace(goodConfig, "/**", "public/**", 1), []string{"gateway.yaml:7:"}},
		{"CF-09 a path with dots", strings.Replace(goodConfig, "/**", "/a/../b", 1), []string{"gateway.yaml:7:"}},
		{"CF-09 a path with a query", strings.Replace(goodConfig, "/**", `"/x?y"`, 1), []string{"gateway.yaml:7:"}},
		{"CF-09 a path with an encoded slash", strings.Replace(goodConfig, "/**", "/a%2fb", 1), []string{"gateway.yaml:7:"}},
		{"CF-09 two rests", strings.Replace(goodConfig, "/**", "/**/**", 1), []string{"gateway.yaml:7:"}},
		{"CF-09 a star inside a segment", strings.Replace(goodConfig, "/**", "/pub*", 1), []string{"gateway.yaml:7:"}},
		{"an algorithm nobody signs with", goodConfig + "auth: { access_token: { algorithm: none } }\n", []string{"gateway.yaml:8:", "none", "ES256"}},
		{"a role that a header would split", goodConfig + "auth: { roles: [\"user,admin\"] }\n", []string{"gateway.yaml:8:"}},
		{"what a later version brings", goodConfig + "rate_limit: 1\n", []string{"gateway.yaml:8:"}},
		{"PostgreSQL, which a later version brings", goodConfig + "store: { driver: postgres, dsn: \"postgres://\" }\n", []string{"gateway.yaml:8:", "later version"}},
		{"a role for strangers that does not exist", goodConfig + "auth: { registration: { enabled: true, default_roles: [member] } }\n", []string{"gateway.yaml:8:", "auth.registration.default_roles[0]", "member", "user, admin"}},
		{"a list of breached passwords that is not there", goodConfig + "auth: { password: { breached_file: none.txt } }\n", []string{"gateway.yaml:8:", "auth.password.breached_file", "none.txt"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := prepare(t, test.config)
			g.refused(t, 2, test.words, "serve", "--config", "gateway.yaml")
			g.refused(t, 2, test.words, "config", "check", "gateway.yaml")
		})
	}
}

func laughs() string {
	var b strings.Builder
	for c := 'b'; c < 'p'; c++ {
		fmt.Fprintf(&b, "%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ","))
	}
	return b.String()
}

// TestBadSurroundingsAreRefused: the file is good and the world is not.
func TestBadSurroundingsAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		status int
		words  []string
		spoil  func(t *testing.T, g *gateway)
	}{
		{"a store that is not a database", 1, []string{"postern.db", "database"}, func(t *testing.T, g *gateway) {
			g.write("postern.db", "Dear diary, today I was opened as a database.\n"+strings.Repeat("x", 5000))
		}},
		{"a store of somebody else's", 1, []string{"postern.db"}, func(t *testing.T, g *gateway) {
			execSQL(t, g, "CREATE TABLE recipes (name TEXT)")
		}},
		{"a newer schema", 1, []string{"postern.db", "newer"}, func(t *testing.T, g *gateway) {
			g.addUser("alice", "user")
			execSQL(t, g, "PRAGMA user_version = 9999")
		}},
		{"a key file that is none", 1, []string{"postern.key"}, func(t *testing.T, g *gateway) {
			g.write("postern.key", "hunter2\n")
		}},
		{"an empty key file", 1, []string{"postern.key"}, func(t *testing.T, g *gateway) {
			g.write("postern.key", "")
		}},
		{"a folder for a key file", 1, []string{"postern.key"}, func(t *testing.T, g *gateway) {
			if err := os.Mkdir(filepath.Join(g.dir, "postern.key"), 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"no key file where the store has keys", 1, []string{"postern.key", "backup"}, func(t *testing.T, g *gateway) {
			g.addUser("alice", "user")
			removeFile(t, g.dir, "postern.key")
		}},
		{"another store's key file", 1, []string{"key"}, func(t *testing.T, g *gateway) {
			g.addUser("alice", "user")
			g.write("postern.key", strings.Repeat("5a", 32)+"\n")
		}},
		{"no folder for the store", 1, []string{"nowhere"}, func(t *testing.T, g *gateway) {
			g.configure(goodConfig + "store: { path: nowhere/postern.db }\n")
		}},
		{"no configuration", 2, []string{"gateway.yaml"}, func(t *testing.T, g *gateway) {
			removeFile(t, g.dir, "gateway.yaml")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := prepare(t, goodConfig)
			test.spoil(t, g)
			g.refused(t, test.status, test.words, "serve", "--config", "gateway.yaml")
		})
	}
}

// execSQL changes the store behind Postern's back, and leaves one whole file.
func execSQL(t *testing.T, g *gateway, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(g.dir, "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{statement, "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUnreadableKeyFileIsRefused runs as a user whom the mode of the file
// stops; root is stopped by none.
func TestUnreadableKeyFileIsRefused(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Log("not root: running as oneself")
	}
	g := prepare(t, goodConfig)
	g.addUser("alice", "user")
	const nobody = 65534
	err := filepath.WalkDir(g.dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && os.Getuid() == 0 {
			err = os.Chown(path, nobody, nobody)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(g.dir, "postern.key"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(g.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(g.dir, "postern") // where nobody may run it
	binary, err := os.ReadFile(postern(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", "--config", "gateway.yaml")
	cmd.Dir, cmd.Env = g.dir, cleanEnv()
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	before, err := os.ReadFile(filepath.Join(g.dir, "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("serve with an unreadable key: %v, want exit status 1", err)
	}
	if !strings.Contains(string(out), "postern.key") || !strings.Contains(string(out), "permission denied") {
		t.Errorf("it says %s", out)
	}
	after, err := os.ReadFile(filepath.Join(g.dir, "postern.db"))
	if err != nil || string(before) != string(after) {
		t.Errorf("the store changed (%v)", err)
	}
}

// TestPortInUseIsRefused: a taken address ends the start, of either listener.
func TestPortInUseIsRefused(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"listen", "admin"} {
		t.Run(key, func(t *testing.T) {
			g := prepare(t, goodConfig)
			g.addUser("alice", "user") // a start makes the store, which is no damage; that was not asked here
			addr := g.addr
			if key == "admin" {
				addr = g.admin
			}
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			g.refused(t, 1, []string{addr, "already"}, "serve", "--config", "gateway.yaml")
		})
	}
}

// TestBadUsageIsRefused: wrong words on the command line are status 2.
func TestBadUsageIsRefused(t *testing.T) {
	t.Parallel()
	g := prepare(t, goodConfig)
	for _, args := range [][]string{
		{"srve"}, {"serve", "--no-such-flag"}, {"serve", "too", "many"}, {"user", "ad", "x"}, {"config", "check", "a", "b"},
		{"user", "list", "--output", "xml"}, {"init", "gateway.yaml", "more"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			before := fingerprint(t, g.dir)
			if r := run(t, g.dir, "", args...); r.status != 2 || r.stderr == "" {
				t.Errorf("exit status %d, standard error %q", r.status, r.stderr)
			}
			if after := fingerprint(t, g.dir); after != before {
				t.Errorf("it changed the folder:\n%s", after)
			}
		})
	}
	t.Run("init overwrites nothing", func(t *testing.T) {
		g.refused(t, 1, []string{"gateway.yaml"}, "init")
	})
}
