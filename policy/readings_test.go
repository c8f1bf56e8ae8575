package policy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func everyDoubt() doubt { return doubt(1<<len(optionNames()) - 1) }

func TestEveryReadingOfADoubtIsFound(t *testing.T) {
	for _, test := range []struct {
		raw  string
		want []string // beside the path itself, sorted; nil: refused
	}{
		{"/a", []string{}},
		{"/a%2Fb", []string{"/a/b"}},
		{"/a;b/c", []string{"/a", "/a/c"}},
		{"/a%3bb/c", []string{"/a", "/a/c"}},
		{"/a;b%2fc/d", []string{"/a", "/a/d", "/a;b/c/d", "/a/c/d"}},
		{"/a%23b/c", []string{"/a"}},
		{"/a%3Fb/c", []string{"/a"}},
		{"/a%EF%BC%9Fb", []string{"/a", "/a%3Fb"}},
		{"/a%EF%BC%8541", []string{"/a%2541", "/a%41"}},
		{"/%2561dmin", []string{"/%61dmin"}},
		{"/%25%36%31dmin", []string{"/%61dmin"}},
		{"/%252561dmin", []string{"/%2561dmin", "/%61dmin"}},
		{"/100%25", []string{}},
		{"/100%25/x", []string{}},
		{"//a/b", []string{"/a/b", "/b"}},
		{"//a", []string{"/", "/a"}},
		{"/a//b", []string{"/a/b"}},
		{"/a//", []string{"/a/"}},
		{"/%2fa", []string{"/", "//a", "/a"}},
		{"/a%252e%252e", []string{"/a%2e%2e"}},
		{"/%252e%252e/a", nil}, // a dot segment to who decodes twice
		{"/a%252fb", []string{"/a%2fb", "/a/b"}},
		{"/a;/..%252f", nil},
		{"/a%255cb", nil}, // a backslash
		{"/a%2500", nil},  // a NUL
		{"/a%25c0%25ae", nil},
		{"/%2f%2fa", nil}, // three slashes
		{"/;a/b", []string{"/", "//b", "/b"}},
	} {
		p, err := ParsePath(test.raw)
		if err != nil {
			t.Errorf("%s: %v", test.raw, err)
			continue
		}
		all, ok := readings(p, everyDoubt())
		if ok != (test.want != nil) {
			t.Errorf("%s: readable is %v, %v", test.raw, ok, all)
			continue
		}
		if !ok {
			continue
		}
		var got []string
		for _, reading := range all[1:] {
			got = append(got, reading.raw)
		}
		slices.Sort(got)
		slices.Sort(test.want)
		if all[0] != p || !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.raw, got, test.want)
		}
	}
}

// The order in which a program takes its steps must not matter, so no step may
// lead out of the readings.
func TestReadingsAreClosed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(doubtfulWords()), 1, 5).Draw(t, "request"), "/")
		p, err := ParsePath(raw)
		if err != nil {
			return
		}
		all, ok := readings(p, everyDoubt())
		if !ok {
			return
		}
		for _, reading := range all {
			for _, next := range restate(reading.raw) {
				if !slices.ContainsFunc(all, func(q Path) bool { return q.raw == next }) {
					t.Fatalf("%s may be read as %s, and that as %s, which is missing", raw, reading, next)
				}
			}
		}
	})
}

// A route that admits one doubt must not be reached by a path that hides
// another one under it.
func TestADoubtThatASecondDecodingUncoversMustBeAdmittedToo(t *testing.T) {
	for _, test := range []struct {
		raw     string
		options []string
		want    Reason
	}{
		{"/x/a%252fb", []string{"encoded_percent"}, ReasonBadPath},
		{"/x/a%252fb", []string{"encoded_percent", "encoded_slash"}, ReasonNone},
		{"/x/a%253bb", []string{"encoded_percent"}, ReasonBadPath},
		{"/x/a%253bb", []string{"encoded_percent", "semicolon"}, ReasonNone},
		{"/x/;a/b", []string{"semicolon"}, ReasonBadPath},
		{"/x/;a/b", []string{"semicolon", "empty_segment"}, ReasonNone},
		{"/x/%2fb", []string{"encoded_slash"}, ReasonBadPath},
		{"/x/%2fb", []string{"encoded_slash", "empty_segment"}, ReasonNone},
		{"/x/a%EF%BC%9Fb", []string{"encoded_hash"}, ReasonBadPath},
		{"/x/a%EF%BC%9Fb", []string{"encoded_question"}, ReasonNone},
		{"/x/a%EF%BC%8523", []string{"encoded_percent"}, ReasonBadPath},
	} {
		r := anyoneAt("/**")
		r.PathOptions = test.options
		p, err := ParsePath(test.raw)
		if err != nil {
			t.Fatal(err)
		}
		m := mustCompile(t, testConfig("", r)).Match("GET", "", p)
		if m.Refusal() != test.want {
			t.Errorf("%s with %v: %q, want %q", test.raw, test.options, m.Refusal(), test.want)
		}
	}
}

// The option of the route that the raw path finds counts, not that of a route
// which a reading leads to.
func TestOptionsAreLookedUpOnTheRouteOfTheRawPath(t *testing.T) {
	files := anyoneAt("/files/{name}")
	files.PathOptions = []string{"encoded_slash"}
	table := mustCompile(t, testConfig("exact", files, anyoneAt("/files/{name}/{part}"), Route{Path: "/files/secret/{part}", Allow: []Rule{{Role: "admin"}}}))
	for line, want := range map[string]string{
		"GET /files/a%2fb nobody -> ": "allow", "GET /files/a%2fb/c nobody -> ": "bad_path", "GET /files/secret%2fb nobody -> ": "unauthenticated",
		"GET /files/a%2fb%2fc nobody -> ": "no_route", "GET /files/secret%2fb root -> ": "allow", "GET /none%2fb root -> ": "bad_path",
	} {
		if got, _ := asked(t, table, line); got != want {
			t.Errorf("%s%s, want %s", line, got, want)
		}
	}
}

func TestFoldingIsDoneOnceAndAlikeOnBothSides(t *testing.T) {
	letters := rapid.SampledFrom([]rune("aAbBkKsSiIzZ019.- :éÉàßÿŸǆǅıİſKµΣσςａＡ９語😀"))
	rapid.Check(t, func(t *rapid.T) {
		literal := string(rapid.SliceOfN(letters, 1, 12).Draw(t, "literal"))
		f := fold(rapid.IntRange(0, int(foldCount)-1).Draw(t, "fold"))
		key := f.key(literal)
		if again := f.key(key); f != foldUndecoded && again != key {
			t.Fatalf("fold %d of %q is %q, and of that %q", f, literal, key, again)
		}
		text := escape(literal)
		if f == foldWindows {
			text = trimName(text)
		}
		var buffer [literalMax]byte
		folded, ok := f.apply(&buffer, text)
		if !ok || string(folded) != key {
			t.Fatalf("fold %d: the literal %q is %q, the segment %q is %q", f, literal, key, text, folded)
		}
	})
}

func TestWhatEachFoldTakesForTheSame(t *testing.T) {
	same := map[fold][][2]string{
		foldExact:     {{"café", "caf%c3%a9"}, {"a b", "a%20b"}},
		foldLower:     {{"Admin", "aDMIN"}, {"kiosk", "%E2%84%AA%C4%B1o%C5%BFK"}, {"café", "CAF%c3%A9"}},
		foldUndecoded: {{"Admin", "aDMIN"}, {"café", "CAF%c3%a9"}, {"a b", "A%20B"}},
		foldWindows:   {{"Admin", "aDMIN"}, {"café", "CAF%C3%89"}, {"admin", "%EF%BC%A1dm%EF%BD%89n"}, {"admin.", "ADMIN"}},
	}
	other := map[fold][][2]string{
		foldExact:     {{"Admin", "admin"}, {"café", "cafe%CC%81"}, {"admin", "%EF%BD%81dmin"}},
		foldLower:     {{"café", "caf%C3%89"}, {"admin", "%EF%BD%81dmin"}, {"admin", "admin."}},
		foldUndecoded: {{"admin", "%61dmin"}, {"café", "cafe"}},
		foldWindows:   {{"café", "cafe"}, {"straße", "strasse"}, {"admin", "admin1"}},
	}
	for f := range foldCount {
		for want, pairs := range map[bool][][2]string{true: same[f], false: other[f]} {
			for _, pair := range pairs {
				segment := pair[1]
				var buffer [literalMax]byte
				folded, _ := f.apply(&buffer, segment)
				if got := string(folded) == f.key(pair[0]); got != want {
					t.Errorf("fold %d: %q and %s the same is %v", f, pair[0], segment, got)
				}
			}
		}
	}
	var buffer [literalMax]byte
	if _, ok := foldExact.apply(&buffer, strings.Repeat("a", literalMax+1)); ok {
		t.Error("a segment longer than any literal fits")
	}
}
