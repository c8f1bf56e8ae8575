package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReloadTakesEffectOrNothingDoes: a good file is in force after SIGHUP; a
// bad one leaves every rule as it was, and the log and a metric say so.
func TestReloadTakesEffectOrNothingDoes(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	config := strings.NewReplacer("{UPSTREAM}", up.addr, "http://gw.test", "{URL}", "hosts: [gw.test]", "").Replace(corpusPolicy)
	g := prepare(t, config)
	g.addUser("alice", "user")
	g.start()
	c := g.client()
	token := c.login("alice").AccessToken
	c.get("/new", bearer(token)).want(t, 404, "a path without a route")

	g.configure(config + "  - { path: /new, allow: authenticated }\n")
	g.reload("reload")
	c.get("/new", bearer(token)).want(t, 200, "after a reload")
	if got := metric(t, g, "postern_config_last_reload_successful"); got != "1" {
		t.Errorf("postern_config_last_reload_successful is %q", got)
	}

	for name, bad := range map[string]string{
		"CF-02 broken YAML":     "listen: [\n",
		"an empty file":         "",
		"a typo in a rule":      strings.Replace(config, "role: admin", "rolse: admin", 1),
		"an unknown role":       strings.Replace(config, "role: admin", "role: adnim", 1),
		"a route without rules": config + "  - { path: /open }\n",
	} {
		t.Run(name, func(t *testing.T) {
			g.configure(bad)
			g.reload("reload_refused")
			c.get("/admin/panel").want(t, 401, "an admin page without a token")
			c.get("/admin/panel", bearer(token)).want(t, 403, "an admin page")
			c.get("/new", bearer(token)).want(t, 200, "the last good policy")
			if got := metric(t, g, "postern_config_last_reload_successful"); got != "0" {
				t.Errorf("postern_config_last_reload_successful is %q", got)
			}
		})
	}
	g.configure(config)
	g.reload("reload")
	c.get("/new", bearer(token)).want(t, 404, "after the route was taken out")
}

// TestReloadSignalDuringTheStart: a service manager that starts the gateway and
// has it reload at once ends up with a gateway, not with a dead process. The
// first start takes longest where it has to make an administrator.
func TestReloadSignalDuringTheStart(t *testing.T) {
	t.Parallel()
	g := prepare(t, goodConfig)
	g.launch("serve", "--config", "gateway.yaml")
	eventually(t, "the port is bound", func() bool {
		conn, err := net.Dial("tcp", g.admin)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	g.cmd.Process.Signal(syscall.SIGHUP)
	g.waitReady()
	eventually(t, "the reload", func() bool { return len(g.audit("reload")) > 0 })
}

// TestFileIsWatched: no signal is needed.
func TestFileIsWatched(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	config := strings.NewReplacer("{UPSTREAM}", up.addr, "http://gw.test", "{URL}", "hosts: [gw.test]", "").Replace(corpusPolicy)
	g := prepare(t, config)
	g.addUser("alice", "user")
	g.start()
	g.configure(config + "  - { path: /new, allow: anyone }\n")
	eventually(t, "the new route", func() bool { return g.client().get("/new").StatusCode == 200 })
}

// TestAConfigMapThatIsSwappedIsTakenUp: Kubernetes mounts one as links, of which
// an update changes a single one (gateway.yaml -> ..data/gateway.yaml,
// ..data -> ..2026_11_26), and sends no signal.
func TestAConfigMapThatIsSwappedIsTakenUp(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := prepare(t, strings.NewReplacer("{UPSTREAM}", up.addr, "http://gw.test", "{URL}", "hosts: [gw.test]", "").Replace(corpusPolicy))
	config := g.read("gateway.yaml")
	mount := filepath.Join(g.dir, "mount")
	put := func(generation, text string) {
		t.Helper()
		dir, link := filepath.Join(mount, generation), filepath.Join(mount, "..data")
		err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "gateway.yaml"), []byte(text), 0o600),
			os.Symlink(generation, link+"_tmp"), os.Rename(link+"_tmp", link))
		if err != nil {
			t.Fatal(err)
		}
	}
	put("..1", config)
	if err := os.Symlink("..data/gateway.yaml", filepath.Join(mount, "gateway.yaml")); err != nil {
		t.Fatal(err)
	}
	g.launch("serve", "--config", filepath.Join("mount", "gateway.yaml"))
	g.waitReady()
	for i, path := range []string{"/two", "/three"} {
		g.client().get(path).want(t, 404, "a route that is not there yet")
		put(fmt.Sprint("..", i+2), config+"  - { path: "+path+", allow: anyone }\n")
		eventually(t, "the new route", func() bool { return g.client().get(path).StatusCode == 200 })
	}
	if e := g.audit("reload"); len(e) < 2 || e[0]["detail"] != "snapshot 2" {
		t.Errorf("audited %v", e)
	}
}

// metric is the value of a metric without labels.
func metric(t *testing.T, g *gateway, name string) string {
	t.Helper()
	r := newClient(t, "http://"+g.admin).get("/metrics").want(t, 200, "metrics")
	for line := range strings.Lines(r.body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestCF03NoRoutesNobodyPasses: a policy without routes shuts every door.
func TestCF03NoRoutesNobodyPasses(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := prepare(t, strings.NewReplacer("127.0.0.1:1", up.addr, "routes:\n  - { path: /**, allow: authenticated }\n", "routes: []\n").Replace(goodConfig))
	g.addUser("root", "admin")
	g.launch("serve", "--config", "gateway.yaml")
	if !g.settled() { // to refuse such a file is as good
		if status := g.cmd.ProcessState.ExitCode(); status != 2 {
			t.Errorf("exit status %d\n%s", status, g.stderr)
		}
		return
	}
	c := g.client()
	c.get("/anything", bearer(c.login("root").AccessToken)).want(t, 404, "any page")
	if seen := up.take(); len(seen) > 0 {
		t.Errorf("the upstream was asked for %s", seen[0].target)
	}
}

// TestCF12FirstStart: an empty store gets one administrator with a password
// that only standard error says, once.
func TestCF12FirstStart(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := prepare(t, strings.ReplaceAll(goodConfig, "127.0.0.1:1", up.addr)).start()
	// Written before the gateway is ready, and read out of a pipe by a goroutine
	// that may come later than the answer of /readyz.
	var rest string
	eventually(t, "the password on standard error", func() bool {
		_, after, found := strings.Cut(g.stderr.String(), "password  ")
		rest = after
		return found && strings.Contains(after, "\n")
	})
	password := strings.Fields(rest)[0]
	for _, guess := range []string{"admin", "password", "postern", ""} {
		if r := g.from("127.0.0.7").tryLogin("admin", guess); r.StatusCode == 200 {
			t.Errorf("admin logs in with %q", guess)
		}
	}
	r := g.client().tryLogin("admin", password).want(t, 200, "the first login")
	if got := g.client().tokens(r); strings.Join(got.User.Roles, ",") != "admin" {
		t.Errorf("the administrator has the roles %v", got.User.Roles)
	}
	if strings.Contains(g.stdout.String(), password) {
		t.Error("the log holds the password")
	}
	g.stop()
	g.start()
	if strings.Contains(g.stderr.String(), "password") {
		t.Errorf("the second start says %s", g.stderr)
	}
	g.client().tryLogin("admin", password).want(t, 200, "a login after a restart")
}

// TestFirstAdminPasswordFromTheEnvironment: and then nothing prints it.
func TestFirstAdminPasswordFromTheEnvironment(t *testing.T) {
	t.Parallel()
	g := prepare(t, goodConfig)
	g.env = []string{"POSTERN_ADMIN_PASSWORD=chosen-by-the-operator"}
	g.start()
	g.client().tryLogin("admin", "chosen-by-the-operator").want(t, 200, "login")
	if all := g.stdout.String() + g.stderr.String(); strings.Contains(all, "chosen-by-the-operator") {
		t.Errorf("the password was printed:\n%s", all)
	}
}

// TestServeWithoutAFile protects one application with no configuration at all.
func TestServeWithoutAFile(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := prepare(t, "")
	g.env = []string{"POSTERN_LISTEN=" + g.addr, "POSTERN_ADMIN_LISTEN=" + g.admin, "POSTERN_PUBLIC_URL=http://" + g.addr, "POSTERN_ADMIN_PASSWORD=chosen-by-the-operator"}
	removeFile(t, g.dir, "gateway.yaml")
	g.launch("serve", "--upstream", "http://"+up.addr)
	g.waitReady()
	c := g.client()
	c.get("/").want(t, 401, "a page without a login")
	if seen := up.take(); len(seen) > 0 {
		t.Error("the application was asked")
	}
	token := c.tokens(c.tryLogin("admin", "chosen-by-the-operator").want(t, 200, "login")).AccessToken
	c.get("/any/page", bearer(token)).want(t, 200, "a page")
}

// TestAdminListenerAnswers the probes and counts, apart from the public one.
func TestAdminListenerAnswers(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	admin := newClient(t, "http://"+g.admin)
	admin.get("/healthz").want(t, 200, "healthz")
	admin.get("/readyz").want(t, 200, "readyz")
	g.client().get("/app/home").want(t, 401, "a page")
	g.client().login("alice")
	body := admin.get("/metrics").want(t, 200, "metrics").body
	for _, want := range []string{"postern_requests_total{", `postern_logins_total{result="`, "postern_request_duration_seconds_bucket{", "postern_sessions", "postern_config_info{"} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if r := g.client().get(path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s on the public listener: %s", path, r.Status)
		}
	}
	r := run(t, g.dir, "", "healthcheck", "--config", "gateway.yaml")
	if r.status != 0 {
		t.Errorf("healthcheck: exit status %d\n%s", r.status, r.stderr)
	}
	g.stop()
	if r := run(t, g.dir, "", "healthcheck", "--config", "gateway.yaml"); r.status == 0 {
		t.Error("healthcheck of a stopped gateway: exit status 0")
	}
}
