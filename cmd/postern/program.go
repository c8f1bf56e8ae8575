package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/oldlogin"
	"github.com/posternhq/postern/auth/sqlstore"
	"github.com/posternhq/postern/auth/web"
	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/gateway/config"
	"github.com/posternhq/postern/policy"
)

// program is the gateway as a process: every part, wired. newProgram makes it,
// Listen binds its addresses, Run serves until the context ends.
type program struct {
	sys     *system
	load    func() (*config.File, error)
	file    *config.File
	log     *slog.Logger // the main one of logs
	logs    *logs
	store   *sqlstore.Store
	room    *hashRoom
	auth    *auth.Service
	gateway *gateway.Gateway
	public  *gateway.Server
	plain   *gateway.Server // nil where tls.acme.http_listen is empty
	admin   *gateway.Server // nil where admin.listen is empty
	hup     chan os.Signal  // SIGHUP, from the very start
}

// newProgram wires the gateway from a configuration. load is called again at
// each reload.
func newProgram(ctx context.Context, sys *system, load func() (*config.File, error)) (_ *program, err error) {
	room := newHashRoom() // first, while the heap is small
	tuneMemory(sys.getenv, os.DirFS("/"))
	hup := heedHangup()
	defer func() {
		if err != nil {
			signal.Stop(hup)
		}
	}()
	file, err := load()
	if err != nil {
		return nil, err
	}
	sampleMemory(file.Admin.PProf)
	logs, err := openLogs(sys, file.Log)
	if err != nil {
		return nil, err
	}
	p := &program{sys: sys, load: load, file: file, log: logs.main, logs: logs, hup: hup, room: room}
	store, master, err := openStore(ctx, file.Store)
	if err != nil {
		return nil, errors.Join(err, logs.close())
	}
	p.store = store
	p.warnOfStart()
	if err := p.wire(ctx, master); err != nil {
		return nil, errors.Join(err, store.Close(), logs.close())
	}
	return p, nil
}

// wire builds the parts on the opened store, from the leaves up.
func (p *program) wire(ctx context.Context, master auth.MasterKey) (err error) {
	conf := p.file.GatewayConfig()
	store := auth.Measured(p.store, p.observeStore)
	p.auth, err = auth.New(ctx, auth.Options{
		Store: store, Master: master, Config: p.file.AuthConfig(), Audit: p.audit, OldLogin: oldlogin.New().Login, Hashing: p.room.enlarge,
	})
	if err != nil {
		return err
	}
	p.gateway = gateway.New(gateway.Options{
		Auth: p.auth, Outbox: store, Log: p.log, Access: p.logs.access, Audit: p.logs.audit, Version: thisBuild().Version, LogErrors: p.logs.errors,
		Unwatched: conf.Admin.Listen == "",
	})
	snap, err := p.snapshot(p.file)
	if err != nil {
		return err
	}
	p.gateway.Swap(snap)
	p.public = gateway.NewServer(conf, p.gateway, p.log)
	p.public.KeepCertificates(auth.NewSecrets(p.store, master, rand.Reader))
	p.plain = gateway.NewPlainServer(conf, p.public, p.log)
	if conf.Admin.Listen != "" {
		p.admin = gateway.NewAdminServer(conf, p.adminHandler(conf), p.log)
	}
	return nil
}

// adminHandler is what the admin listener answers.
func (p *program) adminHandler(conf gateway.Config) http.Handler {
	if conf.Admin.PProf {
		return gateway.WithProfiles(p.gateway.Admin())
	}
	return p.gateway.Admin()
}

// audit hands the auth service's events to the gateway's audit log.
func (p *program) audit(ctx context.Context, e auth.Event) {
	if p.gateway == nil { // before the gateway stands
		gateway.LogAudit(ctx, p.logs.audit, e)
		return
	}
	p.gateway.Audit(ctx, e)
}

// observeStore has the gateway count a use of the store.
func (p *program) observeStore(c auth.StoreCall) {
	if p.gateway != nil { // it stands after the first few
		p.gateway.ObserveStore(c)
	}
}

// snapshot compiles all that a file can change.
func (p *program) snapshot(file *config.File) (*gateway.Snapshot, error) {
	table, findings := policy.Compile(file.Policy())
	if table == nil {
		return nil, fmt.Errorf("policy: %v", findings) // Check has refused such a file before
	}
	public, err := url.Parse(file.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("public_url: %w", err)
	}
	conf := file.WebConfig()
	own, err := web.New(web.Options{Service: p.auth, Config: conf, PublicURL: public, Hosts: file.Hosts, Log: p.log})
	if err != nil {
		return nil, err
	}
	access, refresh := web.CookieNames(conf, public)
	return p.gateway.Build(gateway.Parts{
		Config:       file.GatewayConfig(),
		Table:        table,
		Routes:       file.RouteOptions(),
		Own:          own,
		Prefix:       conf.Prefix,
		Cookies:      gateway.Cookies{Access: access, Refresh: refresh},
		CookieDomain: conf.Cookie.Domain,
		TokenSources: conf.Sources(),
		CORSOrigins:  conf.CORS.Origins,
		Dialects:     conf.Dialects(),
	})
}

// Listen binds the addresses, so that a taken port fails the start, or takes
// what the service manager has bound.
func (p *program) Listen() error {
	public, admin, err := inherited(p.sys)
	if err != nil {
		return err
	}
	if public != nil {
		p.public.Inherit(public)
	}
	switch {
	case admin != nil && p.admin == nil:
		return errors.Join(usagef("the service manager handed on a socket called %s, and admin.listen is empty: set it, or take the socket away", adminSocket), admin.Close())
	case admin != nil:
		p.admin.Inherit(admin)
	}
	for _, s := range p.servers() {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	return nil
}

// servers are those that there are, in the order in which they begin and end.
func (p *program) servers() []*gateway.Server {
	all := []*gateway.Server{p.public, p.plain, p.admin}
	return slices.DeleteFunc(all, func(s *gateway.Server) bool { return s == nil })
}

// Run serves until asked ends or a part fails, then drains and closes all. What
// requests need lives on until the last of them has ended: a session that is
// revoked while the gateway drains is revoked.
func (p *program) Run(asked context.Context) error {
	defer signal.Stop(p.hup)
	p.file.Routes, p.file.Tests = nil, nil // what is served of them is in the snapshot, and there may be many
	group, ctx := errgroup.WithContext(asked)
	serving, end := context.WithCancel(context.WithoutCancel(asked))
	for _, s := range p.servers() {
		group.Go(s.Serve)
	}
	group.Go(func() error { return p.public.FetchCertificates(serving) })
	group.Go(func() error { return untilDone(serving, p.auth.Follow(serving)) })
	group.Go(func() error { return untilDone(serving, p.auth.Forget(serving)) })
	group.Go(func() error { _ = p.logs.queue.run(serving); return nil }) // what is written to says when it cannot be
	group.Go(func() error { return p.gateway.CheckUpstreams(serving) })
	group.Go(func() error { return p.gateway.Provision(serving) })
	changed := make(chan struct{}, 1)
	group.Go(func() error { return p.reloads(ctx, changed) })
	group.Go(func() error { return p.watchFile(ctx, changed) })
	for _, path := range []string{p.file.TLS.CertFile, p.file.TLS.KeyFile} {
		group.Go(func() error { return p.watchCertificate(ctx, path) })
	}
	group.Go(func() error {
		defer end()
		<-ctx.Done()
		return p.shutdown(asked.Err() != nil)
	})
	p.log.Info("serving", "listen", p.public.Addr(), "admin", p.adminAddr(), "public_url", p.file.PublicURL, "config", p.file.Path, "version", thisBuild().Version)
	p.notify(stateReady)
	// The program last: giving back the heap runs some of it.
	group.Go(func() error { settleAtRest(ctx, lookAtHeap, func() { p.room.settle(); unmapProgram() }); return nil })
	err := errors.Join(group.Wait(), p.store.Close())
	p.log.Info("stopped")
	return errors.Join(err, p.logs.close())
}

// warnOfStart says what works, and is likely not what was meant.
func (p *program) warnOfStart() {
	key := p.file.Store.KeyFile
	if info, err := os.Stat(key); err == nil && info.Mode().Perm()&0o077 != 0 {
		p.log.Warn("the master key can be read by other users of this machine: chmod 600 "+key, "mode", info.Mode().Perm().String())
	}
	_, port, err := net.SplitHostPort(p.file.Listen)
	if err != nil || strings.HasPrefix(p.file.Listen, "unix:") {
		return // a socket has no port
	}
	if u, err := url.Parse(p.file.PublicURL); err == nil && u.Hostname() == "localhost" && u.Port() != port && port != "0" && port != "" {
		p.log.Warn("public_url is where browsers find the gateway, and names another port than it listens on", "public_url", p.file.PublicURL, "listen", p.file.Listen)
	}
}

// adminAddr is the address that admin.listen came to be, empty where it is off.
func (p *program) adminAddr() string {
	if p.admin == nil {
		return ""
	}
	return p.admin.Addr()
}

// untilDone drops the error of a part that ended because ctx did.
func untilDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// shutdown lets requests under way end. The admin listener stays up meanwhile
// and says that the gateway is draining. Where it was asked for, and no part of
// it failed, the gateway goes on as before for the delay: load balancers need a
// while to hear of it.
func (p *program) shutdown(asked bool) error {
	p.notify(stateStopping)
	conf := p.gateway.Drain()
	p.log.Info("draining", "delay", conf.Delay.String(), "timeout", conf.Timeout.String())
	if asked {
		time.Sleep(conf.Delay) // a second signal ends the process, and with it this
	}
	ctx, cancel := context.WithTimeout(context.Background(), conf.Timeout)
	defer cancel()
	var err error
	for _, s := range p.servers() {
		err = errors.Join(err, s.Shutdown(ctx))
	}
	return err
}

// Close gives back what newProgram opened, where Run never ran.
func (p *program) Close() error {
	signal.Stop(p.hup)
	return errors.Join(p.store.Close(), p.logs.close())
}
