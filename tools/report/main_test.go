package main

import (
	"strings"
	"testing"
)

// TestOnlyAWholeRunPasses feeds the report the events of runs that ended well
// and badly.
func TestOnlyAWholeRunPasses(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     bool
		says     string
	}{
		{"all passed", `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}`, true, "1 passed, 0 failed, 0 skipped"},
		{"one was skipped", `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"needs chromium\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}`, false, "skipped: p TestB\nneeds chromium"},
		{"one failed", `{"Action":"output","Package":"p","Test":"TestA","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, false, "got 1, want 2"},
		{"a package did not build", `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"build-output","ImportPath":"q","Output":"q.go:1: undefined\n"}
{"Action":"fail","Package":"q"}`, false, "q.go:1: undefined"},
		{"a package without tests is no skip", `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q"}`, true, "no test files"},
		{"nothing ran", ``, false, "0 passed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := results{output: map[string][]string{}}
			var out strings.Builder
			if err := r.read(strings.NewReader(test.in), &out); err != nil {
				t.Fatal(err)
			}
			if got := r.sum(&out); got != test.want {
				t.Errorf("got %v, want %v, after:\n%s", got, test.want, out.String())
			}
			if !strings.Contains(out.String(), test.says) {
				t.Errorf("does not say %q:\n%s", test.says, out.String())
			}
		})
	}
}
