package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const activated = `listen: 192.0.2.1:1 # which nobody here can bind
public_url: {URL}
admin: { listen: 192.0.2.1:2 }
upstreams: [{ name: app, urls: [{UPSTREAM}] }]
routes: [{ path: /**, allow: anyone }]
`

// TestSystemdHandsOnTheListener: systemd's own program opens the socket, and
// the first client starts the gateway.
func TestSystemdHandsOnTheListener(t *testing.T) {
	t.Parallel()
	need(t, "systemd-socket-activate")
	up := newRecorder(t)
	g := prepare(t, strings.NewReplacer("{UPSTREAM}", "http://"+up.addr, "192.0.2.1:2", "{ADMIN}").Replace(activated))
	g.stdout, g.stderr, g.exited = newOutput(t), newOutput(t), make(chan struct{})
	cmd := exec.Command("systemd-socket-activate", "-l", g.addr, postern(t), "serve", "--config", "gateway.yaml")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = g.dir, cleanEnv(), g.stdout.file, g.stderr.file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.cmd = cmd
	go func() { cmd.Wait(); close(g.exited) }()
	eventually(t, "the socket", func() bool { return strings.Contains(g.stderr.String(), "Listening on") })
	resp, err := http.Get("http://" + g.addr + "/x") // answered only once the gateway is up
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, g.stderr, g.stdout)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || len(up.take()) != 1 {
		t.Errorf("answered %s\n%s", resp.Status, g.stdout)
	}
	if status := g.stop(); status != 0 {
		t.Errorf("ended with %d\n%s", status, g.stderr)
	}
}

// TestAParentHandsOnBothListeners: two sockets, of which one is named admin, as
// a unit with FileDescriptorName= has them.
func TestAParentHandsOnBothListeners(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := prepare(t, strings.Replace(activated, "{UPSTREAM}", "http://"+up.addr, 1))
	var files []*os.File
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, l.Addr().String())
		l.Close()
		defer file.Close()
		files = append(files, file)
	}
	g.admin, g.addr = addrs[0], addrs[1]
	g.stdout, g.stderr, g.exited = newOutput(t), newOutput(t), make(chan struct{})
	cmd := exec.Command("sh", "-c", fmt.Sprintf("LISTEN_PID=$$ exec %s serve --config gateway.yaml", postern(t)))
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = g.dir, g.stdout.file, g.stderr.file, files
	cmd.Env = cleanEnv("LISTEN_FDS=2", "LISTEN_FDNAMES=admin:public")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.cmd = cmd
	go func() { cmd.Wait(); close(g.exited) }()
	g.waitReady()
	resp, err := http.Get("http://" + g.addr + "/x")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || len(up.take()) != 1 {
		t.Errorf("answered %s", resp.Status)
	}
	if status := g.stop(); status != 0 {
		t.Errorf("ended with %d\n%s", status, g.stderr)
	}
}
