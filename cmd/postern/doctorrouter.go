package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/gateway/config"
	"github.com/posternhq/postern/policy"
)

// maxPages is how many pages of an application are asked for in other spellings.
const maxPages = 4

// spelling is another way to write a page's path.
type spelling struct {
	path string
	how  string  // in words
	by   reading // the habit of a router that it shows
}

// reading is a habit of routers: to take two spellings for one path.
type reading uint8

const (
	readsCase       reading = 1 << iota // capitals are small letters
	readsSlash                          // a final slash does not matter
	readsParameters                     // what follows a semicolon is cut
	readsNames                          // dots and spaces behind a name are nothing, as Windows reads
	readsOther                          // what a profile does not say: the gateway refuses or decodes it
)

// profileReads are the habits of each value of router:, the narrowest first.
func profileReads() []struct {
	name  string
	reads reading
} {
	return []struct {
		name  string
		reads reading
	}{
		{"exact", 0}, {"django", readsSlash}, {"tomcat", readsParameters}, {"spring", readsParameters | readsSlash},
		{"express", readsCase | readsSlash}, {"iis", readsCase | readsSlash | readsNames},
		{"any", readsCase | readsSlash | readsParameters | readsNames},
	}
}

// spellings writes a path in the ways that routers take for one.
func spellings(path string) []spelling {
	dir, name := path[:strings.LastIndexByte(path, '/')+1], path[strings.LastIndexByte(path, '/')+1:]
	if name == "" { // it ends in a slash
		return append(withoutName(path), spelling{strings.TrimSuffix(path, "/"), "without the final slash", readsSlash})
	}
	list := []spelling{
		{dir + swapCase(name), "in other capitals", readsCase},
		{path + "/", "with a final slash", readsSlash},
		{path + ";x=1", "with a parameter (;x=1)", readsParameters},
		{path + "%3Bx=1", "with an encoded parameter (%3B)", readsParameters},
		{path + ".", "with a dot behind it", readsNames},
		{path + "%20", "with a space behind it", readsNames},
		{dir + "%" + hex.EncodeToString([]byte(name[:1])) + name[1:], "with an encoded letter", readsOther},
	}
	if strings.Count(path, "/") > 1 {
		list = append(list, spelling{strings.TrimSuffix(dir, "/") + "%2F" + name, "with an encoded slash (%2F)", readsOther})
	}
	return append(list, withoutName(path)...)
}

// withoutName are the spellings that every path has.
func withoutName(path string) []spelling {
	return []spelling{
		{"/" + path, "with an empty segment (//)", readsOther},
		{"/." + path, "with a dot segment (/./)", readsOther},
		{"/postern-doctor/.." + path, "with dot segments (/../)", readsOther},
	}
}

// swapCase turns small letters into capitals, and capitals into small letters. A
// percent-encoding stays what it is.
func swapCase(name string) string {
	out := []byte(name)
	for i := 0; i < len(out); i++ {
		switch c := out[i]; {
		case c == '%':
			i += 2
		case 'a' <= c && c <= 'z':
			out[i] = c - ('a' - 'A')
		case 'A' <= c && c <= 'Z':
			out[i] = c + ('a' - 'A')
		}
	}
	return string(out)
}

// checkRouters learns of each upstream how its router reads paths, and compares
// that with the profile that the policy goes by.
func (d *doctor) checkRouters(ctx context.Context, file *config.File) {
	public, err := url.Parse(file.PublicURL)
	if err != nil {
		return // the configuration's check has said so
	}
	for i := range file.Upstreams {
		u := &file.Upstreams[i]
		asker, err := gateway.NewAsker(u, public)
		if err != nil {
			continue // the upstream's check has said so
		}
		asking, cancel := context.WithTimeout(ctx, 3*probeTimeout)
		d.judgeRouter(u, observe(asking, asker, d.pagesOf(file, u)))
		cancel()
		asker.Close()
	}
}

// pagesOf are paths of an upstream that are safe to ask for: the one of the
// command line, or else the health check's and those that anybody may read.
func (d *doctor) pagesOf(file *config.File, u *gateway.Upstream) []string {
	if d.page != "" {
		return []string{d.page}
	}
	pages := []string{}
	add := func(path string) {
		if len(pages) < maxPages && path != "/" && path != "" && !strings.ContainsAny(path, "*{?") && !slices.Contains(pages, path) {
			pages = append(pages, path)
		}
	}
	add(u.Health.Path)
	for i := range file.Routes {
		r := &file.Routes[i]
		if here := r.Upstream == u.Name || r.Upstream == "" && len(file.Upstreams) == 1; here && isOpenPage(r) {
			add(r.Path)
		}
	}
	return pages
}

// isOpenPage tells a route whose path anybody may GET, and which the upstream
// gets as it is.
func isOpenPage(r *config.Route) bool {
	open := len(r.Allow) == 1 && r.Allow[0].Anyone && len(r.Deny) == 0
	reads := len(r.Methods) == 0 || slices.Contains(r.Methods, http.MethodGet)
	return open && reads && r.Host == "" && r.StripPrefix == "" && r.Rewrite == ""
}

// observed is what the spellings of an application's pages came to.
type observed struct {
	page    string // one that could be told from nonsense; empty: none
	alike   []spelling
	unclear []spelling
	pages   map[string][]spelling // those alike, by page
}

// reads are the habits that showed.
func (o observed) reads() (all reading) {
	for _, s := range o.alike {
		all |= s.by
	}
	return all &^ readsOther
}

// observe asks for each page as it is, for pages that cannot exist, and for the
// page in each spelling.
func observe(ctx context.Context, asker *gateway.Asker, pages []string) observed {
	o := observed{pages: map[string][]spelling{}}
	for _, path := range pages {
		known, err := recognise(ctx, asker, path)
		if err != nil {
			continue
		}
		o.page = path
		for _, s := range spellings(path) {
			got, err := asker.Get(ctx, s.path)
			if err != nil || s.path == path || got.Status != known.plain.Status {
				continue // refused, sent elsewhere or not found: another page
			}
			switch text := trimmed(got, path, s.path); {
			case text == known.text:
				o.alike = append(o.alike, s)
				o.pages[path] = append(o.pages[path], s)
			case !slices.Contains(known.nonsense, text):
				o.unclear = append(o.unclear, s)
			}
		}
	}
	return o
}

// recognised is a page that can be told from those that do not exist.
type recognised struct {
	plain    gateway.Page
	text     string
	nonsense []string
}

var errUnrecognised = errors.New("the page is not the same twice, or is what any path answers")

// recognise asks for a page twice, and for two beside it that cannot exist.
func recognise(ctx context.Context, asker *gateway.Asker, path string) (r recognised, err error) {
	r.plain, err = asker.Get(ctx, path)
	if err != nil {
		return r, err
	}
	again, err := asker.Get(ctx, path)
	if err != nil {
		return r, err
	}
	r.text = trimmed(r.plain, path, path)
	if r.text != trimmed(again, path, path) || r.plain.Status/100 != 2 {
		return r, errUnrecognised
	}
	var b [8]byte
	rand.Read(b[:]) // never fails, see its documentation
	name := "postern-doctor-" + hex.EncodeToString(b[:])
	for _, odd := range []string{"/" + name, path[:strings.LastIndexByte(strings.TrimSuffix(path, "/"), '/')+1] + name} {
		page, err := asker.Get(ctx, odd)
		if err != nil {
			return r, err
		}
		text := trimmed(page, path, odd)
		if text == r.text {
			return r, errUnrecognised
		}
		r.nonsense = append(r.nonsense, text)
	}
	return r, nil
}

// trimmed is a page to compare with others: without its path, and the one that
// was sent, which pages repeat in links to themselves and in "not found".
func trimmed(p gateway.Page, page, sent string) string {
	text := fmt.Sprintf("%d %s %s\n%s", p.Status, p.Type, p.Location, p.Body)
	var own []string
	for _, path := range []string{page, sent} {
		decoded, err := url.PathUnescape(path)
		if err != nil {
			decoded = path
		}
		own = append(own, path, html.EscapeString(path), url.QueryEscape(path), decoded, html.EscapeString(decoded))
	}
	slices.SortFunc(own, func(a, b string) int { return len(b) - len(a) }) // the longest first: one is part of another
	for _, path := range own {
		text = strings.ReplaceAll(text, path, "")
	}
	return text
}

// judgeRouter says which profile the application follows, and whether the one
// of the configuration is as wide.
func (d *doctor) judgeRouter(u *gateway.Upstream, o observed) {
	configured := u.Router
	if configured == "" {
		configured = "any"
	}
	if o.page == "" {
		d.warn("router", "name a page that anybody may read: --page /about", "%s: how it reads paths cannot be told, for want of a page to ask for (router: %s stays safe where it is any)", u.Name, configured)
		return
	}
	fits := fitting(o.reads())
	if s, page, open := narrower(configured, o); open {
		d.fail("router", "set router: "+fits+" (upstreams), or any", "%s: router: %s is narrower than the application: it answers %s for %s, %s", u.Name, configured, page, s.path, s.how)
		return
	}
	also := "reads paths as they are written"
	if len(o.alike) > 0 {
		also = "takes its pages also " + hows(o.alike)
	}
	d.good("router", "%s %s: %s fits, and router: %s covers it", u.Name, also, fits, configured)
	if len(o.unclear) > 0 {
		d.warn("router", "look at these pages by hand, or leave router: at any", "%s: it answers something else, neither the page nor \"not found\", for %s %s", u.Name, o.page, hows(o.unclear))
	}
}

// hows joins the words of spellings.
func hows(list []spelling) string {
	var words []string
	for _, s := range list {
		if !slices.Contains(words, s.how) {
			words = append(words, s.how)
		}
	}
	return strings.Join(words, ", ")
}

// fitting is the narrowest profile with all of the habits.
func fitting(reads reading) string {
	for _, p := range profileReads() {
		if reads&^p.reads == 0 {
			return p.name
		}
	}
	return "any"
}

// narrower finds a spelling by which the application answers a page that the
// policy closes: it asks the policy itself, under the profile, with the page
// closed and all else open, with and without every path option.
func narrower(router string, o observed) (s spelling, page string, open bool) {
	for _, page := range slices.Sorted(maps.Keys(o.pages)) {
		for _, options := range [][]string{nil, {"encoded_slash", "encoded_percent", "semicolon", "empty_segment"}} {
			table, _ := policy.Compile(policy.Config{
				Roles: []string{"closed"}, Upstreams: []policy.Upstream{{Name: "app", Router: router}},
				Routes: []policy.Route{
					{Path: page, Allow: []policy.Rule{{Role: "closed"}}},
					{Path: "/**", Allow: []policy.Rule{{Anyone: true}}, PathOptions: options},
				},
			})
			if table == nil {
				continue // no literal path of a policy
			}
			i := slices.IndexFunc(o.pages[page], func(s spelling) bool { return letsAnybody(table, s.path) })
			if i >= 0 {
				return o.pages[page][i], page, true
			}
		}
	}
	return spelling{}, "", false
}

// letsAnybody tells whether a policy allows a path without a login. One that
// cannot be read is refused, whoever asks.
func letsAnybody(table *policy.Table, path string) bool {
	p, err := policy.ParsePath(path)
	if err != nil {
		return false
	}
	m := table.Match(http.MethodGet, "app", p)
	return m.Refusal() == policy.ReasonNone && m.Decide(policy.Caller{}).Effect == policy.Allow
}
