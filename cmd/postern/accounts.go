package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/gateway/config"
)

// commandLine is who the audit log names for what these commands do.
const commandLine = "command-line"

// desk is what the commands on accounts, sessions and tokens work with: the
// auth service on the store itself, also while a gateway serves from it.
type desk struct {
	*auth.Service
	store *sqlstore.Store
}

// openDesk opens the store of the configuration. The audit lines of a command
// go to standard error.
func openDesk(sys *system, cmd *cobra.Command, open storeOpener) (*desk, error) {
	file, err := loadConfig(sys, cmd)
	if err != nil {
		return nil, err
	}
	ctx := cmd.Context()
	store, master, err := open(ctx, file.Store)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewJSONHandler(sys.stderr, nil))
	service, err := auth.New(ctx, auth.Options{
		Store:  store,
		Master: master,
		Config: file.AuthConfig(),
		Guest:  true,
		Audit:  func(ctx context.Context, e auth.Event) { gateway.LogAudit(ctx, log, e) },
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &desk{service, store}, nil
}

// storeOpener is openStore, or openExistingStore for commands that only look.
type storeOpener func(context.Context, config.StoreConfig) (*sqlstore.Store, auth.MasterKey, error)

// withDesk is the frame of a command on accounts.
func withDesk(sys *system, open storeOpener, do func(d *desk, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		d, err := openDesk(sys, cmd, open)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.store.Close()) }()
		return explain(do(d, cmd, args))
	}
}

// explain turns the errors of package auth into words for the person at the
// keyboard; what they typed wrong is wrong usage.
func explain(err error) error {
	var invalid *auth.InvalidError
	if errors.As(err, &invalid) {
		errs := make([]error, len(invalid.Fields))
		for i, f := range invalid.Fields {
			errs[i] = fmt.Errorf("%s: %s", f.Field, f.Message)
		}
		return usageError{errors.Join(errs...)}
	}
	return err
}

// find looks an account up by username, e-mail or id.
func (d *desk) find(ctx context.Context, name string) (auth.Account, error) {
	a, err := d.FindAccount(ctx, name)
	if errors.Is(err, auth.ErrNotFound) {
		return a, fmt.Errorf("there is no user %q; 'postern user list' shows them", name)
	}
	return a, err
}
