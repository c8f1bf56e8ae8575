package main

import (
	"context"
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
	err := p.gateway.Reload(ctx, func() (*gateway.Snapshot, error) {
		file, err := p.load()
		if err != nil {
			return nil, err
		}
		return p.rebuild(ctx, file)
	})
	if err != nil {
		return // audited, and the old one stays
	}
	if err := p.public.ReloadCertificate(); err != nil {
		p.log.Error("the new certificate cannot be used, the old one stays", "error", err.Error())
	}
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
	differs("tls, to other files", old.TLS.CertFile != next.TLS.CertFile || old.TLS.KeyFile != next.TLS.KeyFile)
	differs("tls.client_ca_file", old.TLS.ClientCAFile != next.TLS.ClientCAFile)
	differs("limits.connections", old.Limits.Connections != next.Limits.Connections)
	differs("store", old.Store != next.Store)
	access := next.Log
	access.Access = old.Log.Access // this one needs none
	differs("log", old.Log != access)
	return keys
}
