package legacyhash

import (
	"os"
	"os/exec"
	"testing"
)

// need skips a test whose program is missing, or fails it where every test has
// to run. Python's modules are asked for as Debian's interpreter has them.
func need(t *testing.T, program string, modules ...string) {
	t.Helper()
	_, err := exec.LookPath(program)
	for _, module := range modules {
		if err == nil {
			err = exec.Command("/usr/bin/python3", "-c", "import "+module).Run()
		}
	}
	switch {
	case err == nil:
	case os.Getenv("POSTERN_TEST_REQUIRE") == "all":
		t.Fatalf("%s %v is missing, and POSTERN_TEST_REQUIRE=all wants every test to run: make setup installs it", program, modules)
	default:
		t.Skipf("%s %v is missing: make setup installs it", program, modules)
	}
}

// The programs make hashes anew, with salts of their own: the ones that are kept
// in testdata could have been chosen.
func TestHashesThatTheProgramsMakeNowAreRead(t *testing.T) {
	for _, test := range []struct {
		section, program string
		modules          []string
		least            int // hashes
	}{
		{"django", "/usr/bin/python3", []string{"django", "bcrypt", "argon2"}, 15},
		{"passlib", "/usr/bin/python3", []string{"passlib", "bcrypt", "argon2"}, 60},
		{"php", "php", nil, 6},
		{"htpasswd", "htpasswd", nil, 15},
		{"mkpasswd", "mkpasswd", nil, 15},
		{"openssl", "openssl", nil, 12},
	} {
		t.Run(test.section, func(t *testing.T) {
			need(t, "/usr/bin/python3")
			need(t, test.program, test.modules...)
			cmd := exec.Command("/usr/bin/python3", "testdata/vectors.py", test.section)
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1")
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			made := parseVectors(t, string(out))
			if len(made) < test.least {
				t.Fatalf("%d hashes, want at least %d", len(made), test.least)
			}
			for _, v := range made {
				v.holds(t)
			}
		})
	}
}
