package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
	"github.com/posternhq/postern/gateway"
)

// backupCommand needs no desk: it copies the file beneath whoever serves from it,
// and must work where the keys do not open.
func backupCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the store into a new file, also while a gateway serves from it",
		Long: `Copies the embedded store into FILE, which must not exist and is for its owner
alone (mode 0600). Gateways go on serving meanwhile. The copy holds everything
that was answered before it began; it has been opened and checked when the
command ends with 0.

The copy holds password hashes, and the signing keys sealed with the master key
(store.key_file). The master key is not in it: keep a copy of that file as well,
and not beside this one.`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := loadConfig(sys, cmd)
			if err != nil {
				return err
			}
			if _, err := os.Stat(file.Store.Path); err != nil {
				return fmt.Errorf("there is no store to back up (store.path): %w", err)
			}
			if err := sqlstore.Backup(cmd.Context(), file.Store.Path, args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(sys.stdout, "copied %s to %s; the master key %s is not in it\n", file.Store.Path, args[0], file.Store.KeyFile)
			return err
		},
	}
}

// restoreCommand puts the store back whole or leaves it as it is. Sessions end
// unless it is told otherwise, since a backup has forgotten the logouts after it.
func restoreCommand(sys *system) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the store; no gateway may be running",
		Long: `Puts a copy of FILE, made by 'postern backup', in the place of the store. Before
anything is changed FILE is checked: that it is whole, that this version can
read it, and that the master key (store.key_file) opens its keys. The store that
was there is kept beside the new one, under a name with the date. Gateways that
serve from the store must be stopped first; the command refuses otherwise.

The backup does not know who has been logged out, disabled or given another role
since it was made. So everybody has to log in anew: all sessions end, and the
keys that sign access tokens are replaced.

With --keep-sessions nobody has to: refresh tokens that were given out since the
backup are recognised, and access tokens stay good. But so are those of sessions
and accounts that were ended since then; and sessions that began since are lost.
Use it when you know that nothing was revoked.`,
		Args: oneArg,
	}
	cmd.Flags().BoolVar(&keep, "keep-sessions", false, "end no session, also none that was ended since the backup")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, err := loadConfig(sys, cmd)
		if err != nil {
			return err
		}
		if err := mayBeBackup(args[0]); err != nil {
			return err
		}
		master, err := readMasterKey(file.Store.KeyFile)
		if err != nil {
			return err
		}
		r := restoration{master: master, keep: keep}
		kept, err := sqlstore.Restore(cmd.Context(), file.Store.Path, args[0], r.prepare)
		if err != nil {
			return err
		}
		log := slog.New(slog.NewJSONHandler(sys.stderr, nil))
		gateway.LogAudit(cmd.Context(), log, auth.Event{Name: auth.EventStoreRestored, By: commandLine, Detail: r.outcome()})
		if kept != "" {
			kept = "; the store before it is " + kept
		}
		_, err = fmt.Fprintf(sys.stdout, "restored %s from %s, %s%s\n", file.Store.Path, args[0], r.outcome(), kept)
		return err
	}
	return cmd
}

// mayBeBackup finds the mistakes in a name before anything else is looked at:
// they are told of first, and are no fault of a store.
func mayBeBackup(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no %s: name a file that 'postern backup' made", name)
	case err != nil:
		return fmt.Errorf("restore: %w", err)
	case info.IsDir():
		return fmt.Errorf("%s is a directory: name a file that 'postern backup' made", name)
	}
	return nil
}

// restoration is what has to be done to a backup before it serves.
type restoration struct {
	master auth.MasterKey
	keep   bool // the sessions
	ended  int  // set by prepare
}

// prepare makes good what the backup does not know: what was revoked since.
// Ending the sessions reaches the refresh tokens. Access tokens are proven
// without the store, and some may be of accounts that the backup has never
// heard of; taking away the keys reaches them all. The next start makes others.
func (r *restoration) prepare(ctx context.Context, s *sqlstore.Store) error {
	keys, err := s.Keys(ctx)
	if err != nil {
		return err
	}
	if err := r.master.OpensKeys(keys); err != nil {
		return fmt.Errorf("the backup and the master key do not belong together: %w", err)
	}
	if r.keep {
		return nil
	}
	if err := s.DeleteKeys(ctx, auth.AccessKeys(keys)); err != nil {
		return err
	}
	r.ended, err = s.EndSessions(ctx)
	return err
}

// outcome says what became of the sessions, for the user and the audit log.
func (r *restoration) outcome() string {
	if r.keep {
		return "sessions kept"
	}
	return count(r.ended, "session") + " ended"
}
