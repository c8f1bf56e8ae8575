package e2e

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const watchedYAML = `
listen: {LISTEN}
public_url: https://127.0.0.1:8443
admin: { listen: {ADMIN} }
tls: { cert_file: cert.pem, key_file: cert.key }
upstreams:
  - { name: app, urls: ["{APP}"] }
  - { name: gone, urls: ["http://127.0.0.1:9"] }
auth: { roles: [user, admin] }
provision: [{ upstream: app, path: /internal/accounts, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }]
routes:
  - { path: /open/**, upstream: app, allow: anyone }
  - { path: /gone/**, upstream: gone, allow: anyone }
`

// TestTheDashboardAndTheAlertsNameWhatThereIs: every metric, label and value in
// deploy/ is one of the running binary, which has had a little traffic.
func TestTheDashboardAndTheAlertsNameWhatThereIs(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(app.Close)
	g := prepare(t, strings.Replace(watchedYAML, "{APP}", app.URL, 1))
	g.writeCertificate("127.0.0.1")
	g.start()
	c := newClient(t, "https://"+g.addr)
	c.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // the certificate is this test's own
	c.get("/open/x").want(t, http.StatusNotFound, "the application")
	c.get("/gone/x").want(t, http.StatusBadGateway, "an upstream that is away")
	c.get("/nowhere").want(t, http.StatusNotFound, "no route")
	metrics := newClient(t, "http://"+g.admin).get("/metrics").want(t, 200, "metrics").body

	check := filepath.Join(t.TempDir(), "promcheck")
	if out, err := exec.Command("go", "build", "-C", filepath.Join(root(t), "tools"), "-o", check, "./promcheck").CombinedOutput(); err != nil {
		t.Fatalf("build the checker: %v\n%s", err, out)
	}
	deploy := filepath.Join(root(t), "deploy")
	verdict := func(metrics string) (string, error) {
		cmd := exec.Command(check, filepath.Join(deploy, "alerts.yaml"), filepath.Join(deploy, "grafana-dashboard.json"))
		cmd.Stdin = strings.NewReader(metrics)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
	if out, err := verdict(metrics); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, old := range []string{"postern_sessions", `result="reused"`, "upstream="} { // what a later version might rename
		if out, err := verdict(strings.ReplaceAll(metrics, old, strings.Replace(old, "s", "z", 1))); err == nil {
			t.Errorf("without %s nothing is wrong: %s", old, out)
		}
	}
}
