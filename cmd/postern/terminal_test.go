package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestAPasswordIsOneLineOfStandardInput(t *testing.T) {
	for _, test := range []struct{ name, input, want string }{
		{"a line", "correct horse\n", "correct horse"},
		{"a line of Windows", "correct horse\r\n", "correct horse"},
		{"no line end", "correct horse", "correct horse"},
		{"blanks belong to it", " correct horse \n", " correct horse "},
		{"the first line alone", "first\nsecond\n", "first"},
		{"nothing", "", ""},
		{"an empty line", "\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readPassword(&system{stdin: strings.NewReader(test.input)})
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestAPasswordFromAFileThatIsNoTerminalIsReadToo(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("from a file\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := readPassword(&system{stdin: file}); got != "from a file" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestMadePasswordsAreLongAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		p := newPassword()
		if len(p) != 24 || seen[p] {
			t.Fatalf("%q: too short, or made twice", p)
		}
		seen[p] = true
	}
}

func TestListingsAreTablesOrArrays(t *testing.T) {
	columns := []string{"NAME", "SIGN"}
	cells := func(s string) []string { return []string{s, s[:1]} }
	for _, test := range []struct {
		form outputForm
		rows []string
		want string
	}{
		{"table", []string{"alice", "bob"}, "NAME   SIGN\nalice  a\nbob    b\n"},
		{"table", nil, "NAME  SIGN\n"},
		{"json", []string{"a<b"}, "[\n  \"a<b\"\n]\n"},
		{"json", nil, "[]\n"},
	} {
		var out bytes.Buffer
		if err := printList(&out, test.form, test.rows, columns, cells); err != nil || out.String() != test.want {
			t.Errorf("%s of %v: %v, %q", test.form, test.rows, err, out.String())
		}
	}
}

func TestOutputIsTableOrJSONAndNothingElse(t *testing.T) {
	var form outputForm
	for value, good := range map[string]bool{"table": true, "json": true, "": false, "JSON": false, "yaml": false} {
		if err := form.Set(value); (err == nil) != good {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestTheVersionSaysWhatTheBinaryIs(t *testing.T) {
	status, out, _ := command(t, "", "version", "--json")
	var b build
	if err := json.Unmarshal([]byte(out), &b); err != nil || status != exitDone || b.Version == "" || !strings.HasPrefix(b.Go, "go1.") {
		t.Errorf("%d %v %s", status, err, out)
	}
}

// The flag wins over POSTERN_CONFIG, and both over gateway.yaml here.
func TestTheConfigurationIsTheOneThatWasNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, role := range map[string]string{"gateway.yaml": "here", "env.yaml": "env", "flag.yaml": "flag"} {
		text := "auth: { roles: [" + role + "] }\nstore: { path: " + role + ".db, key_file: " + role + ".key }\n"
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		env  string
		args []string
		want string
	}{
		{"", nil, "here.db"},
		{"env.yaml", nil, "env.db"},
		{"env.yaml", []string{"--config", "flag.yaml"}, "flag.db"},
		{"", []string{"-c", "flag.yaml"}, "flag.db"},
	} {
		t.Setenv("POSTERN_CONFIG", test.env)
		_ = os.Remove(test.want)
		_ = os.Remove(strings.TrimSuffix(test.want, ".db") + ".key")
		status, _, stderr := command(t, "a long password\n", append([]string{"user", "add", "alice"}, test.args...)...)
		if _, err := os.Stat(test.want); status != exitDone || err != nil {
			t.Errorf("%+v: %d %v %s", test, status, err, stderr)
		}
	}
	t.Setenv("POSTERN_CONFIG", "missing.yaml")
	if status, _, stderr := command(t, "", "user", "list"); status != exitUsage || !strings.Contains(stderr, "missing.yaml") {
		t.Errorf("a named file that is missing: %d %s", status, stderr)
	}
}

// Whoever gives the file a role that nobody defined must hear of it from the
// commands on accounts as well.
func TestTheCommandsOnAccountsHeedTheRolesOfTheFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("gateway.yaml", []byte("auth: { roles: [editor] }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := command(t, "a long password\n", "user", "add", "alice", "--role", "admin"); status != exitUsage || !strings.Contains(stderr, "editor") {
		t.Errorf("%d %s", status, stderr)
	}
	if status, _, stderr := command(t, "a long password\n", "user", "add", "alice", "--role", "editor"); status != exitDone {
		t.Errorf("%d %s", status, stderr)
	}
}

func TestFieldsAreReadAsNameAndValue(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("gateway.yaml", []byte("auth: { profile: { fields: [{ name: tenant }, { name: phone, editable: true }] } }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "a long password\n", "user", "add", "alice")
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--field", "tenant=a", "--field", "tenant=b", "--field", "phone=1=2"}, exitDone, `"tenant": [ "a", "b" ]`},
		{[]string{"--field", "tenant="}, exitDone, `"phone": [ "1=2" ]`},
		{[]string{"--field", "tenant"}, exitUsage, "NAME=VALUE"},
		{[]string{"--field", "unheard=of"}, exitUsage, "unheard"},
		{nil, exitUsage, "nothing to set"},
	} {
		status, _, stderr := command(t, "", append([]string{"user", "set", "alice"}, test.args...)...)
		_, shown, _ := command(t, "", "user", "show", "alice", "-o", "json")
		said := strings.Join(strings.Fields(shown), " ") + stderr
		if status != test.status || !strings.Contains(said, test.want) {
			t.Errorf("%v: %d %s", test.args, status, said)
		}
	}
}
