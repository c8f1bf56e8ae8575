package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/posternhq/postern/bench/loopback"
)

// contender is a proxy that runs.
type contender struct {
	name     string
	auth     string // what it verifies, as the report says it; empty: nothing
	address  string
	groups   []int       // its process groups
	tried    credentials // what it is tried with before it is measured
	tokens   string      // the file of the tokens that the load has
	sessions []string    // refresh tokens, where it is Postern
}

// A peer is how one of the others is started.
type peer struct {
	name, auth    string
	program       string // in PATH, or in -bin for those made here
	configuration string // the template, filled in as a file of that name
	verifier      bool   // it asks one
	args          func(f *field, c values) []string
}

// values are what configurations are filled in with.
type values struct {
	Dir, Listen, Upstream, Verifier, Secret, Issuer, Audience string
	File                                                      string // the configuration itself
	Root                                                      bool
}

// peers are all of them. bare is the measure: it verifies nothing.
func peers() []peer {
	nginx := func(_ *field, v values) []string { return []string{"-p", v.Dir, "-e", "stderr", "-c", v.File} }
	caddy := func(_ *field, v values) []string {
		return []string{"run", "--adapter", "caddyfile", "--config", v.File}
	}
	return []peer{
		{name: "bare", program: "bare", args: func(_ *field, v values) []string {
			return []string{"-listen", v.Listen, "-upstream", "http://" + v.Upstream}
		}},
		{name: "HAProxy", auth: "HS256, jwt_verify", program: "haproxy", configuration: "haproxy.cfg",
			args: func(_ *field, v values) []string { return []string{"-db", "-f", v.File} }},
		{name: "nginx njs", auth: "HS256, in JavaScript", program: "nginx", configuration: "njs.conf", args: nginx},
		{name: "nginx auth_request", auth: "HS256, asks a verifier", program: "nginx", configuration: "authrequest.conf", verifier: true, args: nginx},
		{name: "Apache", auth: "HS256, mod_auth_openidc", program: "apache2", configuration: "apache.conf",
			args: func(_ *field, v values) []string { return []string{"-DFOREGROUND", "-f", v.File} }},
		{name: "Caddy", program: "caddy", configuration: "Caddyfile", args: caddy},
		{name: "Caddy forward_auth", auth: "HS256, asks a verifier", program: "caddy", configuration: "Caddyfile", verifier: true, args: caddy},
	}
}

// startPeer starts one, with a verifier where it needs one.
func (f *field) startPeer(p peer) (*contender, error) {
	c := &contender{name: p.name, auth: p.auth, address: loopback.FreeAddress()}
	v := values{Dir: f.dir, Listen: c.address, Upstream: f.upstream, Secret: secret, Issuer: issuer, Audience: audience, Root: os.Getuid() == 0}
	if p.verifier {
		v.Verifier = loopback.FreeAddress()
		if err := f.join(c, "verifier", v.Verifier, f.program("verifier"), "-listen", v.Verifier, "-secret", secret, "-issuer", issuer, "-audience", audience); err != nil {
			return nil, err
		}
	}
	program := p.program
	if p.configuration == "" {
		program = f.program(p.program)
	} else {
		var err error
		if v.File, err = f.configure(p.configuration, strings.ReplaceAll(p.name, " ", "-")+filepath.Ext(p.configuration), v); err != nil {
			return nil, err
		}
		if _, err := f.configure("njs.js", "njs.js", v); err != nil {
			return nil, err
		}
	}
	if err := f.join(c, p.name, c.address, append([]string{program}, p.args(f, v)...)...); err != nil {
		return nil, err
	}
	return c, f.equip(c)
}

// join puts a helper on the same core as the contender that it works for, and its
// time is the contender's. It starts a process of a contender, and waits until it
// listens.
func (f *field) join(c *contender, name, address string, args ...string) error {
	cmd, err := f.start(name, launch{core: measured, args: args})
	if err != nil {
		return err
	}
	c.groups = append(c.groups, cmd.Process.Pid)
	if err := await(cmd, address); err != nil {
		return errors.Join(err, f.said(name))
	}
	return nil
}

// equip gives a peer its tokens.
func (f *field) equip(c *contender) (err error) {
	if c.tried, err = peerCredentials(); err != nil {
		return err
	}
	tokens, err := peerTokens(f.tokens)
	if err != nil {
		return err
	}
	return f.give(c, tokens)
}

// give writes the file of tokens that the load reads.
func (f *field) give(c *contender, tokens []string) error {
	c.tokens = f.file(strings.ReplaceAll(c.name, " ", "-") + ".tokens")
	return os.WriteFile(c.tokens, []byte(strings.Join(tokens, "\n")+"\n"), 0o600)
}

// enter starts the peers with these names and makes sure that they do the work.
func (f *field) enter(names ...string) (all []*contender, err error) {
	for _, name := range names {
		for _, p := range peers() {
			if p.name != name {
				continue
			}
			c, err := f.startPeer(p)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if err := check(c); err != nil {
				return nil, fmt.Errorf("%s does not do the work: %w", name, errors.Join(err, f.said(name)))
			}
			all = append(all, c)
		}
	}
	return all, nil
}
