package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/policy"
)

func TestAnExplanationKnowsTheAccountsOwnValues(t *testing.T) {
	s := newServed(t)
	s.write(t, `routes:
  - { path: "/t/{tenant}/**", allow: { field: { name: tenant, equals: "{tenant}" } } }
  - { path: "/mail/{m}", allow: { self: { name: m, is: email } } }
  - { path: "/me/{name}", allow: { self: { name: name, is: username } } }
`)
	t.Setenv("POSTERN_CONFIG", "gateway.yaml")
	yaml := readFile(t, "gateway.yaml")
	writeFile(t, "gateway.yaml", strings.Replace(yaml, "roles: [user, admin]", "roles: [user, admin], profile: { fields: [ { name: tenant } ] }", 1))
	for _, args := range [][]string{{"user", "add", "alice", "--email", "alice@a.test", "--role", "user"}, {"user", "set", "alice", "--field", "tenant=acme"}} {
		if status, _, stderr := command(t, "a long password\n", args...); status != exitDone {
			t.Fatal(stderr)
		}
	}
	for _, test := range []struct{ path, want string }{
		{"/t/acme/x", "decision: allow (rule)"}, {"/t/other/x", "decision: deny (no_rule)"},
		{"/mail/alice@a.test", "decision: allow (rule)"}, {"/mail/bob@a.test", "decision: deny (no_rule)"},
		{"/me/alice", "decision: allow (rule)"}, {"/me/bob", "decision: deny (no_rule)"},
	} {
		for _, name := range []string{"alice", "ALICE@a.test"} { // as people log in
			if status, out, stderr := command(t, "", "policy", "explain", "GET", test.path, "--user", name); status != exitDone || !strings.Contains(out, test.want) {
				t.Errorf("%s as %s: %d\n%s%s", test.path, name, status, out, stderr)
			}
		}
	}
}

// Somebody who is known by a role alone has no id, and what nobody has is in
// no path.
func TestWhoIsKnownByRolesAloneIsNobodyInParticular(t *testing.T) {
	newServed(t).write(t, `routes: [{ path: "/u/{id}", allow: { self: id } }, { path: /user, allow: { user: alice } }, { path: /in, allow: authenticated }]`)
	for _, path := range []string{"/u/0", "/u/%00", "/u/nobody", "/user"} {
		if _, out, _ := command(t, "", "policy", "explain", "GET", path, "--role", "user"); !strings.Contains(out, "decision: deny") || strings.Contains(out, `\x00`) {
			t.Errorf("%s: %s", path, out)
		}
	}
	if _, out, _ := command(t, "", "policy", "explain", "GET", "/in", "--role="); !strings.Contains(out, "somebody without a role") || !strings.Contains(out, "decision: allow (rule)") {
		t.Errorf("without a role: %s", out)
	}
}

func TestAnAgeIsGivenAsInTheFile(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "2h": 2 * time.Hour, "7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0, "0s": 0} {
		var a age
		if err := a.Set(text); err != nil || time.Duration(a) != want {
			t.Errorf("%q: %v %v", text, time.Duration(a), err)
		}
	}
	for _, text := range []string{"", "5", "-5m", "-1d", "d", "1.5d", "99999999d", "soon"} {
		var a age
		if err := a.Set(text); err == nil {
			t.Errorf("%q was taken for %v", text, time.Duration(a))
		}
	}
}

// What a client sent must not speak to the terminal of who looks at it.
func TestNoControlCharacterOfARecordReachesTheTerminal(t *testing.T) {
	newServed(t).write(t, "routes: [{ path: /**, allow: authenticated }]")
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"request_id":"r","method":"GE\u001bT","host":"a\u001b[31m","path":"/x\u0007\u009b","user":"al\u001bice","decision":"deny"}`))
	}))
	defer admin.Close()
	t.Setenv("POSTERN_ADMIN_LISTEN", admin.Listener.Addr().String())
	_, out, stderr := command(t, "", "policy", "explain", "--request", "r")
	if strings.ContainsAny(out+stderr, "\x1b\x07\u009b") || !strings.Contains(out, "asked     GE?T a?[31m/x??") {
		t.Errorf("%q %q", out, stderr)
	}
}

func TestWhatAGatewayAnswersWronglyIsNoDecision(t *testing.T) {
	newServed(t).write(t, "routes: [{ path: /**, allow: authenticated }]")
	for _, test := range []struct {
		status     int
		body, want string
	}{
		{200, "no JSON", "read the gateway's answer"}, {200, "", "read the gateway's answer"}, {503, "{}", "503"}, {302, "", "302"},
		{404, "{}", "keeps no decision"}, {200, `{"path":"` + strings.Repeat("x", 2*maxDecision) + `"}`, "read the gateway's answer"},
	} {
		admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}))
		t.Setenv("POSTERN_ADMIN_LISTEN", admin.Listener.Addr().String())
		status, out, stderr := command(t, "", "policy", "explain", "--request", "r")
		if status != exitFailed || out != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%d %.20q: %d %q %q", test.status, test.body, status, out, stderr)
		}
		admin.Close()
	}
	t.Setenv("POSTERN_ADMIN_LISTEN", "nowhere")
	if status, _, stderr := command(t, "", "policy", "explain", "--request", "r"); status != exitUsage || !strings.Contains(stderr, "admin.listen") {
		t.Errorf("%d %s", status, stderr)
	}
}

func TestAPathThatWasCutIsNotExplained(t *testing.T) {
	newServed(t).write(t, "routes: [{ path: /**, allow: authenticated }]")
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"request_id":"r","method":"GET","path":"/` + strings.Repeat("x", gateway.RecordedPath-1) + `","decision":"deny"}`))
	}))
	defer admin.Close()
	t.Setenv("POSTERN_ADMIN_LISTEN", admin.Listener.Addr().String())
	if _, out, _ := command(t, "", "policy", "explain", "--request", "r"); !strings.Contains(out, "not kept whole") || strings.Contains(out, "decision:") {
		t.Error(out)
	}
	if _, out, _ := command(t, "", "policy", "explain", "--request", "r", "-o", "json"); !strings.Contains(out, `"now": null`) {
		t.Error(out)
	}
}

func TestARecordedCallerIsWhoTheGatewaySaw(t *testing.T) {
	s := newServed(t)
	s.write(t, "routes: [{ path: /**, allow: authenticated }]")
	file, _, err := readPolicyFile(&system{stderr: &s.stderr}, "gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	got := callerOf(t.Context(), file, gateway.Decided{UserID: "7", User: "alice", Roles: "user,staff", Client: "10.0.0.1", Time: now, AuthTime: now.Add(-time.Hour)})
	if got.Client != netip.MustParseAddr("10.0.0.1") || !got.Now.Equal(now) || got.Subject.ID != "7" || len(got.Subject.Roles) != 2 || now.Sub(got.Subject.AuthTime) != time.Hour {
		t.Errorf("got %+v", got)
	}
	nobody := callerOf(t.Context(), file, gateway.Decided{Time: now})
	if nobody.Client.IsValid() || describeSubject(nobody.Subject) != "nobody" {
		t.Errorf("got %+v", nobody)
	}
}

func TestADecisionIsNamedAsInTheLog(t *testing.T) {
	for want, d := range map[string]policy.Decision{
		"allow": {Effect: policy.Allow}, "observe": {Effect: policy.Allow, Observed: true}, "challenge": {Effect: policy.Challenge}, "deny": {},
	} {
		if got := decisionWord(d); got != want {
			t.Errorf("%+v: %s", d, got)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestACertificateIsExplainedAsTheRuleNamesIt(t *testing.T) {
	newServed(t).write(t, `routes: [{ path: /m, allow: { client_cert: { subject: "CN=backup,O=Example" } } }, { path: /n, allow: { client_cert: { subject: backup } } }]`)
	for _, test := range []struct{ path, cert, decision, why string }{
		{"/m", "CN=backup,O=Example", "decision: allow (rule)", "the client's certificate is CN=backup,O=Example"},
		{"/m", "cn=backup,2.5.4.10=#13074578616d706c65", "decision: allow (rule)", "the client's certificate is CN=backup,O=Example"},
		{"/m", "backup", "decision: deny (no_rule)", "the client's certificate is CN=backup"},
		{"/n", "backup", "decision: allow (rule)", "the client's certificate is CN=backup"},
		{"/n", "", "decision: deny (no_rule)", "the client has no certificate"},
	} {
		status, out, stderr := command(t, "", "policy", "explain", "GET", test.path, "--client-cert", test.cert)
		if status != exitDone || !strings.Contains(out, test.decision) || !strings.Contains(out, test.why) || !strings.Contains(out, "client_cert") {
			t.Errorf("%s with %q: %d\n%s%s", test.path, test.cert, status, out, stderr)
		}
	}
	if status, _, stderr := command(t, "", "policy", "explain", "GET", "/m", "--client-cert", "CN=backup, O=Example"); status != exitUsage || !strings.Contains(stderr, "RFC 4514") {
		t.Errorf("another spelling: %d %s", status, stderr)
	}
}
