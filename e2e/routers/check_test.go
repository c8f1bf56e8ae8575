package routers

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/policy"
)

// generatedPaths is how many paths are made up for each application, beside
// those by hand. They take some seconds together.
const generatedPaths = 2500

// reportMax bounds what one run reports; one difference often has many paths.
const reportMax = 30

// witness is an application that runs, and the profiles that claim to read as
// it does.
type witness struct {
	addr     string
	profiles []string
	// The honest paths that the first profile treats more strictly than the
	// router does, and why it has to.
	stricter map[string]string
}

// testify checks the three promises of the package on one application.
func (w witness) testify(t *testing.T) {
	t.Run("no closed place answers whom the policy lets through", w.soundness)
	t.Run("an honest path is what the router takes it for", w.agreement)
}

// soundness sends every path that some policy lets somebody through on, and
// checks who answers with which value.
func (w witness) soundness(t *testing.T) {
	app := &wire{addr: w.addr}
	defer app.close()
	all := judges(t, w.profiles...)
	reached := map[string]int{}
	asked, reports := 0, 0
	for _, path := range slices.Concat(nasty(), corpusPaths(t), honest(), generated(generatedPaths)) {
		p, err := policy.ParsePath(path)
		if err != nil || !someoneMay(all, p) {
			continue
		}
		asked++
		r := app.ask(t, path)
		for _, j := range all {
			for _, id := range callers(path, r.value) {
				if !j.lets(p, id) {
					continue
				}
				reached[r.place]++
				if why := r.forbids(id); why != "" && reports < reportMax {
					reports++
					t.Errorf("GET %s: router: %s, path_options %v lets caller %q through, but the application %s", path, j.router, j.options, id, why)
				}
			}
		}
	}
	t.Logf("%d paths were let through for somebody; decisions by the place that answered: %v", asked, reached)
	for _, name := range []string{"root", "exact", "item", "users", "user", "open", "rest"} {
		if reached[name] == 0 {
			t.Errorf("no path reached %q: the test proves nothing about it", name)
		}
	}
}

// forbids says why a caller with this id and no role should not have had this
// answer, or nothing.
func (r reply) forbids(id string) string {
	switch {
	case isClosed(r.place):
		return "took it for the closed place " + r.place
	case r.place == "user" && r.value != id:
		return "took it for the place of user " + r.value
	}
	return ""
}

// someoneMay reports whether one of the policies lets anybody through who has
// no role.
func someoneMay(all []judge, p policy.Path) bool {
	ids := callers(p.String(), "")
	return slices.ContainsFunc(all, func(j judge) bool {
		return slices.ContainsFunc(ids, func(id string) bool { return j.lets(p, id) })
	})
}

// callers lists who might get at a user's place by this path: an anonymous
// caller, whom the application took the value for, and everyone whose id can be
// read out of a segment.
func callers(path, value string) []string {
	ids := []string{""}
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	add(value)
	if !strings.Contains(strings.ToLower(path), "ers") {
		return ids // no spelling of /users
	}
	for _, segment := range strings.FieldsFunc(path, func(c rune) bool { return c == '/' }) {
		for range 3 {
			add(segment)
			add(strings.ToLower(segment))
			name, _, _ := strings.Cut(segment, ";")
			add(name)
			first, rest, _ := strings.Cut(segment, "/")
			add(first)
			add(rest)
			add(strings.TrimRight(segment, ". "))
			decoded, err := url.PathUnescape(segment)
			if err != nil || decoded == segment {
				break
			}
			segment = decoded
		}
	}
	return ids
}

// honest lists paths that people and programs send: every place under its own
// name, in other letters, with and without a slash at the end.
func honest() []string {
	return []string{
		"/", "/exact", "/exact/", "/EXACT", "/Exact/", "/exactly", "/exact/x", "/Panel", "/Panel/", "/Panel/x", "/panel", "/PANEL/x", "/panels",
		"/admin", "/admin/", "/admin/x", "/admin/x/y/", "/ADMIN", "/Admin/x", "/admins", "/admin.html", "/administrator/x", "/adm",
		"/items/secret", "/items/secret/", "/items/Secret", "/items/secrets", "/items/42", "/items/42/", "/items/SECRETS", "/items/4/2", "/Items/42", "/items/a%20b", "/items/%C3%A9", "/items/a.b",
		"/users", "/users/", "/USERS", "/users/42", "/users/42/", "/users/42/keys", "/users/42/keys/7/", "/Users/Bob", "/users/bob@example.com", "/users/a%20b", "/users/%C3%A9/x", "/users/a+b", "/users/%E2%82%AC",
		"/closed", "/closed/", "/Closed/", "/closed/x", "/my%20page", "/my%20page/", "/MY%20page", "/my", "/caf%C3%A9", "/caf%C3%A9/", "/Caf%C3%A9", "/caf%C3%A9s", "/caf",
		"/open", "/open/", "/open/x", "/OPEN/x", "/open/staff", "/open/staff/", "/open/staff/x", "/open/Staff", "/open/staffx", "/open/x/staff", "/opener",
		"/files/report.txt", "/files/deep/report.txt", "/files/a.txt", "/x", "/x/", "/x/y/z", "/x/admin", "/x/items/secret", "/robots.txt", "/a-b_c~d", "/a,b:c@d!e$f&g'h(i)j*k+l=m",
	}
}

// agreement checks that the policy, without any path_options, takes the honest
// paths for the places that the router takes them for, and lets in whom the
// places are for.
func (w witness) agreement(t *testing.T) {
	app := &wire{addr: w.addr}
	defer app.close()
	j := judge{router: w.profiles[0], table: table(t, w.profiles[0], nil, true)}
	for _, path := range honest() {
		p, err := policy.ParsePath(path)
		if err != nil {
			t.Errorf("GET %s is refused: %v", path, err)
			continue
		}
		r := app.ask(t, path)
		name, refusal := j.place(p)
		open := j.lets(p, r.value)
		if why, ok := w.stricter[path]; ok {
			if name == r.place && open == (r.forbids(r.value) == "") {
				t.Errorf("GET %s: stricter than the router no more (%s): take it off the list", path, why)
			}
			continue
		}
		if refusal != policy.ReasonNone || name != r.place {
			t.Errorf("GET %s: router: %s takes it for %q %s, the application for %q (status %d)", path, j.router, name, refusal, r.place, r.status)
		}
		if open != (r.forbids(r.value) == "") {
			t.Errorf("GET %s: router: %s lets caller %q through: %v, but the application took it for %q", path, j.router, r.value, open, r.place)
		}
	}
}
