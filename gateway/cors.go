package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/policy"
)

// cors answers for a route what browsers ask before, and look for after, a
// request of another origin's page. The nil cors leaves both to the
// application.
type cors struct {
	origins     []string // as browsers write them; "*" is any, never with credentials
	methods     string   // empty: the one that is asked about
	headers     string   // empty: those that are asked about
	credentials bool
	maxAge      string
}

// newCORS makes a route's answer ready; methods are the route's own.
func newCORS(c *CORS, methods []string) *cors {
	if c == nil {
		return nil
	}
	if len(c.Methods) > 0 {
		methods = c.Methods
	}
	made := &cors{methods: strings.Join(methods, ", "), headers: strings.Join(c.Headers, ", "), credentials: c.Credentials}
	for _, o := range c.Origins {
		made.origins = append(made.origins, strings.ToLower(o))
	}
	if c.MaxAge > 0 {
		made.maxAge = strconv.Itoa(int(c.MaxAge.Seconds()))
	}
	return made
}

// allows tells whether pages of an origin may use the route. Origins are
// compared whole: a suffix would let evil-example.com in for example.com.
func (c *cors) allows(origin string) bool {
	return slices.Contains(c.origins, strings.ToLower(origin)) || slices.Contains(c.origins, "*")
}

// isPreflight tells whether the request only asks what another one may do.
func (x *exchange) isPreflight() bool {
	return x.r.Method == http.MethodOptions && len(x.r.Header["Origin"]) == 1 && len(x.r.Header["Access-Control-Request-Method"]) == 1
}

// preflight answers a CORS preflight before anybody is asked who they are:
// browsers send it without credentials. It answers for the route of the method
// that is asked about. Where no route has `cors` it is a request like any
// other, and preflight answers false unless no route takes it.
func (x *exchange) preflight() bool {
	if !x.isPreflight() {
		return false
	}
	method := x.r.Header["Access-Control-Request-Method"][0]
	asked := x.snap.table.Match(method, x.host, x.path)
	i := asked.Route()
	if asked.Refusal() != policy.ReasonNone || i < 0 || x.snap.routes[i].cors == nil {
		return !x.routed()
	}
	x.label = x.snap.routes[i].label
	x.decision, x.reason = decisionAllow, reasonPreflight
	x.snap.routes[i].cors.grant(x.answer.Header(), x.r, method)
	x.answer.WriteHeader(http.StatusNoContent)
	return true
}

// grant says what the origin may do; to an origin that is not listed it says
// nothing, which browsers take for no.
func (c *cors) grant(h http.Header, r *http.Request, method string) {
	h.Add("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	if !c.origin(h, r) {
		return
	}
	methods, headers := c.methods, c.headers
	if methods == "" {
		methods = method
	}
	if headers == "" {
		headers = strings.Join(r.Header["Access-Control-Request-Headers"], ", ")
	}
	h.Set("Access-Control-Allow-Methods", methods)
	if headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	if c.maxAge != "" {
		h.Set("Access-Control-Max-Age", c.maxAge)
	}
}

// origin names the origin that may, never "*": with credentials browsers want
// the name, and caches are told by Vary.
func (c *cors) origin(h http.Header, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || !c.allows(origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if c.credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	return true
}

// answer replaces what the application says about other origins by what the
// route says: two answers would be none to a browser.
func (c *cors) answer(h http.Header, r *http.Request) {
	if c == nil {
		return
	}
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-Allow-") {
			delete(h, name)
		}
	}
	h.Add("Vary", "Origin")
	c.origin(h, r)
}
