package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/cmd/postern/sampleapp"
	"github.com/posternhq/postern/gateway/config"
)

//go:embed demo.yaml
var demoYAML string

// demoUsers are the accounts of the demonstration. Their passwords are public:
// they guard the sample application and nothing else.
func demoUsers() []auth.NewAccount {
	return []auth.NewAccount{
		{Username: "alice", Email: "alice@example.com", Name: "Alice Liddell", Roles: []string{"user"}, Password: "alice-password"},
		{Username: "mod", Email: "mod@example.com", Name: "Mo Derator", Roles: []string{"user", "moderator"}, Password: "mod-password"},
		{Username: "admin", Email: "admin@example.com", Name: "Ada Min", Roles: []string{"user", "admin"}, Password: "admin-password"},
	}
}

// demoCommand shows the gateway before an application without anything to set up.
// All that it writes is in a folder of its own, which goes with it.
func demoCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run before a built-in sample application, with sample users",
		Long: `Runs the gateway before a sample application that is part of this binary, with
three sample users. Nothing is kept: the store lives in a temporary folder.
POSTERN_LISTEN and its like are heeded.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			dir, err := os.MkdirTemp("", "postern-demo-")
			if err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return runDemo(ctx, sys, dir)
		},
	}
}

// runDemo is serve before the sample application, with its users made first.
func runDemo(ctx context.Context, sys *system, dir string) error {
	app, upstream, err := listenSample()
	if err != nil {
		return err
	}
	load := func() (*config.File, error) { return loadDemo(sys, dir, upstream) }
	p, err := newProgram(ctx, sys, load)
	if err != nil {
		return errors.Join(err, app.Close())
	}
	for _, user := range demoUsers() {
		if _, err := p.auth.AddAccount(ctx, user, auth.Actor{By: "demo"}); err != nil {
			return errors.Join(err, p.Close(), app.Close())
		}
	}
	if err := p.Listen(); err != nil {
		return errors.Join(err, p.Close(), app.Close())
	}
	printDemo(sys, demoURL(sys, p))
	err = p.Run(ctx)
	return errors.Join(err, app.Close())
}

// listenSample serves the sample application on a free port of the loopback
// interface, out of reach but through the gateway.
func listenSample() (*sample, string, error) {
	handler, err := sampleapp.New()
	if err != nil {
		return nil, "", err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("listen for the sample application: %w", err)
	}
	s := &sample{server: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}}
	s.group.Go(func() error { return s.server.Serve(ln) })
	return s, "http://" + ln.Addr().String(), nil
}

// sample is the sample application, serving.
type sample struct {
	server *http.Server
	group  errgroup.Group
}

// Close stops the application at once, and waits for the goroutine that serves
// it.
func (s *sample) Close() error {
	err := s.server.Close()
	if served := s.group.Wait(); !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// loadDemo reads the demonstration's configuration; the environment may change
// it as it may any file, the store excepted.
func loadDemo(sys *system, dir, upstream string) (*config.File, error) {
	src := config.Source{
		Path: "demo.yaml",
		Data: []byte(strings.ReplaceAll(demoYAML, "UPSTREAM_URL", upstream)),
		Env:  sys.env, Known: ownVariables(),
		Flags: map[string]string{
			"store.path":     filepath.Join(dir, "postern.db"),
			"store.key_file": filepath.Join(dir, "postern.key"),
		},
	}
	if listen := sys.getenv("POSTERN_LISTEN"); listen != "" && sys.getenv("POSTERN_PUBLIC_URL") == "" {
		if _, port, err := net.SplitHostPort(listen); err == nil {
			src.Flags["public_url"] = "http://localhost:" + port
		}
	}
	file, err := check(sys.stderr, src)
	if err == nil {
		file.Path = "" // it is in the binary: there is nothing to watch
	}
	return file, err
}

// demoURL is the address for a browser: the configured one, or the port that
// was really bound.
func demoURL(sys *system, p *program) string {
	_, port, err := net.SplitHostPort(p.public.Addr())
	if err != nil || sys.getenv("POSTERN_PUBLIC_URL") != "" {
		return strings.TrimSuffix(p.file.PublicURL, "/")
	}
	return "http://localhost:" + port
}

// printDemo tells a person what to try. It goes to standard error, where the
// words for a person go; standard output has the log.
func printDemo(sys *system, url string) {
	fmt.Fprintf(sys.stderr, `
Postern runs before a sample application. In a browser:

  %[1]s

  user   password        may see
  alice  alice-password  Members
  mod    mod-password    Members, Moderation
  admin  admin-password  Members, Administration

With curl:

  curl %[1]s/
  curl -i %[1]s/app/home
  TOKEN=$(curl -s %[1]s/auth/login -H 'Content-Type: application/json' -d '{"username":"alice","password":"alice-password"}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl %[1]s/app/home -H "Authorization: Bearer $TOKEN"
  curl -i %[1]s/admin/report -H "Authorization: Bearer $TOKEN"

Ctrl-C stops it; nothing is kept.

`, url)
}
