package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/auth"
)

// keyCommand holds the commands on the keys that sign and seal tokens.
func keyCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "The keys that make tokens: list, rotate"}
	cmd.AddCommand(keyListCommand(sys), keyRotateCommand(sys))
	return group(cmd)
}

// keyRow is a key as the commands print it; nothing of it is secret.
type keyRow struct {
	KID        string     `json:"kid"`
	Use        string     `json:"use"`
	Algorithm  string     `json:"algorithm"`
	Generation int64      `json:"generation"`
	Status     string     `json:"status"`
	Created    time.Time  `json:"created"`
	Until      *time.Time `json:"until"` // when the last token that it made is over; null: not known yet
}

// keyRowOf is what may be shown of a key: when and what for, never the key. Until
// is left out where there is no end yet.
func keyRowOf(k auth.KeyInfo) keyRow {
	row := keyRow{KID: k.ID, Use: k.Use, Algorithm: k.Algorithm, Generation: k.Generation, Status: k.Status, Created: k.Created}
	if !k.Until.IsZero() {
		row.Until = &k.Until
	}
	return row
}

// cells are a row of the table.
func (k keyRow) cells() []string {
	until := ""
	if k.Until != nil {
		until = k.Until.Format(time.RFC3339)
	}
	return []string{k.KID, k.Use, k.Algorithm, fmt.Sprint(k.Generation), k.Status, k.Created.Format(time.RFC3339), until}
}

// keyListCommand shows the keys of every use, those of no use now as well.
func keyListCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys",
		Long: `Lists the keys in the store, those that sign access tokens first. Nothing that
is printed is secret. What the status says:

  next      published, and used within a second
  current   makes what is new
  previous  what it made is good until the time under UNTIL
  retired   proves nothing any more; forgotten once no session can need it
  unused    of an algorithm that is not configured`,
		Args: noArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, _ []string) error {
		keys, err := d.Keys(cmd.Context())
		if err != nil {
			return err
		}
		return printKeys(sys, *output, keys)
	})
	return cmd
}

// printKeys prints a list of keys; list and rotate print them alike.
func printKeys(sys *system, form outputForm, keys []auth.KeyInfo) error {
	rows := make([]keyRow, len(keys))
	for i, k := range keys {
		rows[i] = keyRowOf(k)
	}
	return printList(sys.stdout, form, rows, []string{"KID", "USE", "ALGORITHM", "GENERATION", "STATUS", "CREATED", "UNTIL"}, keyRow.cells)
}

// keyRotateCommand writes to the store alone: gateways that serve from it follow
// its keys, so that none has to be told or stopped.
func keyRotateCommand(sys *system) *cobra.Command {
	var uses []string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make new keys; nobody is logged out",
		Long: `Makes the next key that signs access tokens and the next one that seals refresh
tokens (and, where identity.assertion is enabled, that signs assertions), also
while gateways serve from the store, and prints them. Nobody is
logged out: a new key is published first and used within a second, and what the
old one made stays good until it is over.`,
		Args: noArgs,
	}
	cmd.Flags().StringSliceVar(&uses, "use", nil, "only the key of this use: sign, refresh or assert (default all that there are)")
	output := outputFlag(cmd)
	cmd.RunE = withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, _ []string) error {
		keys, err := d.RotateKeys(cmd.Context(), auth.Actor{By: commandLine}, uses...)
		if err != nil {
			return err
		}
		return printKeys(sys, *output, keys)
	})
	return cmd
}
