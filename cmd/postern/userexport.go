package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/auth/roster"
)

// userExportCommand writes all accounts in a form that import reads.
func userExportCommand(sys *system) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write all accounts, with their password hashes, as CSV or JSON lines",
		Long: `Writes all accounts in a form that 'postern user import' reads back without loss:
to FILE, which must not exist yet and is made with mode 0600, or to standard output.

The file holds the password hashes. Whoever has it can try passwords against
them at leisure: keep it as you would keep the store itself. Cells that a
spreadsheet takes for formulas are not altered, so do not open it in one.`,
		Args: atMostOneArg,
	}
	cmd.Flags().StringVar(&format, "format", "", "csv or jsonl; default: jsonl for a FILE that ends so, else csv")
	cmd.RunE = withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, args []string) error {
		form := roster.Format(format)
		switch {
		case form == "" && len(args) > 0 && strings.HasSuffix(args[0], ".jsonl"):
			form = roster.JSONLines
		case form == "":
			form = roster.CSV
		case form != roster.CSV && form != roster.JSONLines:
			return usagef("--format %s: the formats are csv and jsonl", format)
		}
		// All at once and not row by row: one reading of the store is one moment.
		accounts, err := d.Accounts(cmd.Context())
		if err != nil {
			return err
		}
		write := func(w io.Writer) error {
			buffered := bufio.NewWriter(w)
			return errors.Join(roster.Write(buffered, form, accounts), buffered.Flush())
		}
		if len(args) == 0 || args[0] == "-" {
			return write(sys.stdout)
		}
		err = writeExport(args[0], write)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already, and is not overwritten", args[0])
		}
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		_, err = fmt.Fprintf(sys.stdout, "exported %s\n", count(len(accounts), "account"))
		return err
	})
	return cmd
}

// writeExport makes a file for its owner alone. It overwrites nothing, and what
// could not be written whole is taken away again.
func writeExport(name string, write func(io.Writer) error) error {
	// O_EXCL follows no link, either: the name cannot lead somewhere else.
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(write(file), file.Sync(), file.Close())
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}
