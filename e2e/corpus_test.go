package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// attack is a case of testdata/corpus.json: an attack on an auth gateway, or a
// control that must not be blocked, and what a correct gateway does.
type attack struct {
	ID, Class, Title, Source, Setup string
	Request                         string `json:"raw_request"`
	JWT                             *forgery
	Expect                          expectation
}

type expectation struct {
	Status      []int               `json:"status_any_of"`
	Recommended int                 `json:"status_recommended"`
	NotReached  bool                `json:"upstream_must_not_be_reached"`
	Reached     bool                `json:"upstream_must_be_reached"`
	NoHeaders   []string            `json:"upstream_must_not_see_headers"`
	Headers     map[string][]string `json:"upstream_must_see_headers"`
	NoPaths     []string            `json:"upstream_must_not_see_paths"`
	NoTrailers  []string            `json:"upstream_must_not_see_trailers"`
	MaxRequests *int                `json:"upstream_max_requests"`
	Target      string              `json:"upstream_request_target_must_equal"`
	NotAnswered []string            `json:"response_must_not_contain"`
	NotLogged   []string            `json:"log_must_not_contain"`
	MaxSeconds  float64             `json:"max_seconds"`
}

// stricter are the cases of which the interface says more than the case does:
// the one status that it fixes, and where.
func stricter() map[string]struct {
	status int
	why    string
} {
	type rule = struct {
		status int
		why    string
	}
	noRoute := rule{404, "no route owns this path, and that is said before anybody is asked who they are"}
	return map[string]rule{
		"PC-040": noRoute,
		"PC-042": noRoute,
		"PC-099": noRoute,
		"PC-070": {421, "a host that is not answered, also in the request line"},
		"PC-086": {421, "a host that is not answered"},
		"MC-16":  {405, "the path has routes, none for this method"},
		"MC-17":  {405, "the path has routes, none for this method"},
		"MC-20":  {400, "a query with _method is refused"},
		"MC-21":  {405, "the path has routes, none for this method"},
		"LG-20":  {403, "every cross-origin POST to the gateway's own endpoints is refused"},
		"LG-21":  {403, "every cross-origin POST to the gateway's own endpoints is refused"},
		"LG-23":  {403, "every cross-origin POST to the gateway's own endpoints is refused"},
		"CT-09":  {404, "no route"},
		"CT-10":  {404, "no route, the same for everybody"},
	}
}

// corpusPolicy is the setup that the corpus calls POLICY. The attempts are more
// than one address is given by default: all of the corpus comes from one.
const corpusPolicy = `
listen: "{LISTEN}"
public_url: http://gw.test
hosts: [gw.test]
admin: { listen: "{ADMIN}" }
log: { level: debug, format: json }
upstreams:
  - { name: app, urls: ["http://{UPSTREAM}"] }
auth:
  lockout: { attempts: 1000, window: 10m, duration: 15m }
routes:
  - { path: /public/**, allow: anyone }
  - { path: /app/**, allow: authenticated }
  - { path: /admin/**, allow: { role: admin } }
  - { path: "/api/users/{id}", methods: [GET], allow: { any_role: [user, admin] } }
  - { path: "/api/users/{id}", methods: [DELETE], allow: { role: admin } }
`

// maxHeaderBytes is more than the gateway reads of a request's head.
const maxHeaderBytes = 96 << 10

// firingRange is where the corpus is run: a gateway with POLICY, what it protects,
// and the words that stand for parts of it.
type firingRange struct {
	*gateway
	upstream *recorder
	forge    *forge
	words    map[string]string
}

func newRange(t *testing.T, transport string) *firingRange {
	up := newRecorder(t)
	g := prepare(t, strings.NewReplacer("{UPSTREAM}\"]", up.addr+"\"], transport: "+transport).Replace(corpusPolicy))
	g.addUser("alice", "user")
	g.addUser("root", "admin")
	const retiredKID = "a-key-that-was"
	retired := openVault(t, g.dir).addRetiredKey(t, retiredKID)
	g.start()
	alice, root := g.hosted("gw.test").login("alice"), g.hosted("gw.test").login("root")
	canary := newRecorder(t)
	_, port, _ := net.SplitHostPort(canary.addr)
	t.Cleanup(func() {
		if seen := canary.take(); len(seen) > 0 {
			t.Errorf("the gateway called an address that a token named:\n%s", seen[0].raw)
		}
	})
	f := &firingRange{gateway: g, upstream: up, words: map[string]string{
		"ACCESS_TOKEN_ALICE":  alice.AccessToken,
		"ACCESS_TOKEN_ROOT":   root.AccessToken,
		"REFRESH_TOKEN_ALICE": alice.RefreshToken,
		"ACCESS_COOKIE":       "postern",
		"REFRESH_COOKIE":      "postern_refresh",
		"ALICE_PW":            passwordOf("alice"),
		"CLIENT_IP":           "127.0.0.1",
		"CANARY_PORT":         port,
		"ISS":                 "http://gw.test",
		"ISS_UPPER":           "HTTP://GW.TEST",
		"AUD":                 "postern",
		"ALG":                 "ES256",
		"RETIRED_KID":         retiredKID,
		"FORGED":              "no-token-at-all",
	}}
	f.forge = newForge(t, f, retired)
	return f
}

// hosted is a client of a gateway that answers only to a public name: it
// connects to the gateway's address whatever the URL says.
func (g *gateway) hosted(host string) *client {
	c := newClient(g.t, "http://"+host)
	c.http.Transport = dialing(g.addr)
	return c
}

// fill puts in what the placeholders stand for.
func (f *firingRange) fill(text string) string {
	for word, value := range f.words {
		text = strings.ReplaceAll(text, "{"+word+"}", value)
	}
	text = regexp.MustCompile(`(?s)\{REPEAT:(.*?):(\d+)\}`).ReplaceAllStringFunc(text, func(found string) string {
		parts := strings.Split(strings.Trim(found, "{}"), ":")
		n, _ := strconv.Atoi(parts[len(parts)-1])
		return strings.Repeat(strings.Join(parts[1:len(parts)-1], ":"), n)
	})
	if head, body, found := strings.Cut(text, "\r\n\r\n"); found {
		text = strings.ReplaceAll(head, "{CL}", strconv.Itoa(len(latin1(body)))) + "\r\n\r\n" + body
	}
	return text
}

// latin1 turns every character into the one byte that it stands for.
func latin1(text string) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteByte(byte(r))
	}
	return b.String()
}

// name is the case's id with the advisories that it comes from.
func (a attack) name() string {
	found := regexp.MustCompile(`CVE-\d{4}-\d+|GHSA(-[23456789cfghjmpqrvwx]{4}){3}`).FindAllString(a.Source, -1)
	return strings.Join(append([]string{a.ID}, found...), " ")
}

// wholeCorpus are the raw requests and the cases that are steps.
func wholeCorpus(t *testing.T) []attack {
	t.Helper()
	text, err := os.ReadFile("testdata/corpus.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []attack
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func corpus(t *testing.T) []attack {
	t.Helper()
	return slices.DeleteFunc(wholeCorpus(t), func(a attack) bool { return a.Request == "" })
}

// TestCorpus sends every raw request of the corpus to the binary and holds the
// answer, the upstream and the log against what the case expects. Where the
// interface is more specific than a case, stricter has its word.
func TestCorpus(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"lean", "standard"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			fireAll(t, newRange(t, transport))
		})
	}
}

func fireAll(t *testing.T, f *firingRange) {
	cases, fixed := corpus(t), stricter()
	if len(cases) != 235 {
		t.Fatalf("%d requests in the corpus, want 235", len(cases))
	}
	for _, a := range cases {
		if rule, ok := fixed[a.ID]; ok {
			a.Expect.Status, a.Expect.Recommended = []int{rule.status}, rule.status
		}
		t.Run(a.name(), func(t *testing.T) {
			if a.JWT == nil {
				f.fire(t, a, "")
				return
			}
			for i, token := range f.forge.tokens(t, *a.JWT) {
				t.Run(strconv.Itoa(i), func(t *testing.T) { f.fire(t, a, token) })
			}
		})
	}
	t.Run("no session was lost", func(t *testing.T) {
		c := f.hosted("gw.test")
		c.get("/auth/me", bearer(f.words["ACCESS_TOKEN_ALICE"])).want(t, 200, "alice after the corpus")
		c.get("/admin/x", bearer(f.words["ACCESS_TOKEN_ROOT"])).want(t, 200, "root after the corpus")
	})
	t.Run("IL-01 no secret in the log", func(t *testing.T) {
		log := f.stdout.String() + f.stderr.String()
		for _, secret := range []string{"ACCESS_TOKEN_ALICE", "ACCESS_TOKEN_ROOT", "REFRESH_TOKEN_ALICE", "ALICE_PW"} {
			if strings.Contains(log, f.words[secret]) {
				t.Errorf("the log holds {%s}", secret)
			}
		}
	})
}

// fire sends one request and judges all that came of it.
func (f *firingRange) fire(t *testing.T, a attack, token string) {
	t.Helper()
	f.upstream.take()
	logged := len(f.stdout.String())
	request := a.Request
	if token != "" {
		request = strings.ReplaceAll(request, "{FORGED}", token)
	}
	request = latin1(f.fill(request))
	began := time.Now()
	answer := exchange(t, f.addr, request)
	took := time.Since(began)
	seen := f.upstream.take()

	defer func() {
		if t.Failed() {
			t.Logf("%s (%s; %s)\nsent %.600q\ngot  %.600q\nupstream saw %d requests: %.900q", a.Title, a.Class, a.Source, request, answer, len(seen), heads(seen))
		}
	}()
	if len(request) > maxHeaderBytes { // refused before anybody reads what it says
		a.Expect.Status, a.Expect.Recommended = append(a.Expect.Status, http.StatusRequestHeaderFieldsTooLarge), 0
	}
	f.judgeAnswer(t, a, answer)
	judgeUpstream(t, a.Expect, f.words["CLIENT_IP"], seen)
	f.judgeAlways(t, seen)
	judgeNotes(t, a, answer, seen)
	if limit := a.Expect.MaxSeconds; limit > 0 { // of a machine that has nothing else to do
		t.Logf("took %s; the corpus wants at most %gs", took.Round(time.Millisecond), limit)
	}
	for _, secret := range a.Expect.NotLogged {
		if strings.Contains(f.stdout.String()[logged:], f.fill(secret)) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

func (f *firingRange) judgeAnswer(t *testing.T, a attack, answer string) {
	t.Helper()
	got := statusOf(answer)
	if !slices.Contains(a.Expect.Status, got) {
		t.Errorf("status %d, want one of %v", got, a.Expect.Status)
	}
	if want := a.Expect.Recommended; want != 0 && got != want {
		t.Errorf("status %d, want the recommended %d", got, want)
	}
	for _, text := range a.Expect.NotAnswered {
		if strings.Contains(answer, f.fill(text)) {
			t.Errorf("the answer contains %q", text)
		}
	}
}

func judgeUpstream(t *testing.T, want expectation, clientIP string, seen []received) {
	t.Helper()
	if want.NotReached && len(seen) > 0 {
		t.Errorf("the upstream was reached")
	}
	if want.Reached && len(seen) == 0 {
		t.Errorf("the upstream was not reached")
	}
	if want.MaxRequests != nil && len(seen) > *want.MaxRequests {
		t.Errorf("the upstream got %d requests, want at most %d", len(seen), *want.MaxRequests)
	}
	for _, got := range seen {
		for _, name := range want.NoHeaders {
			if values := got.values(name); len(values) > 0 {
				t.Errorf("the upstream saw %s: %q", name, values)
			}
		}
		for name, values := range want.Headers {
			judgeHeader(t, got, name, values, clientIP)
		}
		for _, path := range want.NoPaths {
			if strings.HasPrefix(got.target, path) {
				t.Errorf("the upstream saw the path %s", got.target)
			}
		}
		for _, name := range want.NoTrailers {
			if slices.ContainsFunc(got.trailers, func(f field) bool { return strings.EqualFold(f.name, name) }) ||
				strings.Contains(strings.ToLower(strings.Join(got.values("Trailer"), ",")), strings.ToLower(name)) {
				t.Errorf("the upstream saw the trailer %s", name)
			}
		}
		if want.Target != "" && got.target != want.Target {
			t.Errorf("the upstream saw the target %q, want %q byte for byte", got.target, want.Target)
		}
	}
}

func judgeHeader(t *testing.T, got received, name string, want []string, clientIP string) {
	t.Helper()
	values := got.values(name)
	if slices.Equal(want, []string{"*"}) {
		if len(values) != 1 {
			t.Errorf("the upstream saw %s: %q, want one value", name, values)
		}
		return
	}
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "{CLIENT_IP}", clientIP)
	}
	if !slices.Equal(values, want) {
		t.Errorf("the upstream saw %s: %q, want %q", name, values, want)
	}
}

// judgeAlways holds for whatever reaches an upstream, in every case: no field
// name that an application could read as another one, no identity but from us,
// no token of the gateway's.
func (f *firingRange) judgeAlways(t *testing.T, seen []received) {
	t.Helper()
	for _, got := range seen {
		for _, field := range got.fields {
			if strings.ContainsAny(field.name, "_.") {
				t.Errorf("the upstream saw the field name %q", field.name)
			}
		}
		if users := got.values("X-Auth-User"); len(users) > 1 || len(users) == 1 && users[0] != "alice" && users[0] != "root" {
			t.Errorf("the upstream saw X-Auth-User: %q", users)
		}
		for _, token := range []string{"ACCESS_TOKEN_ALICE", "ACCESS_TOKEN_ROOT", "REFRESH_TOKEN_ALICE"} {
			if strings.Contains(got.raw+got.body, f.words[token]) {
				t.Errorf("the upstream saw {%s}", token)
			}
		}
	}
}

// judgeNotes holds what the notes of some cases ask in words.
func judgeNotes(t *testing.T, a attack, answer string, seen []received) {
	t.Helper()
	switch {
	case a.ID == "LG-20" || a.ID == "LG-21":
		if strings.Contains(answer, "Set-Cookie:") {
			t.Error("a refused login set a cookie")
		}
	case strings.HasPrefix(a.Title, "open redirect"):
		judgeLocation(t, answer)
	case a.ID == "HS-062":
		if len(seen) == 1 && !slices.Equal(seen[0].values("Cookie"), []string{"app=1; other=2"}) {
			t.Errorf("the upstream saw Cookie: %q, want the application's own, untouched", seen[0].values("Cookie"))
		}
	case a.ID == "CT-02":
		if !strings.Contains(answer, "\r\nWww-Authenticate: Bearer") {
			t.Error("a 401 without WWW-Authenticate")
		}
	case a.ID == "SM-001":
		if n := strings.Count(answer, "HTTP/1.1 "); n > 1 {
			t.Errorf("%d answers on a connection that had both lengths: it must close after the first", n)
		}
	}
}

// judgeLocation wants a Location to stay on this site, as a browser reads it.
func judgeLocation(t *testing.T, answer string) {
	t.Helper()
	found := regexp.MustCompile(`(?i)\r\nLocation: *([^\r]*)`).FindStringSubmatch(answer)
	if found == nil {
		return
	}
	location := found[1]
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(location, "/") ||
		len(location) > 1 && strings.ContainsRune(`/\`, rune(location[1])) ||
		strings.ContainsFunc(location, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("Location: %q leads away from this site", location)
	}
}

// exchange sends bytes over one connection and reads all that comes back, until
// the other side closes or has been silent for a moment.
func exchange(t *testing.T, addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, request) // it may be refused, and answered, before its end
	var answer bytes.Buffer
	buf := make([]byte, 64<<10)
	conn.SetReadDeadline(time.Now().Add(15 * time.Second))
	for {
		n, err := conn.Read(buf)
		answer.Write(buf[:n])
		if err != nil {
			return answer.String()
		}
		conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	}
}

// statusOf is the status of the first answer; 0: there was none.
func statusOf(answer string) int {
	parts := strings.SplitN(answer, " ", 3)
	if len(parts) < 3 || !strings.HasPrefix(parts[0], "HTTP/1.") {
		return 0
	}
	status, _ := strconv.Atoi(parts[1])
	return status
}

func heads(seen []received) string {
	var b strings.Builder
	for _, got := range seen {
		b.WriteString(got.raw)
	}
	return b.String()
}
