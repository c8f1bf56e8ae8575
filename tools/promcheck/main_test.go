package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const metrics = `# HELP postern_logins_total Logins.
# TYPE postern_logins_total counter
postern_logins_total{result="success"} 1
postern_logins_total{result="failed"} 2
postern_requests_total{route="/a \"b\" c",code="200"} 1
postern_requests_total{route="/x",code="502"} 1
postern_healthy{upstream="app",url="http://a"} 1
postern_duration_seconds_bucket{route="/x",le="0.1"} 1
postern_duration_seconds_bucket{route="/x",le="+Inf"} 1
postern_sessions NaN
`

// checked is what is complained of in a file of that name.
func checked(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	complaints, err := run(strings.NewReader(metrics), []string{file})
	if err != nil {
		return err.Error()
	}
	return strings.Join(complaints, "\n")
}

// rule is a file with one alert.
func rule(expr, summary string) string {
	return "groups: [{ name: g, rules: [{ alert: A, for: 5m, labels: { severity: warning }, annotations: { summary: '" + summary + "', description: d }, expr: '" + expr + "' }] }]\n"
}

func TestAnExpressionIsHeldAgainstTheScrape(t *testing.T) {
	for _, test := range []struct{ expr, shown, want string }{
		{`postern_sessions > 1`, "", ""},
		{`up{job="postern"} == 0`, "instance", ""},
		{`rate(postern_logins_total{result="failed"}[5m]) > 1`, "result", ""},
		{`rate(postern_logins_total{result=~"fail.*"}[5m]) > 1`, "job", ""},
		{`sum by (job, code) (rate(postern_requests_total[5m])) > 1`, "code", ""},
		{`sum without (code) (rate(postern_requests_total[5m])) > 1`, "route", ""},
		{`histogram_quantile(0.9, sum by (route, le) (rate(postern_duration_seconds_bucket[5m]))) > 1`, "route", ""},
		{`postern_healthy * on (upstream) group_left (url) postern_healthy > 1`, "url", ""},
		{`sum(postern_sessions) / sum(postern_sessions) > 2`, "", ""},
		{`max_over_time(postern_sessions[1h:5m]) - time() < -(5)`, "", ""},
		{`topk(3, postern_healthy) unless postern_sessions`, "url", ""},
		{`absent(up{job="x"})`, "job", ""},
		{`1 < postern_sessions`, "instance", ""},
		{`max by (job) (postern_sessions) > bool max by (job) (postern_sessions)`, "job", ""},

		{`postern_session > 1`, "", "there is no metric postern_session"},
		{`rate(postern_logins_total{reason="x"}[5m])`, "", "postern_logins_total has no label reason"},
		{`postern_logins_total{result="locked"}`, "", `no postern_logins_total has a label that matches result="locked"`},
		{`postern_requests_total{code=~"4.."}`, "", "no postern_requests_total has a label that matches"},
		{`sum by (route) (postern_logins_total)`, "", "it groups by route"},
		{`sum without (route) (postern_logins_total)`, "", "it groups by route"},
		{`sum by (job) (postern_logins_total)`, "result", "it shows the label result"},
		{`sum without (result) (postern_logins_total)`, "result", "it shows the label result"},
		{`histogram_quantile(0.9, sum by (route) (rate(postern_duration_seconds_bucket[5m])))`, "", "there is no le"},
		{`histogram_quantile(0.9, postern_duration_seconds_bucket)`, "le", "it shows the label le"},
		{`sum by (job, code) (postern_requests_total) / sum by (job) (postern_requests_total)`, "", "so that nothing matches"},
		{`postern_logins_total / on (route) postern_requests_total`, "", "matched by route"},
		{`postern_logins_total / on (job) postern_sessions`, "result", "it shows the label result"},
		{`rate(postern_logins_total)`, "", "expected type range vector"},
		{`postern_sessions >`, "", "unexpected end of input"},
	} {
		summary := "s"
		if test.shown != "" {
			summary = "{{ $labels." + test.shown + " }}"
		}
		got := checked(t, "alerts.yaml", rule(test.expr, summary))
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s, %s: %q, want %q", test.expr, test.shown, got, test.want)
		}
	}
}

func TestARuleHasAllThatWhoeverIsWokenNeeds(t *testing.T) {
	good := rule("postern_sessions > 1", "s")
	for old, want := range map[string]string{
		"severity: warning": "lacks a severity",
		"summary: 's',":     "a summary",
		"description: d":    "a description",
		"for: 5m":           "a duration under for",
		"alert: A":          "the name is empty",
		"labels:":           "field labelz not found",
		"rules: [{":         "there is no rule",
	} {
		replaced := map[string]string{"for: 5m": "for: soon", "labels:": "labelz:", "alert: A": "alert: ''", "rules: [{": "rules: []}, { rules: [] }] \n#"}[old]
		if got := checked(t, "alerts.yaml", strings.Replace(good, old, replaced, 1)); !strings.Contains(got, want) {
			t.Errorf("without %s: %q, want %q", old, got, want)
		}
	}
	if got := checked(t, "alerts.yaml", strings.Replace(good, "rules: [", "rules: [{ alert: A, expr: 'up == 0', labels: { severity: x }, annotations: { summary: s, description: d } }, ", 1)); !strings.Contains(got, "taken") {
		t.Errorf("two of one name: %q", got)
	}
}

func TestADashboardsExpressionsAreHeldAgainstTheScrape(t *testing.T) {
	const head = `{"title":"T","uid":"u","templating":{"list":[{"name":"job","type":"query","definition":"label_values(postern_sessions, job)"}]},"panels":[`
	const good = `{"id":1,"type":"row","title":"R","panels":[{"id":2,"type":"stat","title":"P","targets":[{"expr":"sum by (result) (rate(postern_logins_total{job=~\"$job\"}[$__rate_interval]))","legendFormat":"{{result}} x"}]}]}`
	for _, test := range []struct{ text, want string }{
		{head + good + "]}", ""},
		{strings.Replace(head, "postern_sessions, job", "postern_sessions, route", 1) + good + "]}", "$job: it shows the label route"},
		{head + strings.Replace(good, "{{result}}", "{{route}}", 1) + "]}", "it shows the label route"},
		{head + strings.Replace(good, "postern_logins_total", "postern_login_total", 1) + "]}", "there is no metric postern_login_total"},
		{head + strings.Replace(good, `"id":2`, `"id":1`, 1) + "]}", "another panel's too"},
		{head + `{"id":1,"type":"stat","title":"P"}]}`, "it shows nothing"},
		{head + "]}", "it lacks a title"},
		{"{", "unexpected end"},
	} {
		got := checked(t, "dashboard.json", test.text)
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.text, got, test.want)
		}
	}
}

func TestWithoutAScrapeNothingIsChecked(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "not a metric 1 2 3\n", "m{a=b} 1\n"} {
		if _, err := run(strings.NewReader(text), nil); err == nil {
			t.Errorf("%q is taken for a scrape", text)
		}
	}
	if _, err := run(strings.NewReader(metrics), []string{"no such file.yaml"}); err == nil {
		t.Error("a file that is not there is good")
	}
}
