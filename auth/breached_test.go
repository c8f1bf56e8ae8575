package auth

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// digests are n lines' digests, sorted.
func digests(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%X", sha1.Sum([]byte{byte(i), byte(i >> 8)}))
	}
	slices.Sort(all)
	return all
}

func listOf(text string) breachedList {
	return breachedList{file: strings.NewReader(text), size: int64(len(text))}
}

func TestEveryLineOfAListIsFoundAndNothingElse(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 64, 1000} {
		for _, end := range []string{"\n", "\r\n"} {
			all := digests(n)
			var text strings.Builder
			for i, d := range all {
				fmt.Fprintf(&text, "%s:%d%s", d, i*i*i+1, end)
			}
			for _, text := range []string{text.String(), strings.TrimSuffix(text.String(), end)} {
				list := listOf(text)
				for _, d := range all {
					if found, err := list.has(d); !found || err != nil {
						t.Fatalf("%d lines: %s: %v %v", n, d, found, err)
					}
				}
				for _, d := range []string{strings.Repeat("0", digestLen), strings.Repeat("F", digestLen), all[0][:39] + "G", digests(2 * 1000)[1500]} {
					if found, err := list.has(d); found != slices.Contains(all, d) || err != nil {
						t.Fatalf("%d lines: %s: %v %v", n, d, found, err)
					}
				}
			}
		}
	}
}

func TestWhatIsNoListIsRefused(t *testing.T) {
	good := digests(3)
	for name, text := range map[string]string{
		"empty":         "",
		"line ends":     "\n\n\n",
		"plain words":   "password\nletmein\n123456\n",
		"NTLM":          strings.Repeat("8846F7EAEE8FB117AD06BDD830B7586C:3\n", 4),
		"lower case":    strings.ToLower(good[0]) + ":1\n",
		"by count":      good[2] + ":9\n" + good[1] + ":5\n" + good[0] + ":1\n",
		"no count":      good[0] + "\n" + good[1] + "\n",
		"a long line":   strings.Repeat("A", 10000) + "\n",
		"no line end":   strings.Repeat("A", 1<<20),
		"a word at end": good[0] + ":1\n" + good[1] + ":2\nend",
		"gzip":          "\x1f\x8b\x08\x00\x00\x00\x00\x00",
	} {
		path := filepath.Join(t.TempDir(), "list.txt")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if fault := breachedFault(path); !strings.Contains(fault, path) || !strings.Contains(fault, "HASH:COUNT") {
			t.Errorf("%s: %q", name, fault)
		}
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		if fault := breachedFault(path); fault == "" {
			t.Errorf("%s passes", path)
		}
	}
	if fault := breachedFault(""); fault != "" {
		t.Errorf("no list: %s", fault)
	}
}

func TestABrokenLineIsAnErrorAndNotAnAbsence(t *testing.T) {
	all := digests(3)
	list := listOf(all[0] + ":1\nspoilt\n" + all[2] + ":1\n")
	if found, err := list.has(all[1]); found || err == nil {
		t.Errorf("%v, %v", found, err)
	}
}

// FuzzBreachedList feeds the search any bytes: it ends, and finds only what
// stands in them as a line.
func FuzzBreachedList(f *testing.F) {
	all := digests(8)
	f.Add([]byte(all[0]+":1\r\n"+all[1]+":2\r\n"), all[1])
	f.Add([]byte(all[0]+":1"), all[0])
	f.Add([]byte("\n\n"), all[0])
	f.Add([]byte(strings.Repeat("A", 200)), strings.Repeat("A", 40))
	f.Add([]byte(":\n:\n"), "")
	f.Fuzz(func(t *testing.T, text []byte, digest string) {
		list := breachedList{file: bytes.NewReader(text), size: int64(len(text))}
		found, err := list.has(digest)
		if found && err == nil && !bytes.Contains(text, []byte(digest+":")) {
			t.Errorf("%q is found in %q", digest, text)
		}
	})
}
