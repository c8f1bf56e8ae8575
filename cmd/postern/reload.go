package main

import (
	"context"
	"crypto/sha256"
	"os"
	"os/signal"
	"syscall"

	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/gateway/config"
)

// heedHangup takes SIGHUP for a wish to reload from now on. That is before the
// file is read: during a start the signal would end the process, and a file
// that changes meanwhile would not be read again.
func heedHangup() chan os.Signal {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	return hup
}

// reloads reads the configuration again on SIGHUP and whenever the file has
// changed, until ctx ends.
func (p *program) reloads(ctx context.Context, changed <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.hup:
			p.logs.reopen() // logrotate has moved them
		case <-changed:
		}
		p.reload(ctx)
	}
}

// watchFile tells changed of every change of the file. Where the machine
// cannot watch, SIGHUP remains.
func (p *program) watchFile(ctx context.Context, changed chan<- struct{}) error {
	if p.file.Path == "" {
		return nil
	}
	err := config.Watch(ctx, p.file.Path, p.file.Digest, func() {
		select {
		case changed <- struct{}{}:
		default: // a reload is due already
		}
	})
	if err != nil && ctx.Err() == nil {
		p.log.Warn("the configuration is no longer watched, use SIGHUP", "error", err.Error())
	}
	return nil
}

// reload reads the file again and swaps the snapshot, or keeps the old one.
// The gateway logs and counts either outcome.
func (p *program) reload(ctx context.Context) {
	p.notify(stateReloading())
	defer p.notify(stateReady) // whatever became of it: the old configuration serves on
	var domains []string
	err := p.gateway.Reload(ctx, func() (*gateway.Snapshot, error) {
		file, err := p.load()
		if err != nil {
			return nil, err
		}
		domains = file.TLS.ACME.Domains
		return p.rebuild(ctx, file)
	})
	if err != nil {
		return // audited, and the old one stays
	}
	p.public.FetchFor(domains)
	p.reloadCertificate()
}

// reloadCertificate reads the certificate's files again.
func (p *program) reloadCertificate() {
	if err := p.public.ReloadCertificate(); err != nil {
		p.log.Error("the new certificate cannot be used, the old one stays", "error", err.Error())
	}
}

// watchCertificate takes up a certificate or key whose file was replaced: what
// renews it may know nothing of us. Where the two do not fit together, because
// the other one is still to come, the old ones stay.
func (p *program) watchCertificate(ctx context.Context, path string) error {
	if path == "" {
		return nil
	}
	return config.Watch(ctx, path, [sha256.Size]byte{}, p.reloadCertificate) // once more for what changed since the start
}

// rebuild makes the next snapshot from file. Everything that can be refused is
// built before anything that is in force changes.
func (p *program) rebuild(ctx context.Context, file *config.File) (*gateway.Snapshot, error) {
	snap, err := p.snapshot(file)
	if err != nil {
		return nil, err
	}
	if err := p.auth.Reconfigure(ctx, file.AuthConfig()); err != nil {
		return nil, err
	}
	for _, key := range restartOnly(p.file, file) {
		p.log.Warn("this key changed, and takes effect at the next start", "key", key)
	}
	return snap, nil
}

// restartOnly lists the keys that differ and that a reload cannot apply.
func restartOnly(old, next *config.File) []string {
	var keys []string
	differs := func(key string, changed bool) {
		if changed {
			keys = append(keys, key)
		}
	}
	differs("listen", old.Listen != next.Listen)
	differs("admin.listen", old.Admin.Listen != next.Admin.Listen)
	differs("admin.pprof", old.Admin.PProf != next.Admin.PProf)
	differs("h2c", old.H2C != next.H2C)
	differs("tls.acme, but its domains", acmeDiffers(old.TLS.ACME, next.TLS.ACME))
	differs("tls, to other files", old.TLS.CertFile != next.TLS.CertFile || old.TLS.KeyFile != next.TLS.KeyFile)
	differs("tls.client_ca_file", old.TLS.ClientCAFile != next.TLS.ClientCAFile)
	differs("limits.connections", old.Limits.Connections != next.Limits.Connections)
	differs("limits.connections_per_client", old.Limits.ConnectionsPerClient != next.Limits.ConnectionsPerClient)
	differs("store", old.Store != next.Store)
	access := next.Log
	access.Access = old.Log.Access // this one needs none
	differs("log", old.Log != access)
	return keys
}

// acmeDiffers tells whether certificates would be fetched in another way, or
// begin or cease to be fetched.
func acmeDiffers(old, next gateway.ACME) bool {
	return old.Enabled() != next.Enabled() || old.Email != next.Email || old.CacheDir != next.CacheDir ||
		old.DirectoryURL != next.DirectoryURL || old.CAFile != next.CAFile || old.HTTPListen != next.HTTPListen
}
