package gateway

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/auth"
)

// machine holds a stack against the model: every step is taken in both, and after
// each the application is asked for with every access token that was ever issued.
type machine struct {
	*rapid.T
	w      *world
	s      *stack
	client *http.Client
	root   auth.Grant
	runs   int // tells the names of one run from those of another
	words  int // passwords that were made up
}

// Login, refresh, logout, roles, passwords, accounts disabled and enabled, restarts,
// the passing of time, tokens shown again, in any order, by two people of two
// sessions and more: what a token is worth is what its history says (rules 10 and
// 11). make soak takes more and longer walks.
func TestEveryTokenIsWorthWhatItsHistorySays(t *testing.T) {
	if checks := flag.Lookup("rapid.checks"); os.Getenv("POSTERN_TEST_SOAK") == "" && checks.Value.String() == checks.DefValue {
		must(t, checks.Value.Set("15")) // a login costs a hash
		t.Cleanup(func() { _ = checks.Value.Set(checks.DefValue) })
	}
	m := newMachine(t)
	rapid.Check(t, func(rt *rapid.T) {
		m.begin(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"":               m.askWithAll,
			"login":          m.login,
			"refresh":        m.refreshCurrent,
			"refresh again":  m.refreshCurrent, // what is done most
			"burst":          m.burst,
			"show any token": m.refreshAny,
			"logout":         m.logout,
			"end a session":  m.endSession,
			"list sessions":  m.listSessions,
			"roles":          m.changeRoles,
			"disable":        m.disable,
			"new password":   m.changePassword,
			"reset password": m.resetPassword,
			"restart":        m.restart,
			"wait":           m.wait,
			"wait a moment":  m.waitAMoment,
		})
		m.showAll()
	})
}

func newMachine(t *testing.T) *machine {
	m := &machine{client: &http.Client{Transport: &http.Transport{}}}
	m.s = newStack(t, func(c *setup) {
		c.epoch = time.Now().Truncate(time.Second)
		c.auth.AccessToken.TTL, c.auth.Lockout.Attempts = modelAccess, 0
		c.auth.RefreshToken = auth.RefreshToken{TTL: modelIdle, ReuseGrace: modelGrace, SessionTTL: modelSession}
	})
	t.Cleanup(m.client.CloseIdleConnections)
	return m
}

// begin makes two people for one walk.
func (m *machine) begin(rt *rapid.T) {
	m.T, m.w = rt, &world{}
	m.runs++
	m.later(time.Minute) // past the leniency after a start
	for _, name := range []string{"ann", "ben"} {
		p := &person{name: fmt.Sprintf("%s%d", name, m.runs), roles: []string{"user"}, password: m.word()}
		a, err := m.s.service.AddAccount(m.s.t.Context(), auth.NewAccount{Username: p.name, Password: p.password, Roles: p.roles}, auth.Actor{By: "test"})
		must(m.s.t, err)
		p.id = a.ID
		m.w.people = append(m.w.people, p)
	}
	m.w.started = -time.Hour
}

func (m *machine) word() string {
	m.words++
	return fmt.Sprintf("looking glass number %d", m.words)
}

func (m *machine) later(d time.Duration) {
	m.s.later(d)
	m.w.now += d
}

// answered is what the gateway said.
type answered struct {
	verdict
	body map[string]any
	seen *seen
}

// ask sends a request, with a bearer token or none.
func (m *machine) ask(method, path, token string, body any) answered {
	m.Helper()
	r, err := http.NewRequest(method, "http://"+m.s.server.Addr()+path, nil)
	must(m.s.t, err)
	if body != nil {
		text, err := json.Marshal(body)
		must(m.s.t, err)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(text))), int64(len(text))
		r.Header.Set("Content-Type", "application/json")
	}
	r.Host = "gw.test"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	before := m.s.app.count()
	res, err := m.client.Do(r)
	must(m.s.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(m.s.t, err)
	a := answered{verdict: verdict{status: res.StatusCode}, seen: m.s.app.after(before)}
	if json.Unmarshal(text, &a.body) == nil {
		a.code, _ = a.body["code"].(string)
	}
	return a
}

// wants fails unless the gateway and the model agree.
func (m *machine) wants(what string, got, want verdict) {
	m.Helper()
	if got != want {
		m.Fatalf("%s: answered %v, and its history says %v", what, got, want)
	}
}

// askWithAll is the question after every step: may this token reach /admin now?
func (m *machine) askWithAll(*rapid.T) {
	for i, a := range m.w.accesses {
		got, want := m.ask("GET", "/admin/x", a.raw, nil), m.w.worth(a)
		m.wants(fmt.Sprintf("/admin with access token %d of %s", i, a.of.who.name), got.verdict, want)
		if (got.seen != nil) != (want.status == 200) {
			m.Fatalf("access token %d answered %v, and the application saw %v", i, got.verdict, got.seen)
		}
		if got.seen != nil && (got.seen.header.Get("X-Auth-User") != a.of.who.name || got.seen.header.Get("X-Auth-Roles") != strings.Join(a.of.who.roles, ",")) {
			m.Fatalf("the application was told %v of %+v", got.seen.header, a.of.who)
		}
	}
	m.wants("/admin without a token", m.ask("GET", "/admin/x", "", nil).verdict, verdict{401, "token_missing"})
}

// take notes the tokens of an answer. Only the head of a session may be given
// out, and always the very same for it.
func (m *machine) take(l *life, got answered) {
	m.Helper()
	token, _ := got.body["access_token"].(string)
	var claims struct{ Sid string }
	if parts := strings.Split(token, "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims)
	}
	if l.sid == "" {
		l.sid = claims.Sid
	}
	if claims.Sid == "" || claims.Sid != l.sid {
		m.Fatalf("a token of session %q, in the place of one of %q", claims.Sid, l.sid)
	}
	m.w.accesses = append(m.w.accesses, &access{raw: token, of: l, version: l.who.version, roles: l.who.roles, expires: m.w.now + modelAccess})
	next, _ := got.body["refresh_token"].(string)
	for _, known := range m.w.refreshs {
		switch same := known.raw == next; {
		case same && (known.of != l || known.number != l.head), !same && known.of == l && known.number == l.head:
			m.Fatalf("token %d of its session was answered where %d is due", known.number, l.head)
		case same:
			return
		}
	}
	m.w.refreshs = append(m.w.refreshs, &refresh{raw: next, of: l, number: l.head})
}

// login tries the password, and now and then one that is none.
func (m *machine) login(*rapid.T) {
	p := rapid.SampledFrom(m.w.people).Draw(m.T, "who")
	password := p.password
	if rapid.IntRange(0, 4).Draw(m.T, "wrong") == 4 {
		password = "not the word of " + p.name
	}
	got := m.ask("POST", "/auth/login", "", map[string]string{"username": p.name, "password": password})
	l, want := m.w.begin(p, password)
	m.wants("a login of "+p.name, got.verdict, want)
	if l != nil {
		m.take(l, got)
	}
}

// refreshCurrent is what an honest client does.
func (m *machine) refreshCurrent(*rapid.T) {
	m.refreshOne("the current token", func(r *refresh) bool { return r.number == r.of.head })
}

// burst is a browser that restores its tabs: many rotations within the grace.
func (m *machine) burst(*rapid.T) {
	of := m.anyAccess().of
	for range rapid.IntRange(2, 12).Draw(m.T, "times") {
		i := slices.IndexFunc(m.w.refreshs, func(r *refresh) bool { return r.of == of && r.number == of.head })
		m.show(m.w.refreshs[i])
	}
}

// refreshAny is a lost answer, a second tab, or a thief.
func (m *machine) refreshAny(*rapid.T) {
	m.refreshOne("a token", func(*refresh) bool { return true })
}

func (m *machine) refreshOne(which string, fits func(*refresh) bool) {
	some := slices.DeleteFunc(slices.Clone(m.w.refreshs), func(r *refresh) bool { return !fits(r) })
	if len(some) == 0 {
		m.Skip("none was issued")
	}
	m.show(rapid.SampledFrom(some).Draw(m.T, which))
}

// show spends a refresh token, whatever became of it.
func (m *machine) show(r *refresh) {
	got := m.ask("POST", "/auth/refresh", "", map[string]string{"refresh_token": r.raw})
	want := m.w.spend(r)
	m.wants(fmt.Sprintf("refresh token %d of a session of %s", r.number, r.of.who.name), got.verdict, want)
	if want.status == 200 {
		m.take(r.of, got)
	}
}

// showAll ends a walk: every refresh token that was ever issued, in any order.
func (m *machine) showAll() {
	for _, r := range rapid.Permutation(m.w.refreshs).Draw(m.T, "at the end") {
		m.show(r)
		m.askWithAll(m.T)
	}
}

// anyAccess draws an access token of whatever worth.
func (m *machine) anyAccess() *access {
	if len(m.w.accesses) == 0 {
		m.Skip("none was issued")
	}
	return rapid.SampledFrom(m.w.accesses).Draw(m.T, "by")
}

// logout by an access token, of whatever age, or by a refresh token.
func (m *machine) logout(*rapid.T) {
	a := m.anyAccess()
	switch rapid.SampledFrom([]string{"this", "this", "all", "by refresh token"}).Draw(m.T, "what") {
	case "this":
		m.wants("a logout", m.ask("POST", "/auth/logout", a.raw, map[string]bool{}).verdict, verdict{204, ""})
		m.w.end(a.of, "refresh_invalid")
	case "all":
		want := m.w.endsAll(a)
		m.wants("a logout of all", m.ask("POST", "/auth/logout", a.raw, map[string]bool{"all": true}).verdict, want)
		if want.status == 204 {
			m.w.endAll(a.of.who, nil)
		}
	default:
		r := rapid.SampledFrom(m.w.refreshs).Draw(m.T, "refresh token")
		m.wants("a logout by refresh token", m.ask("POST", "/auth/logout", "", map[string]string{"refresh_token": r.raw}).verdict, verdict{204, ""})
		m.w.end(r.of, "refresh_invalid")
	}
}

// endSession ends a session by its id: one's own, never another's.
func (m *machine) endSession(*rapid.T) {
	a, of := m.anyAccess(), m.anyAccess().of
	want, proves := m.w.proves(a)
	switch {
	case proves && of.who == a.of.who:
		want = verdict{204, ""}
	case proves:
		want = verdict{404, "no_route"}
	}
	m.wants("the end of a session", m.ask("DELETE", "/auth/sessions/"+of.sid, a.raw, nil).verdict, want)
	if want.status == 204 {
		m.w.end(of, "refresh_invalid")
	}
}

// listSessions wants those that live, and no other.
func (m *machine) listSessions(*rapid.T) {
	a := m.anyAccess()
	got := m.ask("GET", "/auth/sessions", a.raw, nil)
	want, proves := m.w.proves(a)
	if !proves {
		m.wants("the list of sessions", got.verdict, want)
		return
	}
	m.wants("the list of sessions", got.verdict, verdict{200, ""})
	var live, listed []string
	for _, l := range a.of.who.sessions {
		if l.ended == "" && !m.w.outOfTime(l) {
			live = append(live, l.sid)
		}
	}
	list, _ := got.body["sessions"].([]any)
	for _, one := range list {
		id, _ := one.(map[string]any)["id"].(string)
		listed = append(listed, id)
	}
	slices.Sort(live)
	slices.Sort(listed)
	if !slices.Equal(live, listed) {
		m.Fatalf("sessions %q are listed, and %q live", listed, live)
	}
}

// order changes an account as an administrator.
func (m *machine) order(p *person, change map[string]any) {
	if m.root.AccessToken == "" || !m.s.now().Before(m.root.AccessExpires) {
		m.root = m.s.login("root")
	}
	m.wants("an administrator's change", m.ask("PATCH", "/auth/admin/users/"+p.id, m.root.AccessToken, change).verdict, verdict{200, ""})
}

func (m *machine) somebody() *person { return rapid.SampledFrom(m.w.people).Draw(m.T, "who") }

func (m *machine) changeRoles(*rapid.T) {
	p, roles := m.somebody(), rapid.SampledFrom([][]string{{"user"}, {"admin"}, {"user", "admin"}, {}}).Draw(m.T, "roles")
	m.order(p, map[string]any{"roles": roles})
	m.w.setRoles(p, roles)
}

// disable, or enable.
func (m *machine) disable(*rapid.T) {
	p, disabled := m.somebody(), rapid.Bool().Draw(m.T, "disabled")
	m.order(p, map[string]any{"disabled": disabled})
	m.w.setDisabled(p, disabled)
}

func (m *machine) resetPassword(*rapid.T) {
	p, password := m.somebody(), m.word()
	m.order(p, map[string]any{"password": password})
	m.w.setPassword(p, password)
}

// changePassword is the owner's, with the current password or another.
func (m *machine) changePassword(*rapid.T) {
	a, next := m.anyAccess(), m.word()
	current := a.of.who.password
	if rapid.IntRange(0, 3).Draw(m.T, "wrong") == 3 {
		current = "never was"
	}
	got := m.ask("POST", "/auth/me/password", a.raw, map[string]string{"current": current, "new": next})
	want := m.w.changePassword(a, current, next)
	m.wants("a change of password", got.verdict, want)
	if want.status == 200 {
		m.take(a.of, got)
	}
}

// restart is another process on the same file.
func (m *machine) restart(*rapid.T) {
	m.s.stop()
	m.client.CloseIdleConnections()
	m.s.start()
	m.w.started = m.w.now
}

// wait to the second before an end, or to it, or for a part of a token's life.
func (m *machine) wait(*rapid.T) {
	ends := []time.Duration{modelGrace, modelAccess / 3, modelAccess / 3, modelAccess, modelIdle, modelSession}
	d := rapid.SampledFrom(ends).Draw(m.T, "end")
	m.later(d - time.Duration(rapid.IntRange(0, 1).Draw(m.T, "before"))*time.Second)
}

func (m *machine) waitAMoment(*rapid.T) {
	m.later(time.Duration(rapid.IntRange(1, 20).Draw(m.T, "seconds")) * time.Second)
}
