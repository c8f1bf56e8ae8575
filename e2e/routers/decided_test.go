package routers

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/policy"
)

// The targets of this file are one differential fuzz: the bytes of a request
// target go to the policy and to an application. Whatever the policy lets
// somebody through on must not reach a place that is closed to him.
//
// ServeMux runs in this process, so that it is tried before each commit. The
// others are real servers, asked over the wire; their turn is in make soak.

// FuzzDecidedForServeMux holds Go's own router against exact.
func FuzzDecidedForServeMux(f *testing.F) {
	fuzzDecided(f, muxReader{serveMux(f)}, "exact", "any")
}

// FuzzDecidedForExpress asks Express 5.
func FuzzDecidedForExpress(f *testing.F) {
	fuzzServer(f, func(t testing.TB) string { return startExpress(t, "express") }, "express", "any")
}

// FuzzDecidedForExpress4 asks its other path matcher.
func FuzzDecidedForExpress4(f *testing.F) {
	fuzzServer(f, func(t testing.TB) string { return startExpress(t, "express4") }, "express", "any")
}

// FuzzDecidedForDjango asks Django, under gunicorn.
func FuzzDecidedForDjango(f *testing.F) { fuzzServer(f, startDjango, "django", "any") }

// FuzzDecidedForNginx asks nginx, for its locations and for files.
func FuzzDecidedForNginx(f *testing.F) { fuzzServer(f, startNginx, "exact", "any") }

// FuzzDecidedForTomcat asks the connector that decodes slashes: of the three it
// takes the most paths for others.
func FuzzDecidedForTomcat(f *testing.F) {
	fuzzServer(f, func(t testing.TB) string { return startTomcat(t)["decode"] }, "tomcat", "any")
}

// FuzzDecidedForSpring asks Spring MVC.
func FuzzDecidedForSpring(f *testing.F) { fuzzServer(f, startSpring, "spring", "any") }

// fuzzServer fuzzes against a real server. It is started only where there is
// something to ask it: when the fuzzer runs, or for what it once found.
func fuzzServer(f *testing.F, start func(testing.TB) string, profiles ...string) {
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	if fuzzing && os.Getenv("POSTERN_TEST_SOAK") == "" {
		f.Skip("a server takes longer than a commit may: POSTERN_TEST_SOAK, of make soak, starts it")
	}
	app := &wire{}
	if found, _ := filepath.Glob(filepath.Join("testdata", "fuzz", f.Name(), "*")); fuzzing || len(found) > 0 {
		app.addr = start(f)
		f.Cleanup(app.close)
		for _, path := range honest() { // Tomcat compiles its pages now, and the fuzzer gives an input ten seconds
			app.ask(f, path)
		}
	}
	if !fuzzing {
		f.Fuzz(judgeTurn(app, judgesOfAll(f, profiles)))
		return
	}
	fuzzDecided(f, app, profiles...)
}

// fuzzDecided fuzzes against an application, from the paths of the tables that
// somebody is let through on.
func fuzzDecided(f *testing.F, app reader, profiles ...string) {
	all := judgesOfAll(f, profiles)
	for _, path := range slices.Concat(queries(), nasty(), corpusPaths(f)) {
		if p, ok := decided(path); ok && someoneMay(all, p) {
			f.Add(path, uint64(0))
		}
	}
	f.Fuzz(judgeTurn(app, all))
}

// judgesOfAll admits every option on every route. What fewer options let
// through, these do as well: an option adds readings of the paths that have the
// character, and those are refused without it.
func judgesOfAll(t testing.TB, profiles []string) (all []judge) {
	for _, router := range profiles {
		set := options()[1]
		all = append(all, judge{router, set, table(t, router, set, true)})
	}
	return all
}

// targetMax is the longest target that is tried, in bytes. Servers refuse much
// longer ones, and a doubtful path may not be as long.
const targetMax = 2048

// variants is how many targets are made of one, so that the server is asked
// many questions for each that the fuzzer thinks of.
const variants = 12

// judgeTurn returns what is fuzzed: a target goes to both sides, and so do some
// changed by a token as those of the tables are, unless the turn is the first.
func judgeTurn(app reader, all []judge) func(*testing.T, string, uint64) {
	return func(t *testing.T, target string, turn uint64) {
		if target == "" || len(target) > targetMax {
			t.Skip("no target of interest")
		}
		judgeTarget(t, app, all, target)
		if turn == 0 {
			return
		}
		random := rand.New(rand.NewPCG(turn, 4003))
		for range variants {
			changed := mutate(random, target)
			if random.IntN(2) == 0 {
				changed = mutate(random, changed)
			}
			judgeTarget(t, app, all, changed)
		}
	}
}

// judgeTarget sends one target, if the policy lets anybody through on it, and
// checks who answers.
func judgeTarget(t *testing.T, app reader, all []judge, target string) {
	t.Helper()
	p, ok := decided(target)
	if !ok || !someoneMay(all, p) {
		return
	}
	r := app.ask(t, target)
	for _, j := range all {
		for _, id := range callers(p.String(), r.value) {
			if why := r.forbids(id); why != "" && j.lets(p, id) {
				t.Fatalf("GET %q: router: %s with every option lets caller %q through, but the application %s", target, j.router, id, why)
			}
		}
	}
}

// decided returns the path that the gateway decides on for a target. It sends
// on the target itself (package gateway, FuzzNormalise), query and all.
func decided(target string) (p policy.Path, ok bool) {
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f || c == '#' {
			return policy.Path{}, false
		}
	}
	raw, _, _ := strings.Cut(target, "?")
	p, err := policy.ParsePath(raw)
	return p, err == nil
}

// queries lists targets that have a path in their query, for who looks for the
// path there.
func queries() []string {
	return []string{
		"/open/x?", "/open?/../admin", "/open/x?/../staff", "/exact?/admin/x", "/items/42?/../secret", "/users/42?id=43", "/open/x??/staff", "/open/x?%2f..%2fstaff",
		"/open?;/../admin", "/open;x?y/admin", "/open%3f?/admin", "/?/admin/x", "/?x=//admin", "/files/a.txt?/../report.txt", "/open/x?a=%00&b=\xff", "/items/42?secret", "/x?http://app/admin",
	}
}
