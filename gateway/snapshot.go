package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/gateway/problem"
	"github.com/posternhq/postern/policy"
)

// Cookies names the gateway's cookies, as auth/web sets them.
type Cookies struct {
	Access  string
	Refresh string
}

// Parts is what a Snapshot is built from. Those of auth/web come as plain
// values, because the gateway does not know that package.
type Parts struct {
	Config       Config
	Table        *policy.Table
	Routes       []RouteOptions // by index of policy.Config.Routes
	Own          Own
	Prefix       string            // of the gateway's own endpoints: /auth
	Cookies      Cookies           // names
	CookieDomain string            // whose hosts share a login; empty: none do
	TokenSources []string          // bearer, basic, cookie, header:NAME
	CORSOrigins  []string          // trusted by the cross-origin check, beside public_url
	Dialects     []problem.Dialect // of clients written for another backend, by token header
}

// Snapshot is everything that the configuration decides, made ready for use.
// It is immutable but for the count of its requests.
type Snapshot struct {
	id          string
	table       *policy.Table
	routes      []route
	upstreams   []*upstream
	provisions  []provision // of those who are told of accounts
	own         Own
	prefix      string
	verifyPath  string // where front ends ask, see verify.go; empty: nowhere
	sharedLogin bool   // among hosts
	mint        *mint  // of routes without an upstream; nil: nothing is minted
	identity    *identity
	crossOrigin *http.CrossOriginProtection
	accessLog   bool // a line is written for each request
	standard    bool // no request is answered beside net/http

	clientIdle time.Duration // Limits.ClientIdle
	shutdown   Shutdown

	publicURL  *url.URL
	publicHost string          // canonical, as in an origin
	known      map[string]bool // host names that are ours
	plainHosts map[string]bool // of known: those that are a Host as they stand, in any scheme
	anyHost    bool            // others are answered too
	proxies    []netip.Prefix
	trustUnix  bool

	bearer, basic, cookie bool     // token sources
	tokenHeaders          []string // canonical names
	dialects              []problem.Dialect
	cookies               Cookies
	retryCookie           string   // set by the refresh endpoint, see retryMark
	ownCookies            []string // every spelling of the names, for cutting
	cookieBases           []string // one of which is in each of them

	warned   atomic.Bool // of a scheme that public_url does not have
	warn     func(requestID string)
	requests atomic.Int64 // under way
	retired  atomic.Bool
}

// route is what the gateway does with the requests that a route allows.
type route struct {
	label    string
	counted  counted
	place    policy.Pos // in the file
	upstream *upstream  // nil: there is none, and nothing is carried
	cors     *cors      // nil: the application answers for itself
	limit    *rateLimit // nil: none
	options  RouteOptions
	literals int // segments before the first that is none, for rewrite
}

// Build makes a Snapshot, or says everything that is wrong with its parts.
// Nothing is served from it before Swap.
func (g *Gateway) Build(p Parts) (*Snapshot, error) {
	if p.Table == nil || p.Own == nil || p.Cookies.Access == "" || p.Cookies.Refresh == "" {
		return nil, errors.New("the policy, the own endpoints and the cookies' names are missing")
	}
	if err := faultsError(p.Config.Validate(p.Routes)); err != nil {
		return nil, err
	}
	public, err := url.Parse(p.Config.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("public_url: %w", err)
	}
	s := &Snapshot{
		id: g.nextID(), table: p.Table, own: p.Own, prefix: p.Prefix, identity: newIdentity(p.Config.Identity),
		publicURL: public, publicHost: canonicalHost(public.Host, public.Scheme), cookies: p.Cookies, dialects: p.Dialects,
		accessLog: p.Config.Log.Access, standard: len(p.Config.Upstreams) > 0 && !slices.ContainsFunc(p.Config.Upstreams, Upstream.lean),
		clientIdle: orDefault(p.Config.Limits.ClientIdle, defaultClientIdle), shutdown: p.Config.Shutdown,
	}
	if p.Prefix != "" {
		s.verifyPath, s.sharedLogin = p.Prefix+"/verify", p.CookieDomain != ""
	}
	s.mint = newMint("", s.identity, g.auth.Assert)
	written := p.Config.PublicURL // p itself, with all its routes, is not to live on in this
	s.warn = func(requestID string) {
		g.log.Warn("a trusted proxy says https, but public_url is http: cookies lack Secure and redirects lead to http",
			"public_url", written, "request_id", requestID)
	}
	s.buildHosts(p.Config)
	s.buildTrust(p.Config.TrustedProxies)
	if err := errors.Join(s.buildSources(p), s.buildCrossOrigin(p.CORSOrigins), s.buildUpstreams(g, p.Config), s.buildRoutes(p, g.snap.Load()), s.buildProvisions(g, p.Config)); err != nil {
		return nil, err
	}
	return s, nil
}

// nextID names a snapshot in logs and metrics: by number, from 1.
func (g *Gateway) nextID() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.builds++
	return strconv.Itoa(g.builds)
}

// faultsError joins the faults that are no warnings.
func faultsError(faults []Fault) error {
	var errs []error
	for _, f := range faults {
		if !f.Warning {
			errs = append(errs, errors.New(f.Path+": "+f.Message))
		}
	}
	return errors.Join(errs...)
}

// buildHosts collects the names that are ours. public_url's always is: a list
// of hosts that forgets it would lock everybody out of the login.
func (s *Snapshot) buildHosts(c Config) {
	s.known = map[string]bool{hostname(s.publicURL.Host): true}
	for _, h := range c.Hosts {
		s.known[hostname(h)] = true
	}
	s.plainHosts = map[string]bool{}
	for h := range s.known {
		if validName(h) && canonicalHost(h, "http") == h && canonicalHost(h, "https") == h {
			s.plainHosts[h] = true
		}
	}
	s.anyHost = len(c.Hosts) == 0
}

// buildTrust reads the list of those whose forwarding headers are believed.
// An empty list trusts nobody.
func (s *Snapshot) buildTrust(list []string) {
	for _, item := range list {
		if item == "unix" {
			s.trustUnix = true
		} else if p, err := parsePrefix(item); err == nil { // Validate refused all others
			s.proxies = append(s.proxies, p)
		}
	}
}

// parsePrefix reads a CIDR or a single address. An IPv4 network written in
// IPv6 is the IPv4 one: peers are compared unmapped (GHSA-7jmw-8259-q9jx).
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// buildSources settles where credentials are looked for, and which cookies
// never pass. A query parameter is no source: queries end up in logs and in
// Referer fields.
func (s *Snapshot) buildSources(p Parts) error {
	for _, source := range p.TokenSources {
		name, isHeader := strings.CutPrefix(source, "header:")
		switch {
		case source == "bearer":
			s.bearer = true
		case source == "basic":
			s.basic = true
		case source == "cookie":
			s.cookie = true
		case isHeader && isPlain(name) && name != "":
			s.tokenHeaders = append(s.tokenHeaders, textproto.CanonicalMIMEHeaderKey(name))
		default:
			return fmt.Errorf("auth.token_sources: %q is no source; there are bearer, basic, cookie and header:NAME", source)
		}
	}
	access := unprefixed(p.Cookies.Access)
	s.retryCookie = access + "_retry"
	if access != p.Cookies.Access { // with https
		s.retryCookie = "__Host-" + s.retryCookie
	}
	s.cookieBases = []string{access, unprefixed(p.Cookies.Refresh)} // access is in access_retry, too
	for _, base := range append(s.cookieBases, access+"_retry") {
		s.ownCookies = append(s.ownCookies, base, "__Host-"+base, "__Secure-"+base)
	}
	return nil
}

// unprefixed is a cookie's name without the prefix that https gives it.
func unprefixed(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "__Host-"), "__Secure-")
}

// buildCrossOrigin trusts this site and the origins that the configuration
// names. There are no exceptions by path: each would be a hole.
func (s *Snapshot) buildCrossOrigin(origins []string) error {
	s.crossOrigin = http.NewCrossOriginProtection()
	for _, origin := range append([]string{s.publicURL.Scheme + "://" + s.publicHost}, origins...) {
		if err := s.crossOrigin.AddTrustedOrigin(origin); err != nil {
			return fmt.Errorf("auth.cors.origins: %w", err)
		}
	}
	return nil
}

// buildUpstreams makes all upstreams ready, and reports all that cannot be.
func (s *Snapshot) buildUpstreams(g *Gateway, c Config) error {
	var errs []error
	for i := range c.Upstreams {
		u, err := g.newUpstream(s, &c.Upstreams[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("upstreams[%d]: %w", i, err))
			continue
		}
		s.upstreams = append(s.upstreams, u)
	}
	return errors.Join(errs...)
}

// buildRoutes ties the policy's routes to their upstreams. A route that names
// none has the only one there is, and none where there is none at all: then the
// gateway only answers questions about requests (verify.go). What old has
// counted goes on to be counted.
func (s *Snapshot) buildRoutes(p Parts, old *Snapshot) error {
	infos := p.Table.Routes()
	if len(p.Routes) != 0 && len(p.Routes) != len(infos) {
		return fmt.Errorf("routes: the policy has %d, the options are for %d", len(infos), len(p.Routes))
	}
	s.routes = make([]route, len(infos))
	for i, info := range infos {
		j := slices.IndexFunc(s.upstreams, func(u *upstream) bool { return u.name == info.Upstream })
		if info.Upstream == "" && len(s.upstreams) == 1 {
			j = 0
		}
		rt := &s.routes[i]
		rt.label, rt.place, rt.literals = info.Label, info.Pos, literalSegments(info.Label)
		switch {
		case j >= 0:
			rt.upstream = s.upstreams[j]
		case info.Upstream != "" || len(s.upstreams) > 0:
			return fmt.Errorf("routes[%d]: upstream %q does not exist; name one of those under upstreams", i, info.Upstream)
		}
		if len(p.Routes) > 0 {
			rt.options = p.Routes[i]
			rt.cors = newCORS(rt.options.CORS, info.Methods)
			rt.limit = newRateLimit(rt.options.RateLimit, info.Label, info.Methods).inherit(old)
		}
	}
	return nil
}

// trusts tells whether forwarding headers of a peer are believed. The invalid
// address is a unix socket's.
func (s *Snapshot) trusts(peer netip.Addr) bool {
	if !peer.IsValid() {
		return s.trustUnix
	}
	for _, p := range s.proxies {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

// names tells whether a host name is one of ours by name.
func (s *Snapshot) names(host string) bool { return s.known[host] }

// answers tells whether requests for a host name are answered at all.
func (s *Snapshot) answers(host string) bool { return s.anyHost || s.known[host] }

// warnScheme says once per snapshot that public_url and the front door differ.
func (s *Snapshot) warnScheme(requestID string) {
	if s.publicURL.Scheme == "http" && s.warned.CompareAndSwap(false, true) {
		s.warn(requestID)
	}
}

// acquire and release count the requests under way, so that the connections of
// a retired snapshot are closed when the last of its requests has ended.
func (s *Snapshot) acquire() { s.requests.Add(1) }

// release ends what acquire began.
func (s *Snapshot) release() {
	if s.requests.Add(-1) == 0 && s.retired.Load() {
		s.closeIdle()
	}
}

// retire lets go of a snapshot that was swapped out. A request that picked it
// up at this very moment still works: it only opens a connection anew.
func (s *Snapshot) retire() {
	s.retired.Store(true)
	if s.requests.Load() == 0 {
		s.closeIdle()
	}
}

// closeIdle lets go of the connections that no request uses.
func (s *Snapshot) closeIdle() {
	s.eachTarget(func(_ *upstream, t *target) { t.transport.closeIdle() })
}

// closeUnused does so where the snapshot is out of use.
func (s *Snapshot) closeUnused() {
	if s != nil && s.retired.Load() && s.requests.Load() == 0 {
		s.closeIdle()
	}
}

// eachTarget visits all targets; the nil snapshot, before the first Swap, has
// none.
func (s *Snapshot) eachTarget(visit func(*upstream, *target)) {
	if s == nil {
		return
	}
	for _, u := range s.upstreams {
		for _, t := range u.balancer.targets {
			visit(u, t)
		}
	}
}

// target is the one with a label, or nil.
func (s *Snapshot) target(name, label string) (found *target) {
	s.eachTarget(func(u *upstream, t *target) {
		if u.name == name && t.label == label {
			found = t
		}
	})
	return found
}
