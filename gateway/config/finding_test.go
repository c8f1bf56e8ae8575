package config

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestFindingsReadAsCompilersPrintThem(t *testing.T) {
	for _, test := range []struct {
		finding Finding
		want    string
	}{
		{Finding{File: "gateway.yaml", Line: 42, Column: 7, Message: "no"}, "gateway.yaml:42:7: no"},
		{Finding{File: "gateway.yaml", Line: 42, Column: 7, Message: "hm", Warning: true}, "gateway.yaml:42:7: warning: hm"},
		{Finding{File: "POSTERN_LISTEN", Message: "no"}, "POSTERN_LISTEN: no"},
		{Finding{Message: "no"}, "no"},
	} {
		if got := test.finding.String(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestFindingsAreSortedByPlaceAndSaidOnce(t *testing.T) {
	sorted := []Finding{
		{File: "gateway.yaml", Line: 1, Column: 1, Message: "a"},
		{File: "gateway.yaml", Line: 2, Column: 1, Message: "a"},
		{File: "gateway.yaml", Line: 2, Column: 9, Message: "a"},
		{File: "gateway.yaml", Line: 2, Column: 9, Message: "b"},
		{File: "gateway.yaml", Line: 10, Column: 1, Message: "a"},
		{File: "--upstream", Message: "a"},
		{File: "POSTERN_LISTEN", Message: "a"},
		{File: "gateway.yaml", Message: "no particular place"},
	}
	for range 20 {
		mixed := append(slices.Clone(sorted), sorted[3], sorted[5])
		rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if got := sortFindings(mixed); !slices.Equal(got, sorted) {
			t.Fatalf("got %v", got)
		}
	}
}

func TestWarningsAloneAreNoFailure(t *testing.T) {
	if Failed(nil) || Failed([]Finding{{Warning: true}}) || !Failed([]Finding{{Warning: true}, {}}) {
		t.Error("Failed counts warnings, or misses errors")
	}
}

// The packages own their structs. What the file cannot express, and a name
// that two of them give to different things, shows here.
func TestTheShapeOfTheFileIsSound(t *testing.T) {
	var visit func(s *shape, path string)
	visit = func(s *shape, path string) {
		seen := make(map[string]bool)
		for _, name := range s.names() {
			if seen[name] || name != strings.ToLower(name) || strings.ContainsAny(name, " -.[]:") {
				t.Errorf("%s: a key that stands twice, or is no lower-case word", join(path, name))
			}
			seen[name] = true
		}
		for _, f := range s.fields {
			if f.shape.secret && f.shape.kind != text {
				t.Errorf("%s: a secret must be a text, as a file holds it", join(path, f.name))
			}
			visit(f.shape, join(path, f.name))
		}
		if s.item != nil {
			visit(s.item, path)
		}
	}
	visit(fileShape(), "")
}

func TestATypeThatNoFileExpressesIsRefused(t *testing.T) {
	for _, value := range []any{map[string]string{}, 1.5, struct{ Nameless string }{}, []any{}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T has a shape", value)
				}
			}()
			shapeOf(reflect.TypeOf(value))
		}()
	}
}
