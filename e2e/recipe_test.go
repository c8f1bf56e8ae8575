package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// recipe is a file of deploy/recipes with the addresses and paths of this test in
// place of its own. Each of them must be in it: all else is as users paste it.
func recipe(t testing.TB, name string, fill ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "deploy", "recipes", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fill); i += 2 {
		if !strings.Contains(string(text), fill[i]) {
			t.Fatalf("deploy/recipes/%s has no %q", name, fill[i])
		}
	}
	return strings.NewReplacer(fill...).Replace(string(text))
}

// prepareRecipe makes a gateway of a recipe before an application. The recipe
// says nothing of the admin listener and of the log, which have their defaults.
func prepareRecipe(t testing.TB, name, publicURL, appURL string, application app) *gateway {
	t.Helper()
	g := prepare(t, recipe(t, name, "127.0.0.1:8080", "{LISTEN}", publicURL, "{URL}", appURL, "http://"+application.addr))
	g.env = append(g.env, "POSTERN_ADMIN_LISTEN="+g.admin, "POSTERN_LOG_FORMAT=json")
	return g
}

// appPassword is what the recipe has a user ask for, for a program that knows
// Basic alone.
func (c *client) appPassword(name string) string {
	c.t.Helper()
	r := c.postJSON("/auth/app-password", map[string]string{"username": name, "password": passwordOf(name)}).want(c.t, 200, "an application password")
	var answer struct {
		Username, Password string
		ExpiresIn          int `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || answer.Username != name || answer.Password == "" || answer.ExpiresIn != 30*24*3600 {
		c.t.Fatalf("an application password: %v in %s", err, r.body)
	}
	return answer.Password
}

// tool runs a program to its end, and answers what it said and whether it was
// content.
func tool(t testing.TB, dir string, env []string, name string, args ...string) (said string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C.UTF-8"}, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %s did not end within %s\n%s", name, strings.Join(args, " "), patience, out.String())
	}
	return out.String(), err == nil
}

// mustTool is tool for a program that has to be content.
func mustTool(t testing.TB, dir string, env []string, name string, args ...string) string {
	t.Helper()
	said, ok := tool(t, dir, env, name, args...)
	if !ok {
		t.Fatalf("%s %s\n%s", name, strings.Join(args, " "), said)
	}
	return said
}

// sessionsOf are the ids of a user's sessions, newest first; " current" stands
// behind the one of the token.
func (c *client) sessionsOf(token string) []string {
	c.t.Helper()
	r := c.get("/auth/sessions", bearer(token)).want(c.t, 200, "the sessions")
	var answer struct {
		Sessions []struct {
			ID      string
			Current bool
		}
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
		c.t.Fatalf("%v in %s", err, r.body)
	}
	var ids []string
	for _, s := range answer.Sessions {
		if s.Current {
			s.ID += " current"
		}
		ids = append(ids, s.ID)
	}
	return ids
}

// TestTheRecipesAreGood: each gateway.yaml of deploy/recipes, and the tests of
// its policy, which run with the check.
func TestTheRecipesAreGood(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "deploy", "recipes", "*", "gateway.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no recipes: ", err)
	}
	for _, file := range files {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		if r := run(t, t.TempDir(), "", "config", "check", path); r.status != 0 || r.stderr != "" {
			t.Errorf("%s: %s%s", file, r.stdout, r.stderr)
		}
		if !strings.Contains(read(t, strings.TrimPrefix(file, "../")), "\ntests:\n") {
			t.Errorf("%s has no tests of its policy", file)
		}
	}
}
