package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

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
