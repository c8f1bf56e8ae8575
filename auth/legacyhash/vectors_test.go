package legacyhash

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// vector is a hash that another program made of a password.
type vector struct{ program, password, hash string }

// parseVectors reads the lines of testdata/vectors.py.
func parseVectors(t testing.TB, text string) []vector {
	t.Helper()
	var all []vector
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		v := vector{program: parts[0]}
		if len(parts) != 3 || json.Unmarshal([]byte(parts[1]), &v.password) != nil {
			t.Fatalf("not a vector: %q", line)
		}
		v.hash = parts[2]
		all = append(all, v)
	}
	return all
}

// kept are the vectors that testdata/vectors.py made with the real programs.
func kept(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	return parseVectors(t, string(text))
}

// holds checks that a hash tells its password from all others.
func (v vector) holds(t *testing.T) {
	t.Helper()
	h, err := Parse(v.hash)
	if err != nil {
		t.Errorf("%s: %s: %v", v.program, v.hash, err)
		return
	}
	if !h.Matches(v.password) {
		t.Errorf("%s: %s (%s, %s) is not read as a hash of %q", v.program, v.hash, h.Scheme(), h.Cost(), v.password)
	}
	others := []string{v.password + "y", "", "y" + v.password, strings.ToUpper(v.password), v.password + "\x00"}
	switch {
	case h.work > 10_000:
		others = others[:1]
	case h.work >= 1000:
		others = others[:2]
	}
	for _, other := range others {
		if h.Matches(other) && strings.Trim(other, "\x00") != v.password { // WordPress trims
			t.Errorf("%s: %s passes for %q and %q", v.program, v.hash, v.password, other)
		}
	}
	if h.Scheme() == "" || h.Cost() == "" {
		t.Errorf("%s: %s has scheme %q and cost %q", v.program, v.hash, h.Scheme(), h.Cost())
	}
}

func TestHashesOfTheRealProgramsAreRead(t *testing.T) {
	for _, v := range kept(t) {
		v.holds(t)
	}
}
