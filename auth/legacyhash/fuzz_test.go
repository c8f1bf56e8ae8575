package legacyhash

import (
	"fmt"
	"strings"
	"testing"
)

// Whatever a row holds: reading it neither panics nor takes long, what it
// demands is bounded, and comparing it does not panic either. Only hashes that
// are cheap are compared, so that the fuzzer gets far.
func FuzzParse(f *testing.F) {
	seen := map[string]bool{}
	for _, v := range kept(f) {
		if h, err := Parse(v.hash); err == nil && !seen[h.Scheme()] {
			seen[h.Scheme()] = true
			f.Add(v.hash, v.password)
		}
	}
	f.Add("", "")
	f.Add("{noop}x", "x")
	f.Add(`{"secretData":"{\"value\":\"\"}","credentialData":"{}"}`, "x")
	f.Fuzz(func(t *testing.T, text, password string) {
		h, err := Parse(text)
		if err != nil {
			if h.check != nil || h.scheme != "" || h.cost != "" || h.memory != 0 || h.Matches(password) {
				t.Errorf("%q: an error and %s", text, h.scheme)
			}
			if len(text) > 12 && strings.Contains(err.Error(), text) {
				t.Errorf("the error repeats the hash: %v", err)
			}
			return
		}
		if !h.bounded() || h.scheme == "" || h.cost == "" || len(text) > maxText {
			t.Errorf("%q is out of bounds: %s, %s, %d KiB, work %d", text, h.scheme, h.cost, h.memory, h.work)
		}
		if h.work > 1100 || h.memory > 1024 {
			return
		}
		again, err := Parse(text)
		if err != nil || again.Cost() != h.Cost() || again.Matches(password) != h.Matches(password) {
			t.Errorf("%q: two answers for %q", text, password)
		}
	})
}

// The letters of crypt(3) are read as they are written.
func FuzzCrypt64(f *testing.F) {
	f.Add([]byte("some bytes"))
	f.Fuzz(func(t *testing.T, data []byte) {
		letters := crypt64(data)
		if want := (len(data)*8 + 5) / 6; len(letters) != want {
			t.Fatalf("%d letters for %d bytes, want %d", len(letters), len(data), want)
		}
		var again []byte
		for part := letters; len(part) > 0; part = part[min(4, len(part)):] {
			n := min(4, len(part))
			value := crypt64Number(string(part[:n]))
			for i := range n - 1 {
				again = append(again, byte(value>>(8*i)))
			}
		}
		if fmt.Sprint(again) != fmt.Sprint(data) {
			t.Errorf("%v was written as %s, which is %v", data, letters, again)
		}
	})
}
