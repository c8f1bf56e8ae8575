package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// put writes a file into the folder of the test.
func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const aHash = "$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS"

// A report goes to terminals and tickets. Where columns have slipped, any cell
// may be the hash, and where a file is hostile, any cell may be an order to the
// terminal.
func TestNoReportOfAnImportShowsAHashOrSpeaksToTheTerminal(t *testing.T) {
	t.Chdir(t.TempDir())
	secrets := []string{aHash, "pbkdf2_sha256$260000$c2FsdA$S3CRETS3CRET=", "{SSHA}S3CRETS3CRETS3CRETS3CRET", "5f4dcc3b5aa765d61d8327deb882cf99", "\x1b[2J\x1b[31mS3CRET", "a\u202eb"}
	columns := []string{"id", "username", "email", "name", "roles", "disabled", "email_verified", "created", "fields", "field:phone"}
	for _, secret := range secrets {
		for _, column := range columns {
			row := map[string]string{"username": "x", "password_hash": "", column: secret}
			line, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			put(t, "a.jsonl", string(line)+"\n"+string(line)+"\n")
			put(t, "b.csv", "a,"+secret+"\n")
			for _, args := range [][]string{{"a.jsonl"}, {"a.jsonl", "--dry-run"}, {"b.csv", "--format", "csv"}} {
				status, out, stderr := command(t, "", append([]string{"user", "import"}, args...)...)
				if status == exitDone {
					t.Fatalf("%s with %q was imported", column, secret)
				}
				said := out + stderr
				if strings.Contains(said, secret) || strings.Contains(said, "S3CRET") || strings.ContainsAny(said, "\x1b\u202e") {
					t.Errorf("%q as %s, %v: %s", secret, column, args, said)
				}
			}
		}
	}
}

// users is how many accounts there are.
func users(t *testing.T) int {
	t.Helper()
	status, out, stderr := command(t, "", "user", "list", "-o", "json")
	if status != exitDone {
		t.Fatal(stderr)
	}
	return strings.Count(out, `"username"`)
}

func TestAnImportIsAllOrNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	if status, _, stderr := command(t, "a long password\n", "user", "add", "alice", "--email", "alice@example.org"); status != exitDone {
		t.Fatal(stderr)
	}
	for name, bad := range map[string]string{
		"a name that is taken":      "ALICE,,\n",
		"an address that is taken":  "x,Alice@Example.org,\n",
		"a name twice":              "bob,,\n",
		"a name that is an address": "carol,,\nx,carol,\n",
		"an unknown hash":           "x,,abc\n",
		"a line too short":          "x\n",
		"quotes that do not end":    "\"x,,\n",
	} {
		put(t, "users.csv", "username,email,password_hash\nbob,bob@example.org,"+aHash+"\n"+bad)
		status, _, stderr := command(t, "", "user", "import", "users.csv")
		if status != exitFailed || !strings.Contains(stderr, "nothing was imported") || !regexp.MustCompile(`(?m)^users\.csv:[34]: `).MatchString(stderr) {
			t.Errorf("%s: status %d, %s", name, status, stderr)
		}
		if strings.Contains(stderr, "user_created") {
			t.Errorf("%s: the audit log tells of an account: %s", name, stderr)
		}
		if n := users(t); n != 1 {
			t.Fatalf("%s: %d accounts", name, n)
		}
	}
}

func TestAnImportOfNobodyIsDone(t *testing.T) {
	t.Chdir(t.TempDir())
	put(t, "users.csv", "username,email\n")
	status, out, stderr := command(t, "", "user", "import", "users.csv")
	if status != exitDone || !strings.HasPrefix(out, "imported 0 accounts") {
		t.Errorf("status %d, %s%s", status, out, stderr)
	}
}

func TestADryRunLeavesNothingBehind(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	temp := filepath.Join(folder, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", temp)
	put(t, "users.csv", "username,email\nbob,\n")
	if status, _, stderr := command(t, "", "user", "import", "users.csv", "--dry-run"); status != exitDone {
		t.Fatal(stderr)
	}
	for _, dir := range []string{folder, temp} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "users.csv" && e.Name() != "tmp" {
				t.Errorf("%s is left in %s", e.Name(), dir)
			}
		}
	}
	if status, _, stderr := command(t, "", "user", "import", "users.csv"); status != exitDone {
		t.Fatal(stderr)
	}
	if status, _, _ := command(t, "", "user", "import", "users.csv", "--dry-run"); status != exitFailed || users(t) != 1 {
		t.Errorf("a dry run against the store: status %d, %d accounts", status, users(t))
	}
}

// An export is as secret as the store: it is made for its owner alone, is never
// half there, and takes no other file's place.
func TestAnExportIsForItsOwnerAloneAndOverwritesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	put(t, "users.csv", "username,password_hash\nbob,"+aHash+"\n")
	if status, _, stderr := command(t, "", "user", "import", "users.csv"); status != exitDone {
		t.Fatal(stderr)
	}
	if status, out, stderr := command(t, "", "user", "export", "all.csv"); status != exitDone || strings.Contains(out+stderr, aHash) {
		t.Fatalf("status %d, %s%s", status, out, stderr)
	}
	info, err := os.Stat("all.csv")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Symlink("elsewhere", "link.csv"); err != nil {
		t.Fatal(err)
	}
	put(t, "mine.csv", "mine")
	for _, name := range []string{"all.csv", "mine.csv", "link.csv", "no/such/folder.csv"} {
		if status, _, _ := command(t, "", "user", "export", name); status != exitFailed {
			t.Errorf("%s: status %d", name, status)
		}
	}
	if mine, err := os.ReadFile("mine.csv"); err != nil || string(mine) != "mine" {
		t.Errorf("another file holds %q, %v", mine, err)
	}
	if _, err := os.Stat("elsewhere"); err == nil {
		t.Error("a link was followed")
	}
	if status, out, _ := command(t, "", "user", "export"); status != exitDone || !strings.Contains(out, aHash) {
		t.Errorf("to standard output: status %d, %q", status, out)
	}
}

func TestTheHelpOfImportNamesEveryFormatAndWhatStatusesMean(t *testing.T) {
	_, out, _ := command(t, "", "user", "import", "--help")
	for _, word := range []string{"csv", "jsonl", "htpasswd", "django", "devise", "wordpress", "--column", "--dry-run", "--role", "Exit status 1"} {
		if !strings.Contains(out, word) {
			t.Errorf("it does not tell of %s", word)
		}
	}
	if _, out, _ := command(t, "", "user", "export", "--help"); !strings.Contains(out, "password hashes") || !strings.Contains(out, "0600") {
		t.Errorf("the help of export: %s", out)
	}
}
