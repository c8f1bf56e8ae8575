package routers

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestExpressProfileReadsLikeExpress tries both versions that are in use: they
// have different path matchers.
func TestExpressProfileReadsLikeExpress(t *testing.T) {
	for _, module := range []string{"express", "express4"} {
		t.Run(module, func(t *testing.T) {
			witness{addr: startExpress(t, module), profiles: []string{"express", "any"}}.testify(t)
		})
	}
}

func startExpress(t testing.TB, module string) string {
	t.Helper()
	node := needProgram(t, "node")
	needFile(t, testdata(t, "express", "node_modules", module))
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(node, "app.js", module, port, testdata(t, "files"))
	cmd.Dir, cmd.Env = testdata(t, "express"), []string{"NODE_ENV=production"}
	start(t, cmd, addr)
	return addr
}

// TestDjangoProfileReadsLikeDjango runs Debian's Django under gunicorn.
func TestDjangoProfileReadsLikeDjango(t *testing.T) {
	const slash = "Django's URL patterns mind the final slash, but a view may not: django.views.static.serve"
	witness{
		addr: startDjango(t), profiles: []string{"django", "any"},
		stricter: map[string]string{"/items/secret/": slash, "/closed": slash, "/my%20page/": slash, "/caf%C3%A9/": slash},
	}.testify(t)
}

func startDjango(t testing.TB) string {
	t.Helper()
	const python = "/usr/bin/python3" // Debian's modules belong to Debian's interpreter
	needFile(t, python, "/usr/bin/gunicorn")
	if err := exec.Command(python, "-c", "import django").Run(); err != nil {
		lack(t, "django for "+python)
	}
	addr := freeAddr(t)
	cmd := exec.Command("/usr/bin/gunicorn", "--bind", addr, "--workers", "1", "--threads", "2", "--keep-alive", "60", "--timeout", "0", "app:application")
	cmd.Dir = testdata(t, "django")
	cmd.Env = []string{"PYTHONDONTWRITEBYTECODE=1", "FILES=" + testdata(t, "files")}
	start(t, cmd, addr)
	return addr
}

// TestNginxReadsLikeTheExactProfile has a web server of files and locations
// stand for what nobody has named in router.
func TestNginxReadsLikeTheExactProfile(t *testing.T) {
	witness{addr: startNginx(t), profiles: []string{"exact", "any"}}.testify(t)
}

func startNginx(t testing.TB) string {
	t.Helper()
	nginx := needProgram(t, "nginx")
	addr, dir := freeAddr(t), t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	copyFile(t, testdata(t, "nginx", "nginx.conf"), conf, "LISTEN", addr, "root FILES", "root "+testdata(t))
	cmd := exec.Command(nginx, "-p", dir, "-c", conf, "-e", "stderr")
	start(t, cmd, addr)
	return addr
}

// copyTree copies a folder of files and folders.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// copyFile copies one file, filling in pairs of a word and what stands for it.
func copyFile(t testing.TB, from, to string, fill ...string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte(strings.NewReplacer(fill...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}
