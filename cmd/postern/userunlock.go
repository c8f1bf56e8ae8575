package main

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/auth"
)

// userUnlockCommand forgets failed logins: of a user, of an address, or of
// both. The counters are in the store, so the next login at a serving gateway
// finds them gone.
func userUnlockCommand(sys *system) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "unlock [NAME]",
		Short: "Forget the failed logins of a user, or with --address of an address",
		Long: `Too many failed logins lock a user from the address that they came from, and
an address for all who have never logged in from it (auth.lockout). This forgets
them: of the user, from everywhere, or with --address of an address alone, for
IPv6 of its /64.`,
		Args: atMostOneArg,
	}
	cmd.Flags().StringVar(&address, "address", "", "forget the failed logins of this address, of whatever names")
	cmd.RunE = withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, args []string) error {
		if len(args) == 0 && address == "" {
			return usagef("name a user, or an address with --address")
		}
		if address != "" {
			if err := unlockAddress(sys, d, cmd, address); err != nil {
				return err
			}
		}
		if len(args) == 0 {
			return nil
		}
		a, err := d.find(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if err := d.Unlock(cmd.Context(), a.ID, auth.Actor{By: commandLine}); err != nil {
			return err
		}
		_, err = fmt.Fprintf(sys.stdout, "unlocked %s\n", a.Username)
		return err
	})
	return cmd
}

// unlockAddress forgives what counts against an address alone (for IPv6, against
// its /64). What counts against a name stays: user unlock NAME is for that.
func unlockAddress(sys *system, d *desk, cmd *cobra.Command, text string) error {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return usagef("--address %q is no address; write it as 203.0.113.9 or 2001:db8::1", text)
	}
	if err := d.UnlockAddress(cmd.Context(), address, auth.Actor{By: commandLine}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(sys.stdout, "unlocked address %s\n", address)
	return err
}

// lockRow says from where a user is refused, as `user show` prints it.
type lockRow struct {
	From  string    `json:"from"` // an address or network, "unknown" without one, "elsewhere" for where the user never logged in
	Until time.Time `json:"until"`
}

// lockRows reads from where a user is refused.
func lockRows(d *desk, cmd *cobra.Command, id string) ([]lockRow, error) {
	locks, err := d.Locks(cmd.Context(), id)
	rows := []lockRow{}
	for _, l := range locks {
		from := l.Network
		switch from {
		case "":
			from = "elsewhere"
		case auth.UnknownNetwork:
			from = "unknown"
		}
		rows = append(rows, lockRow{from, l.Until})
	}
	return rows, err
}

// printLocks adds to a table what it has no column for: most users have none.
func printLocks(w io.Writer, rows []lockRow) error {
	for _, r := range rows {
		if _, err := fmt.Fprintf(w, "locked from %s until %s\n", r.From, r.Until.Format(time.RFC3339)); err != nil {
			return err
		}
	}
	return nil
}
