package gateway

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/policy"
)

// decisionTable asks a running gateway what policy/testdata/decisions.txt asks
// the table alone. The form of that file is the test's of package policy.
type decisionTable struct {
	*stack
	tokens map[string]string // by the names of the file; nobody has none
	routes []policy.Route
	router string
	served bool // the section's routes are in force
}

func newDecisionTable(t *testing.T) *decisionTable {
	t.Helper()
	d := &decisionTable{stack: newStack(t, func(c *setup) {
		c.gateway.Hosts, c.gateway.TrustedProxies = nil, []string{"127.0.0.1", "unix"}
		c.auth.Roles = []string{"user", "mod", "admin"}
		c.auth.Profile.Fields = []auth.ProfileField{{Name: "tenant"}, {Name: "team"}}
	})}
	for _, name := range []string{"alice", "root"} { // those of the stack have other ids
		a, err := d.service.FindAccount(t.Context(), name)
		must(t, err)
		must(t, d.service.DeleteAccount(t.Context(), a.ID, auth.Actor{By: "test"}))
	}
	tenant := map[string][]string{"tenant": {"acme"}, "team": {"red", "blue"}}
	for _, n := range []auth.NewAccount{
		{ID: "42", Username: "alice", Email: "alice@example.com", Roles: []string{"user"}, Fields: tenant},
		{ID: "43", Username: "bob", Roles: []string{"user"}},
		{ID: "44", Username: "mod", Roles: []string{"user", "mod"}},
		{ID: "42%", Username: "percent", Roles: []string{"user"}, Fields: map[string][]string{"tenant": {"100%"}}},
		{ID: "1", Username: "root", Roles: []string{"admin"}},
	} {
		n.Password = testPassword
		_, err := d.service.AddAccount(t.Context(), n, auth.Actor{By: "test"})
		must(t, err)
	}
	yesterday := d.login("alice")
	d.later(24 * time.Hour)
	old, err := d.service.Refresh(t.Context(), yesterday.RefreshToken, auth.Client{})
	must(t, err)
	d.tokens = map[string]string{"nobody": "", "old": old.AccessToken}
	for _, name := range []string{"alice", "bob", "mod", "percent", "root"} {
		d.tokens[name] = d.token(name)
	}
	return d
}

// section begins a new policy.
func (d *decisionTable) section() { d.routes, d.router, d.served = nil, "any", false }

// swap puts the section's policy in force.
func (d *decisionTable) swap() {
	d.t.Helper()
	table, findings := policy.Compile(policy.Config{
		Routes: d.routes, Roles: []string{"user", "mod", "admin"}, Upstreams: []policy.Upstream{{Name: "app", Router: d.router}},
		Fields: []policy.Field{{Name: "tenant"}, {Name: "team"}},
	})
	if table == nil {
		d.t.Fatal(findings)
	}
	parts := d.parts
	parts.Table = table
	snap, err := d.gateway.Build(parts)
	must(d.t, err)
	d.gateway.Swap(snap)
	d.served = true
}

// ask sends METHOD HOST/PATH WHO[@CLIENT][#SUBJECT] and names the answer as the
// file does.
func (d *decisionTable) ask(question string) string {
	d.t.Helper()
	words := strings.Fields(question)
	host, path, _ := strings.Cut(words[1], "/")
	who, subject, _ := strings.Cut(words[2], "#")
	who, from, _ := strings.Cut(who, "@")
	token, known := d.tokens[who]
	if !known {
		d.t.Fatalf("nobody is called %s", who)
	}
	if host == "" {
		host = "gw.test"
	}
	lines := []string{"X-Request-Id: ask"}
	if token != "" {
		lines = append(lines, bearer(token))
	}
	if from == "none" { // behind a unix socket nobody has an address
		return d.answered(d.past(words[0], host, "/"+path, lines, func(r *http.Request) { r.RemoteAddr = "@" }))
	}
	if from == "" {
		from = "192.0.2.7"
	}
	if d.certificates() && subject != "hidden" { // on a connection of the client's own
		return d.answered(d.past(words[0], host, "/"+path, lines, func(r *http.Request) {
			r.RemoteAddr, r.TLS = from+":4711", showing(d.t, subject)
		}))
	}
	header := strings.Join(append(lines, "X-Forwarded-For: "+from), "\r\n")
	return d.answered(d.raw(words[0] + " /" + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n" + header + "\r\n\r\n"))
}

// certificates tells whether the section's rules ask for any.
func (d *decisionTable) certificates() bool {
	return slices.ContainsFunc(d.routes, func(r policy.Route) bool {
		return slices.ContainsFunc(append(slices.Clip(r.Allow), r.Deny...), func(rule policy.Rule) bool { return rule.ClientCert != nil })
	})
}

// showing is a connection whose client has shown a certificate of that subject,
// and it was verified; of no subject, none.
func showing(t testing.TB, subject string) *tls.ConnectionState {
	t.Helper()
	if subject == "" {
		return &tls.ConnectionState{}
	}
	kinds := map[string]asn1.ObjectIdentifier{"CN": {2, 5, 4, 3}, "C": {2, 5, 4, 6}, "O": {2, 5, 4, 10}}
	var names pkix.RDNSequence
	for part := range strings.SplitSeq(strings.ReplaceAll(subject, `\,`, "\x00"), ",") {
		var set pkix.RelativeDistinguishedNameSET
		for one := range strings.SplitSeq(part, "+") {
			kind, value, _ := strings.Cut(one, "=")
			if kinds[kind] == nil {
				t.Fatalf("unknown part of a subject: %q", one)
			}
			set = append(set, pkix.AttributeTypeAndValue{Type: kinds[kind], Value: strings.ReplaceAll(value, "\x00", ",")})
		}
		names = append(pkix.RDNSequence{set}, names...) // the text begins with the last
	}
	raw, err := asn1.Marshal(names)
	must(t, err)
	leaf := &x509.Certificate{RawSubject: raw, NotAfter: time.Now().AddDate(1, 0, 0)}
	return &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
}

// past hands a request to the gateway as its listener does; change makes it one
// of a unix socket, or of TLS.
func (d *decisionTable) past(method, host, path string, lines []string, change func(*http.Request)) *reply {
	r := httptest.NewRequest(method, "http://"+host+path, nil)
	r.RequestURI = path
	change(r)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	before, w := d.app.count(), httptest.NewRecorder()
	d.gateway.ServeHTTP(w, r)
	return &reply{Response: w.Result(), body: w.Body.String(), seen: d.app.after(before)}
}

// answered names the answer. What is let through has been asked of the
// application, and nothing else has.
func (d *decisionTable) answered(r *reply) string {
	d.t.Helper()
	if (r.StatusCode == http.StatusOK) != (r.seen != nil) {
		return "status " + strconv.Itoa(r.StatusCode) + ", and the application was asked or not"
	}
	switch {
	case r.StatusCode == http.StatusOK && d.recorded("ask").Decision == decisionObserve:
		return "observed"
	case r.StatusCode == http.StatusOK:
		return "allow"
	case r.code() == "reauthentication_required":
		return "reauthenticate"
	case r.StatusCode == http.StatusUnauthorized:
		return "unauthenticated"
	}
	if want := map[string]int{"forbidden": 403, "no_route": 404, "method_not_allowed": 405, "bad_path": 400}[r.code()]; r.Request != nil && r.Request.Method != "HEAD" && want != r.StatusCode {
		return "status " + strconv.Itoa(r.StatusCode) + " " + r.body
	}
	return map[int]string{403: "forbidden", 404: "no_route", 405: "method_not_allowed", 400: "bad_path"}[r.StatusCode]
}

// The answers of the table alone are the answers of the gateway.
func TestEveryDecisionOfTheTableIsTheRunningGateways(t *testing.T) {
	file, err := os.Open("../policy/testdata/decisions.txt")
	must(t, err)
	defer file.Close()
	d := newDecisionTable(t)
	asked, number := 0, 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		number++
		line := lines.Text()
		switch question, want, _ := strings.Cut(line, " -> "); {
		case line == "":
		case line[0] == '#':
			d.section()
		case strings.HasPrefix(line, "router "):
			d.router = strings.TrimPrefix(line, "router ")
		case strings.HasPrefix(line, "route "):
			d.routes = append(d.routes, compactRoute(t, line))
		default:
			if !d.served {
				d.swap()
			}
			asked++
			if got := d.ask(question); got != want {
				t.Errorf("decisions.txt:%d: %s: got %s", number, line, got)
			}
		}
	}
	if asked < 200 {
		t.Errorf("only %d decisions were asked for", asked)
	}
}

// compactRoute reads a route in the short form of the table:
// route PATH key=value ..., rules parted by |, conditions by +.
func compactRoute(t *testing.T, line string) policy.Route {
	t.Helper()
	words := strings.Fields(line)
	r := policy.Route{Path: words[1]}
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "host":
			r.Host = value
		case "methods":
			r.Methods = strings.Split(value, ",")
		case "mode":
			r.Mode = value
		case "options":
			r.PathOptions = strings.Split(value, ",")
		case "allow":
			r.Allow = compactRules(t, value)
		case "deny":
			r.Deny = compactRules(t, value)
		default:
			t.Fatalf("unknown word %q in %q", word, line)
		}
	}
	return r
}

func compactRules(t *testing.T, text string) (rules []policy.Rule) {
	t.Helper()
	for alternative := range strings.SplitSeq(text, "|") {
		var r policy.Rule
		for condition := range strings.SplitSeq(alternative, "+") {
			name, value, _ := strings.Cut(condition, ":")
			left, right, _ := strings.Cut(value, "=")
			list := strings.Split(value, ",")
			switch name {
			case "anyone", "authenticated":
				must(t, r.UnmarshalText([]byte(name)))
			case "role":
				r.Role = value
			case "any_role":
				r.AnyRole = list
			case "all_roles":
				r.AllRoles = list
			case "user":
				r.User = value
			case "any_user":
				r.AnyUser = list
			case "self":
				r.Self = &policy.SelfRule{Name: left, Is: right}
			case "field":
				r.Field = &policy.FieldRule{Name: left, Equals: right}
			case "methods":
				r.Methods = list
			case "cidr":
				r.CIDR = list
			case "client_cert":
				r.ClientCert = &policy.ClientCert{Subject: value}
			case "max_age":
				age, err := time.ParseDuration(value)
				must(t, err)
				r.MaxAge = age
			default:
				t.Fatalf("unknown condition %q", name)
			}
		}
		rules = append(rules, r)
	}
	return rules
}
