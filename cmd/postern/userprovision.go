package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/auth"
)

// userProvisionCommand puts accounts into the outbox: for an application that
// was not listed under provision when they were made, or that has lost its rows.
// It posts nothing itself: that takes a gateway that serves.
func userProvisionCommand(sys *system) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "provision [NAME]",
		Short: "Tell the applications under provision of an account, or with --all of every one",
		Long: `Tells the applications under provision of an account, or with --all of every
one, as if it had just been made. It is for accounts that were there before, and
after a backup was restored; later changes are told without it. What still waits
about such an account, or was refused, is replaced by this.

The gateway that serves posts the events, in its own time.`,
		Args: atMostOneArg,
	}
	cmd.Flags().BoolVar(&all, "all", false, "tell of every account")
	cmd.RunE = withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, args []string) error {
		if all == (len(args) == 1) {
			return usagef("name a user, or give --all for every one")
		}
		id := ""
		if !all {
			a, err := d.find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			id = a.ID
		}
		n, err := d.Provision(cmd.Context(), id, auth.Actor{By: commandLine})
		if errors.Is(err, auth.ErrNoSubscriber) {
			return usagef("%w: list an upstream under provision in gateway.yaml", err)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sys.stdout, "%d events wait to be posted\n", n)
		return err
	})
	return cmd
}
