package main

import (
	"strings"
	"testing"
)

// HS-059: a role that holds a separator or a line end becomes two in a header.
func TestHS059RoleNamesOnTheCommandLineCannotBeSplit(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, role := range []string{"user\r\nX-Auth-Roles: admin", "user\n", "user\tadmin", "user|admin", `"user"`} {
		status, _, stderr := command(t, "a long password\n", "user", "add", "eve", "--role", role)
		if status != exitUsage || !strings.Contains(stderr, "roles") {
			t.Errorf("%q: status %d, %s", role, status, stderr)
		}
	}
	if _, out, _ := command(t, "", "user", "list", "-o", "json"); out != "[]\n" {
		t.Errorf("somebody was added: %s", out)
	}
}

func TestRolesComeSeparatelyOrWithCommas(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, args := range map[string][]string{
		"one": {"--role", "user", "--role", "admin"}, "two": {"--role", "user,admin"}, "three": {"--role=user, admin"},
	} {
		if status, _, stderr := command(t, "a long password\n", append([]string{"user", "add", name}, args...)...); status != exitDone {
			t.Fatal(stderr)
		}
		if _, out, _ := command(t, "", "user", "show", name); !strings.Contains(out, "user,admin") {
			t.Errorf("%v: %s", args, out)
		}
	}
	if status, _, stderr := command(t, "", "user", "set", "one", "--role="); status != exitDone {
		t.Fatal(stderr)
	}
	if _, out, _ := command(t, "", "user", "show", "one"); strings.Contains(out, "user,admin") {
		t.Errorf("the roles were not taken away: %s", out)
	}
}
