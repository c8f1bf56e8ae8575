package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/posternhq/postern/bench/loopback"
)

// password is that of both accounts.
const password = "bench-1865-wonderland"

// gateway is a way to run Postern. Its name is that of its store and its log too,
// so no two in one field share it.
type gateway struct {
	name, algorithm string
	logs            bool // the access log to a file, and the listener of the metrics: the default
	cores           string
	procs           int      // GOMAXPROCS; 0: as many as cores
	hashes          int      // at once; 0: the default
	routes          []string // beside the two of everybody
}

// gatewayValues are what its configuration is filled in with.
type gatewayValues struct {
	Listen, Upstream, Admin, Store, Life, Algorithm string
	Logs                                            bool
	Hashes                                          int
	Routes                                          []string
}

// startGateway starts Postern with two accounts and its tokens. It is started
// twice: first with tokens that live for a second, to have one that has expired.
func (f *field) startGateway(g gateway) (*contender, error) {
	store := strings.NewReplacer(" ", "-", ",", "").Replace(g.name)
	c := &contender{name: g.name, auth: g.algorithm + ", tokens verified once", address: loopback.FreeAddress()}
	v := gatewayValues{Listen: c.address, Upstream: f.upstream, Store: store, Life: "1s", Algorithm: g.algorithm, Hashes: g.hashes}
	if err := f.serve(c, g, v); err != nil {
		return nil, err
	}
	first, err := loopback.Login(c.address, "admin", password)
	if err != nil {
		return nil, errors.Join(err, f.said(g.name))
	}
	c.tried.expired = first.Access
	f.endLast()
	v.Life, v.Logs, v.Routes = "12h", g.logs, g.routes
	if g.logs {
		v.Admin = loopback.FreeAddress()
	}
	if err := f.serve(c, g, v); err != nil {
		return nil, err
	}
	if err := f.admit(c, store); err != nil {
		return nil, errors.Join(err, f.said(g.name))
	}
	over, err := expiry(c.tried.expired)
	time.Sleep(time.Until(over))
	return c, err
}

// serve starts it with these values.
func (f *field) serve(c *contender, g gateway, v gatewayValues) error {
	file, err := f.configure("gateway.yaml", v.Store+".yaml", v)
	if err != nil {
		return err
	}
	l := launch{core: g.cores, environment: []string{"POSTERN_ADMIN_PASSWORD=" + password}, args: []string{f.program("postern"), "serve", "--config", file}}
	if g.procs > 0 {
		l.environment = append(l.environment, fmt.Sprintf("GOMAXPROCS=%d", g.procs))
	}
	cmd, err := f.start(g.name, l)
	if err != nil {
		return err
	}
	c.groups = []int{cmd.Process.Pid}
	if err := await(cmd, c.address); err != nil {
		return errors.Join(err, f.said(g.name))
	}
	return nil
}

// admit is what an administrator and two users do after a first start. It makes
// the account of somebody who may less, and gets the tokens.
func (f *field) admit(c *contender, store string) error {
	add := exec.Command(f.program("postern"), "user", "add", subject, "--role", "user", "--config", f.file(store+".yaml"))
	add.Dir, add.Stdin = f.dir, strings.NewReader(password+"\n")
	if out, err := add.CombinedOutput(); err != nil {
		return fmt.Errorf("postern user add: %w: %s", err, out)
	}
	user, err := loopback.Login(c.address, subject, password)
	if err != nil {
		return err
	}
	admin, err := loopback.Login(c.address, "admin", password)
	if err != nil {
		return err
	}
	c.tried.user, c.tried.admin = user.Access, admin.Access
	c.tried.forged = admin.Access[:len(admin.Access)-8] + "AAAAAAAA"
	c.sessions = []string{admin.Refresh}
	tokens, err := c.mint(f.tokens)
	if err != nil {
		return err
	}
	return f.give(c, tokens)
}

// run starts Postern in these ways and makes sure that it does the work.
func (f *field) run(ways ...gateway) (all []*contender, err error) {
	for _, g := range ways {
		c, err := f.startGateway(g)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.name, err)
		}
		if err := check(c); err != nil {
			return nil, fmt.Errorf("%s does not do the work: %w", g.name, err)
		}
		all = append(all, c)
	}
	return all, nil
}
