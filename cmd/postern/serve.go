package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/config"
)

// serveCommand reads flags and file; what they make is for program to wire.
func serveCommand(sys *system) *cobra.Command {
	var upstream, listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Runs the gateway from gateway.yaml. With --upstream and no file it protects that
one application: every path needs a login. Where there is a file, --upstream
takes the place of its only upstream's address.

SIGHUP reads the file again. SIGTERM and SIGINT let requests under way end, as
shutdown in the file says; a second one ends the gateway at once.`,
		Args: noArgs,
	}
	cmd.Flags().StringVar(&upstream, "upstream", "", "URL of the one application to protect")
	cmd.Flags().StringVar(&listen, "listen", "", "address to listen on, over the file's")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := configPath(sys, cmd)
		if err != nil {
			return usageError{err}
		}
		if path == "" && upstream == "" {
			return usagef("there is no %s here: write one with 'postern init', or protect an application at once with 'postern serve --upstream http://127.0.0.1:3000'", defaultConfigFile)
		}
		flags := map[string]string{}
		if upstream != "" {
			flags["upstream"] = upstream
		}
		if listen != "" {
			flags["listen"] = listen
		}
		return serve(cmd.Context(), sys, path, flags)
	}
	return cmd
}

// serve runs the gateway until a signal, which may come while it still starts.
func serve(ctx context.Context, sys *system, path string, flags map[string]string) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	err := startAndRun(ctx, sys, path, flags)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // it did what it was told
	}
	return err
}

// startAndRun makes the administrator of an empty store after the addresses are
// bound: a start that fails prints no password that nobody can use.
func startAndRun(ctx context.Context, sys *system, path string, flags map[string]string) error {
	load := func() (*config.File, error) {
		src, err := source(sys, path, flags)
		if err != nil {
			return nil, err
		}
		file, err := check(sys.stderr, src)
		if err == nil {
			warnOfFiles(sys, src, file)
		}
		return file, err
	}
	p, err := newProgram(ctx, sys, load)
	if err != nil {
		return err
	}
	if err := p.Listen(); err != nil {
		return errors.Join(err, p.Close())
	}
	if err := p.firstAdmin(ctx); err != nil {
		return errors.Join(err, p.Close())
	}
	_ = report(sys.stderr, slices.Concat(unheldRoles(ctx, p.file, p.store), freeNames(ctx, p.file, p.store)), true) // warnings alone
	return p.Run(ctx)
}

// warnOfFiles says which files of certificates and keys are wrong, and where
// each is named. Whoever reads one refuses what cannot be used; one that has
// expired is used all the same. The configuration is read again only for the
// place of what is wrong.
func warnOfFiles(sys *system, src config.Source, file *config.File) {
	now := time.Now()
	if len(file.ExamineFiles(now, true)) == 0 {
		return
	}
	findings := config.CheckFiles(src, now, true)
	for i := range findings {
		findings[i].Warning = true
	}
	_ = report(sys.stderr, findings, true)
}

// untilSignal ends the context on SIGINT or SIGTERM. A second signal finds the
// default handling back in place and quits at once.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// firstAdmin makes the administrator of an empty store. The random password is
// printed once, to standard error and never to the log.
func (p *program) firstAdmin(ctx context.Context) error {
	n, err := p.store.CountAccounts(ctx)
	if err != nil || n > 0 {
		return err
	}
	account := auth.NewAccount{Username: "admin", Password: p.sys.getenv("POSTERN_ADMIN_PASSWORD")}
	if slices.Contains(p.file.AuthConfig().Roles, "admin") {
		account.Roles = []string{"admin"}
	}
	given := account.Password != ""
	if !given {
		account.Password = newPassword()
	}
	_, err = p.auth.AddAccount(ctx, account, auth.Actor{By: "first-start"})
	var taken *auth.ConflictError
	if errors.As(err, &taken) { // another instance was faster
		return nil
	}
	if err != nil {
		return fmt.Errorf("make the first administrator (POSTERN_ADMIN_PASSWORD): %w", explain(err))
	}
	if !given {
		fmt.Fprintf(p.sys.stderr, "\nThe store was empty. An administrator was made:\n\n  user      admin\n  password  %s\n\nIt is not shown again. Change it with 'postern user passwd admin'.\n\n", account.Password)
	}
	return nil
}
