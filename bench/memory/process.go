package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/bench/loopback"
)

// startTimeout bounds the start of a program.
const startTimeout = 30 * time.Second

// program is something whose memory is measured.
type program interface {
	name() string
	start() (*process, error) // which has answered one request
}

// process is one that runs.
type process struct {
	cmd   *exec.Cmd
	addr  string
	token string // to ask with; empty: none is needed
}

// stop ends the process.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // which says that it was killed
}

// resident is the memory that the process has now.
func (p *process) resident() (int64, error) { return p.status("VmRSS:") }

// peak is the most that it has ever had.
func (p *process) peak() (int64, error) { return p.status("VmHWM:") }

// status reads a size out of what the kernel tells of the process.
func (p *process) status(name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return statusSize(string(text), name)
}

// statusSize finds a line like "VmRSS:   1234 kB".
func statusSize(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("the kernel does not say %s", name)
}

// run starts a command and waits until it has answered a request.
func run(cmd *exec.Cmd, addr, token string) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, addr: addr, token: token}
	var err error
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = p.ready(); err == nil {
			return p, nil
		}
	}
	p.stop()
	return nil, fmt.Errorf("%s is not ready: %w", cmd.Path, err)
}

// ready asks for a page. The connection is not kept.
func (p *process) ready() error {
	r, err := http.NewRequest(http.MethodGet, "http://"+p.addr+"/page", nil)
	if err != nil {
		return err
	}
	r.Close = true
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// gateway is Postern, with a store that has its administrator already: the
// first start hashes a password, which takes more memory than anything later.
type gateway struct {
	binary, dir, addr, token string
}

func (g *gateway) name() string { return "Postern" }

// administrator's password, of a gateway that lives for minutes on loopback.
const password = "measured-on-loopback"

// newGateway writes the configuration, starts Postern once and logs in. The only
// thing that is not as it is by default is its patience: two seconds to connect
// are little where all cores are busy with hundreds of transfers.
func newGateway(binary, dir, app string) (*gateway, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	addr, admin := loopback.FreeAddress(), loopback.FreeAddress()
	conf := fmt.Sprintf("listen: %s\npublic_url: http://%s\nadmin: { listen: %q }\nlog: { format: json }\nupstreams:\n  - { name: app, urls: [http://%s], timeouts: { dial: 1m } }\n"+
		"auth: { access_token: { ttl: 12h } }\nroutes:\n  - { path: /page, allow: anyone }\n  - { path: /**, allow: authenticated }\n", addr, addr, admin, app)
	g := &gateway{binary: binary, dir: dir, addr: addr}
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "gateway.yaml"), []byte(conf), 0o600)); err != nil {
		return nil, err
	}
	first, err := g.start()
	if err != nil {
		return nil, err
	}
	defer first.stop()
	granted, err := loopback.Login(addr, "admin", password)
	g.token = granted.Access
	return g, err
}

// start starts Postern anew on the same store.
func (g *gateway) start() (*process, error) {
	log, err := os.Create(filepath.Join(g.dir, "access.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(g.binary, "serve")
	cmd.Dir, cmd.Stdout, cmd.Stderr = g.dir, log, os.Stderr
	cmd.Env = append(os.Environ(), "POSTERN_ADMIN_PASSWORD="+password)
	return run(cmd, g.addr, g.token)
}
