package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const importConfig = `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { level: info, format: json }
upstreams: [ { name: app, urls: ["http://127.0.0.1:1"] } ]
routes: [ { path: /, allow: authenticated } ]
`

// TestAnHTPasswdFileIsImportedWhileTheGatewayServes: the file is Apache's own
// program's, in each way that it hashes, and counts at once.
func TestAnHTPasswdFileIsImportedWhileTheGatewayServes(t *testing.T) {
	t.Parallel()
	need(t, "htpasswd")
	g := prepare(t, importConfig)
	g.addUser("alice", "user")
	g.start()
	file := filepath.Join(g.dir, "staff")
	create := "-c"
	for _, kind := range []string{"-B", "-m", "-s", "-2", "-5"} {
		args := []string{"-b" + create[min(1, len(create)):] + kind[1:], file, "user" + kind, "password of " + kind}
		if out, err := exec.Command("htpasswd", args...).CombinedOutput(); err != nil {
			t.Fatalf("htpasswd %v: %v\n%s", args, err, out)
		}
		create = ""
		g.client().tryLogin("user"+kind, "password of "+kind).want(t, 401, "before the import")
	}
	mustRun(t, g.dir, "", "user", "import", "staff", "--role", "user", "--config", "gateway.yaml")
	for _, kind := range []string{"-B", "-m", "-s", "-2", "-5"} {
		got := g.client().tokens(g.client().tryLogin("user"+kind, "password of "+kind).want(t, 200, "after the import"))
		if strings.Join(got.User.Roles, ",") != "user" {
			t.Errorf("user%s has the roles %v", kind, got.User.Roles)
		}
	}
}

// djangoUsers has Django itself make users, and writes its table out as CSV.
const djangoUsers = `
import csv, sys, django
from django.core.management import call_command
django.setup()
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
from django.db import connection
User.objects.create_user("dj", "dj@example.org", "django-password", first_name="Di", last_name='J"ango, the first')
User.objects.create_user("gone", "gone@example.org", "gone-password", is_active=False)
User.objects.create_user("headless", "headless@example.org")
User.objects.create_superuser("boss@example.org", "boss@example.org", "boss-password")
with connection.cursor() as cursor:
    cursor.execute("SELECT * FROM auth_user ORDER BY id")
    out = csv.writer(sys.stdout)
    out.writerow([column[0] for column in cursor.description])
    out.writerows(cursor)
`

// TestADjangoTableIsImported: the table is a real Django's.
func TestADjangoTableIsImported(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import django").Run(); err != nil {
		lack(t, "django for "+python)
	}
	cmd := exec.Command(python, "-c", djangoUsers)
	cmd.Dir, cmd.Stderr = filepath.Join("testdata", "django"), os.Stderr
	cmd.Env = cleanEnv("DJANGO_SETTINGS_MODULE=intranet.settings", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=.", "DATABASE="+filepath.Join(t.TempDir(), "django.db"))
	table, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	g := prepare(t, importConfig)
	g.addUser("alice", "user")
	g.start()
	g.write("auth_user.csv", string(table))
	said := run(t, g.dir, "", "user", "import", "auth_user.csv", "--dry-run", "--role", "user", "--config", "gateway.yaml")
	if said.status != 0 || !strings.Contains(said.stdout, "imports 4 accounts (1 disabled, 1 without a password)") || !strings.Contains(said.stderr, "last_login, is_superuser, is_staff") {
		t.Fatalf("the dry run says %+v", said)
	}
	g.client().tryLogin("dj", "django-password").want(t, 401, "after a dry run")
	mustRun(t, g.dir, "", "user", "import", "auth_user.csv", "--role", "user", "--config", "gateway.yaml")
	got := g.client().tokens(g.client().tryLogin("dj@example.org", "django-password").want(t, 200, "by the address")).User
	if got.ID != "1" || got.Username != "dj" || got.Name != `Di J"ango, the first` {
		t.Errorf("dj is %+v", got)
	}
	g.client().tryLogin("boss@example.org", "boss-password").want(t, 200, "whose username is an address")
	g.client().tryLogin("gone", "gone-password").want(t, 401, "who was not active")
	g.client().tryLogin("headless", "headless-password").want(t, 401, "who has no password")
}

// TestFiftyThousandAccountsAreImportedAndExported: all of them in one go, and
// all or none. With the race detector, which is ten times slower, it is fewer.
func TestFiftyThousandAccountsAreImportedAndExported(t *testing.T) {
	t.Parallel()
	many := 50_000
	if raceEnabled {
		many = 5_000
	}
	g := prepare(t, importConfig)
	var table strings.Builder
	table.WriteString("id,username,email,roles,password_hash\n")
	for i := range many {
		fmt.Fprintf(&table, "%d,user-%d,user-%d@example.org,user,$2y$05$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS\n", i, i, i)
	}
	g.write("spoilt.csv", table.String()+"x,USER-7,,,\n")
	said := run(t, g.dir, "", "user", "import", "spoilt.csv", "--config", "gateway.yaml")
	want := fmt.Sprintf("spoilt.csv:%d: USER-7: username: is taken by line 9\nnothing was imported: 1 of %d accounts are wrong\n", many+2, many+1)
	if said.status != 1 || !strings.HasSuffix(said.stderr, want) {
		t.Fatalf("status %d, %.2000s", said.status, said.stderr)
	}
	g.write("users.csv", table.String())
	if out := mustRun(t, g.dir, "", "user", "import", "users.csv", "--config", "gateway.yaml"); !strings.HasPrefix(out, fmt.Sprintf("imported %d accounts", many)) {
		t.Fatal(out)
	}
	exported := mustRun(t, g.dir, "", "user", "export", "--config", "gateway.yaml")
	if n := strings.Count(exported, "\n"); n != many+1 {
		t.Errorf("%d lines were exported", n)
	}
}

// TestAccountsMoveFromOneGatewayToAnother: what one exports while it serves, the
// other imports while it serves, and everybody logs in there as before.
func TestAccountsMoveFromOneGatewayToAnother(t *testing.T) {
	t.Parallel()
	from, to := prepare(t, importConfig), prepare(t, importConfig)
	for _, name := range []string{"alice", "bob", "carol"} {
		from.addUser(name, "user")
	}
	mustRun(t, from.dir, "", "user", "set", "alice", "--name", `Alice, "the" = 漢字`, "--role", "user", "--role", "admin", "--config", "gateway.yaml")
	mustRun(t, from.dir, "", "user", "disable", "carol", "--config", "gateway.yaml")
	to.addUser("root", "admin")
	from.start()
	to.start()
	was := from.client().login("alice").User
	for _, file := range []string{"users.csv", "users.jsonl"} {
		mustRun(t, from.dir, "", "user", "export", filepath.Join(to.dir, file), "--config", "gateway.yaml")
		mustRun(t, to.dir, "", "user", "import", file, "--config", "gateway.yaml")
		is := to.client().login("alice").User
		if fmt.Sprint(is) != fmt.Sprint(was) {
			t.Errorf("%s: alice was %+v, is %+v", file, was, is)
		}
		to.client().login("bob")
		to.client().tryLogin("carol", passwordOf("carol")).want(t, 401, "who is disabled")
		if again := run(t, to.dir, "", "user", "import", file, "--config", "gateway.yaml"); again.status != 1 {
			t.Errorf("%s again: %+v", file, again)
		}
		for _, name := range []string{"alice", "bob", "carol"} {
			mustRun(t, to.dir, "", "user", "delete", name, "--config", "gateway.yaml")
		}
		to.client().tryLogin("alice", passwordOf("alice")).want(t, 401, "who was deleted")
	}
}

// TestLoginsGoOnWhileAnImportIsWritten: they may wait for it, and none fails.
func TestLoginsGoOnWhileAnImportIsWritten(t *testing.T) {
	t.Parallel()
	g := prepare(t, importConfig)
	g.addUser("alice", "user")
	g.start()
	var table strings.Builder
	table.WriteString("username\n")
	// So many that some logins meet the import's lock, so few that under the race
	// detector it is held for less than the store waits for one.
	for i := range 1000 {
		fmt.Fprintf(&table, "user-%d\n", i)
	}
	g.write("users.csv", table.String())
	done := make(chan ran, 1)
	go func() { done <- run(t, g.dir, "", "user", "import", "users.csv", "--config", "gateway.yaml") }()
	c := g.client()
	for {
		token := c.login("alice")
		c.refresh(token.RefreshToken).want(t, 200, "a refresh meanwhile")
		select {
		case r := <-done:
			if r.status != 0 {
				t.Errorf("the import: status %d\n%.2000s", r.status, r.stderr)
			}
			return
		default:
		}
	}
}
