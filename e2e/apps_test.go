package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// app is a legacy application: a process that listens on a port and has no idea
// that a gateway stands before it.
type app struct {
	addr   string
	output *output
	stop   func() // ends it before the test does
}

// client speaks to the application past the gateway.
func (a app) client(t testing.TB) *client { return newClient(t, "http://"+a.addr) }

// startApp runs a program that listens on the address and waits until it does.
func startApp(t testing.TB, addr, dir string, env []string, program string, args ...string) app {
	t.Helper()
	a := app{addr: addr}
	a.output, a.stop = startStoppable(t, dir, env, program, args...)
	eventually(t, program+" listens", func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return a
}

// serveSite runs nginx with one site, on the address that its text names, until
// the test is over. The server keeps its files in the folder.
func serveSite(t testing.TB, addr, dir, site string) app {
	t.Helper()
	user := "" // the one who runs the tests
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	plant(t, dir, map[string]string{"nginx.conf": "daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log stderr;\n" + user + `events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
` + site + "}\n"})
	return startApp(t, addr, dir, nil, program(t, "nginx"), "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
}

// listen serves each connection to a free port by itself, and closes it after
// that, until the test is over. It answers the address.
func listen(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	return acceptEach(t, func(conn net.Conn) {
		go func() {
			defer conn.Close()
			serve(conn)
		}()
	})
}

// acceptEach hands over each connection to a free port, one at a time and in the
// order in which they came, until the test is over. It answers the address.
func acceptEach(t testing.TB, take func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			take(conn)
		}
	}()
	return l.Addr().String()
}

// startProcess runs a program until the test is over.
func startProcess(t testing.TB, dir string, env []string, program string, args ...string) *output {
	t.Helper()
	out, _ := startStoppable(t, dir, env, program, args...)
	return out
}

// startStoppable is startProcess for one that may have to end before.
func startStoppable(t testing.TB, dir string, env []string, program string, args ...string) (*output, func()) {
	t.Helper()
	out := newOutput(t)
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out.file, out.file
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		cmd.Process.Signal(os.Interrupt)
		done := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		done.Stop()
	})
	t.Cleanup(stop)
	return out, stop
}

// startExpress runs a program of testdata/express under Node.
func startExpress(t testing.TB, program string, args ...string) app {
	t.Helper()
	need(t, "node")
	dir := filepath.Join("testdata", "express")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "express")); err != nil {
		lack(t, "e2e/testdata/express/node_modules")
	}
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	return startApp(t, addr, dir, []string{"PORT=" + port, "NODE_ENV=production"}, "node", append([]string{program}, args...)...)
}

// startDjango runs the Django project of testdata/django under gunicorn, with a
// database of its own. Both come from Debian and belong to Debian's Python.
func startDjango(t testing.TB) app {
	t.Helper()
	need(t, "gunicorn")
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import django").Run(); err != nil {
		lack(t, "django for "+python)
	}
	dir := filepath.Join("testdata", "django")
	env := []string{
		"DJANGO_SETTINGS_MODULE=intranet.settings", "PYTHONDONTWRITEBYTECODE=1",
		"DATABASE=" + filepath.Join(t.TempDir(), "django.db"),
	}
	migrate := exec.Command(python, "-m", "django", "migrate", "--verbosity", "0")
	migrate.Dir, migrate.Env = dir, append(os.Environ(), append(env, "PYTHONPATH=.")...)
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("django migrate: %v\n%s", err, out)
	}
	addr := freeAddr(t)
	gunicorn, err := exec.LookPath("/usr/bin/gunicorn")
	if err != nil {
		lack(t, "/usr/bin/gunicorn")
	}
	return startApp(t, addr, dir, env, gunicorn, "--bind", addr, "--workers", "1", "--threads", "4", "intranet.wsgi:application")
}
