package main

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// guarded is routes with a test of them. The file has two lines before it.
const guarded = `routes:
  - { path: /admin/**, allow: { role: admin } }
  - { path: /watch/**, mode: observe, allow: { role: admin } }
  - { path: /**, allow: authenticated }
tests:
  - { request: GET /admin/x, as: { roles: [user] }, expect: forbidden }
`

// untested is guarded without its test.
func untested() string { return guarded[:strings.Index(guarded, "tests:")] }

// startGuarded serves them, to alice who has the role user.
func startGuarded(t *testing.T) *served {
	t.Helper()
	s := newServed(t)
	s.write(t, guarded)
	if status, _, stderr := command(t, "a long password\n", "user", "add", "alice", "--role", "user"); status != exitDone {
		t.Fatal(stderr)
	}
	s.start(t, nil)
	t.Setenv("POSTERN_ADMIN_LISTEN", s.stdout.await(t, `"admin":"([^"]+)"`))
	return s
}

// asked sends a GET under a request id.
func asked(t *testing.T, url, token, id string) int {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Request-Id", id)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestAFailingTestOfThePolicyRefusesTheReloadAndTheOldPolicyStays(t *testing.T) {
	s := startGuarded(t)
	token := login(t, s.url, "alice", "a long password")
	if got := asked(t, s.url+"/admin/x", token, "before"); got != http.StatusForbidden {
		t.Fatalf("before: %d", got)
	}
	s.write(t, strings.Replace(guarded, "allow: { role: admin } }\n  - { path: /watch", "allow: authenticated }\n  - { path: /watch", 1))
	detail := s.stdout.await(t, `"event":"reload_refused".*?"detail":"([^\n]*)`)
	if !strings.Contains(detail, "gateway.yaml:8:5: test failed: GET /admin/x") {
		t.Errorf("the audit log does not name the test: %s", detail)
	}
	if !strings.Contains(s.stderr.String(), "gateway.yaml:8:5: test failed: GET /admin/x as roles [user]: expected forbidden, got allow") {
		t.Errorf("standard error: %s", s.stderr.String())
	}
	if got := asked(t, s.url+"/admin/x", token, "after"); got != http.StatusForbidden {
		t.Errorf("after: %d", got)
	}
	s.write(t, strings.ReplaceAll(untested(), "role: admin", "role: user"))
	s.stdout.await(t, `("event":"reload",)`)
	if got := asked(t, s.url+"/admin/x", token, "opened"); got != http.StatusOK {
		t.Errorf("a policy without failing tests: %d", got)
	}
}

func TestARefusalIsFoundAgainByItsRequestsID(t *testing.T) {
	s := startGuarded(t)
	token := login(t, s.url, "alice", "a long password")
	asked(t, s.url+"/admin/x?secret=hunter2", token, "refusal-1")
	s.stdout.await(t, `("request_id":"refusal-1")`)

	status, out, stderr := command(t, "", "policy", "explain", "--request", "refusal-1")
	if status != exitDone {
		t.Fatal(stderr)
	}
	for _, want := range []string{"/admin/x\n", "by        alice with user from 127.0.0.1\n", "decided   deny (no_rule), status 403, by snapshot 1\n", "route     /admin/**\n",
		"By gateway.yaml as it stands now:", "gateway.yaml:4:31  allow  role admin", "decision: deny (no_rule): no rule allows it\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "hunter2") {
		t.Errorf("the query was kept:\n%s", out)
	}

	// The file may have changed since: what was decided, and what would be now.
	s.write(t, strings.Replace(untested(), "role: admin", "role: user", 1))
	status, out, stderr = command(t, "", "policy", "explain", "--request", "refusal-1", "-o", "json")
	var answer recordedAnswer
	if err := json.Unmarshal([]byte(out), &answer); err != nil || status != exitDone {
		t.Fatalf("%v %s %s", err, out, stderr)
	}
	if answer.Recorded.Decision != "deny" || answer.Recorded.Status != 403 || answer.Now == nil || answer.Now.Decision != "allow" || answer.Now.Rule != "gateway.yaml:4:31" {
		t.Errorf("got %+v, now %+v", answer.Recorded, answer.Now)
	}
}

func TestARequestThatTheGatewayDoesNotKnowIsSaidToBeUnknown(t *testing.T) {
	startGuarded(t)
	status, out, stderr := command(t, "", "policy", "explain", "--request", "no/such id")
	if status != exitFailed || out != "" || !strings.Contains(stderr, `keeps no decision on a request "no/such id"`) {
		t.Errorf("%d %s %s", status, out, stderr)
	}
}

func TestObserveModeLogsWhoWouldHaveBeenRefusedAndLetsThemPass(t *testing.T) {
	s := startGuarded(t)
	token := login(t, s.url, "alice", "a long password")
	if got := asked(t, s.url+"/watch/x", token, "watched-1"); got != http.StatusOK {
		t.Errorf("observed: %d", got)
	}
	if got := asked(t, s.url+"/watch/x", "", "watched-2"); got != http.StatusOK {
		t.Errorf("observed, nobody: %d", got)
	}
	for id, want := range map[string]string{
		"watched-1": `"route":"/watch/\*\*","decision":"observe","reason":"no_rule","user":"alice"`,
		"watched-2": `"route":"/watch/\*\*","decision":"observe","reason":"unauthenticated","user":""`,
	} {
		line := s.stdout.await(t, `("request_id":"`+id+`".*)`)
		if !regexp.MustCompile(want).MatchString(line) || !strings.Contains(line, `"rule":"gateway.yaml:5:5"`) {
			t.Errorf("%s: %s", id, line)
		}
	}
	_, metrics := get(t, "http://"+os.Getenv("POSTERN_ADMIN_LISTEN")+"/metrics", "")
	if want := `postern_requests_total{code="200",decision="observe",reason="no_rule",route="/watch/**"} 1`; !strings.Contains(metrics, want) {
		t.Errorf("%s is missing in the metrics", want)
	}
}

func TestRolesThatNoAccountHoldsAreWarnedOf(t *testing.T) {
	s := startGuarded(t)
	const warning = `gateway.yaml:4:31: warning: no account has the role "admin" yet`
	s.stderr.await(t, `(no account has the role)`)
	if got := s.stderr.String(); strings.Count(got, warning) != 1 || strings.Contains(got, `"user" yet`) {
		t.Errorf("at the start: %s", got)
	}
	status, _, stderr := command(t, "", "config", "check")
	if status != exitDone || !strings.Contains(stderr, warning) {
		t.Errorf("config check: %d %s", status, stderr)
	}
	command(t, "", "user", "set", "alice", "--role", "admin")
	if _, _, stderr := command(t, "", "config", "check"); strings.Contains(stderr, warning) {
		t.Errorf("somebody has it now: %s", stderr)
	}
}

// Where strangers may register, a rule for a name that is free is a rule for
// whoever comes first.
func TestNamesThatStrangersCouldTakeAreWarnedOf(t *testing.T) {
	newServed(t).write(t, "routes:\n  - { path: /a, allow: { user: Alice } }\n  - { path: /b, allow: { any_user: [alice, boss@example.com] } }\n")
	command(t, "a long password\n", "user", "add", "alice", "--role", "user", "--role", "admin")
	if _, _, stderr := command(t, "", "config", "check"); stderr != "" {
		t.Errorf("nobody registers here: %s", stderr)
	}
	t.Setenv("POSTERN_AUTH_REGISTRATION_ENABLED", "true")
	status, _, stderr := command(t, "", "config", "check")
	want := `gateway.yaml:5:24: warning: no account is called "boss@example.com", and strangers may register`
	if status != exitDone || !strings.HasPrefix(stderr, want) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("%d %s\nwant %s", status, stderr, want)
	}
	command(t, "a long password\n", "user", "add", "boss@example.com", "--email", "boss@example.com")
	if _, _, stderr := command(t, "", "config", "check"); stderr != "" {
		t.Errorf("somebody is called so now: %s", stderr)
	}
}

// Looking must not make what is not there, nor fail over what cannot be read.
func TestConfigCheckMakesNoStoreAndMindsNoBrokenOne(t *testing.T) {
	newServed(t).write(t, guarded)
	if status, _, stderr := command(t, "", "config", "check"); status != exitDone || stderr != "" {
		t.Errorf("%d %s", status, stderr)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) != 1 {
		t.Errorf("config check left %v behind", left)
	}
	for _, content := range []string{"", "no database"} {
		if err := os.WriteFile("postern.db", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if status, _, stderr := command(t, "", "config", "check"); status != exitDone || stderr != "" {
			t.Errorf("%q: %d %s", content, status, stderr)
		}
		if got, err := os.ReadFile("postern.db"); err != nil || string(got) != content {
			t.Errorf("%q became %q", content, got)
		}
	}
}
