package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/auth"
)

// sessionCommand holds the commands on sessions, which is one login on one
// device with all the tokens that descend from it.
func sessionCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{Use: "session", Short: "The sessions: list, revoke"}
	cmd.AddCommand(sessionListCommand(sys), sessionRevokeCommand(sys))
	return group(cmd)
}

// sessionRow is a session as the commands print it; its id is the token's sid.
type sessionRow struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	Device    string    `json:"device"`
	Address   string    `json:"address"`
	UserAgent string    `json:"user_agent"`
	Created   time.Time `json:"created"`
	LastSeen  time.Time `json:"last_seen"`
}

// sessionListCommand shows ids of sessions. They are no secret: a refresh token
// needs a MAC beside its session's id.
func sessionListCommand(sys *system) *cobra.Command {
	var user string
	cmd := &cobra.Command{Use: "list", Short: "List the live sessions, of everyone or of one user", Args: noArgs}
	cmd.Flags().StringVar(&user, "user", "", "only this user's")
	output := outputFlag(cmd)
	cmd.RunE = withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, _ []string) error {
		rows, err := sessionRows(d, cmd, user)
		if err != nil {
			return err
		}
		columns := []string{"ID", "USER", "DEVICE", "ADDRESS", "LAST SEEN", "CREATED"}
		return printList(sys.stdout, *output, rows, columns, func(s sessionRow) []string {
			return []string{s.ID, s.User, s.Device, s.Address, s.LastSeen.Format(time.RFC3339), s.Created.Format(time.RFC3339)}
		})
	})
	return cmd
}

// sessionRows reads the sessions that can still be used, of one user or of all.
func sessionRows(d *desk, cmd *cobra.Command, user string) ([]sessionRow, error) {
	id := ""
	if user != "" {
		a, err := d.find(cmd.Context(), user)
		if err != nil {
			return nil, err
		}
		id = a.ID
	}
	sessions, err := d.Sessions(cmd.Context(), id)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	accounts, err := d.Accounts(cmd.Context())
	for _, a := range accounts {
		names[a.ID] = a.Username
	}
	rows := make([]sessionRow, len(sessions))
	for i, s := range sessions {
		rows[i] = sessionRow{s.ID, names[s.AccountID], s.Device(), s.Address, s.UserAgent, s.Created, s.LastSeen}
	}
	return rows, err
}

// sessionRevokeCommand ends one session, or all of a user's; never all of
// everybody's by a forgotten argument.
func sessionRevokeCommand(sys *system) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "revoke [ID]",
		Short: "End one session, or with --user all of a user's",
		Args:  atMostOneArg,
	}
	cmd.Flags().StringVar(&user, "user", "", "end every session of this user")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usagef("%w; an id that begins with - stands after --: postern session revoke -- ID", err)
	})
	cmd.RunE = withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, args []string) error {
		if (user == "") == (len(args) == 0) {
			return usagef("name one session, or a user with --user; 'postern session list' shows them")
		}
		if user == "" {
			return revokeOne(sys, d, cmd, args[0])
		}
		a, err := d.find(cmd.Context(), user)
		if err != nil {
			return err
		}
		if err := d.RevokeSessions(cmd.Context(), a.ID, auth.Actor{By: commandLine}); err != nil {
			return err
		}
		_, err = fmt.Fprintf(sys.stdout, "ended every session of %s\n", a.Username)
		return err
	})
	return cmd
}

// revokeOne ends one session by its id, whosever it is.
func revokeOne(sys *system, d *desk, cmd *cobra.Command, id string) error {
	err := d.RevokeSession(cmd.Context(), "", id, auth.Actor{By: commandLine})
	if errors.Is(err, auth.ErrNotFound) {
		return fmt.Errorf("there is no session %q; 'postern session list' shows them", id)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(sys.stdout, "ended session %s\n", id)
	return err
}
