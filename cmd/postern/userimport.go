package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/roster"
	"github.com/posternhq/postern/auth/sqlstore"
	"github.com/posternhq/postern/gateway/config"
)

const importHelp = `Makes all accounts of a file, or none: every line that is wrong is reported, and
then nothing is changed. "-" reads standard input. The format is recognised:

  csv        a header and the columns id, username, email, email_verified, name,
             first_name, last_name, roles (joined with |), password_hash, disabled,
             active, created, fields (a JSON object) and field:NAME. All but
             username or email may be missing. Without a username the e-mail is it.
  jsonl      one object on each line, with these names; roles may be a list
  htpasswd   lines of name:hash
  django     the table auth_user as CSV with a header; users that are not
             is_active are disabled
  devise     a Rails application's table users; those with deleted_at or
             discarded_at are disabled, an empty confirmed_at is an unverified e-mail
  wordpress  the table wp_users

Ids are kept, e-mail addresses count as verified unless the file says otherwise.
A hash may be bcrypt, argon2, scrypt, Django's, PHPass, LDAP's, Werkzeug's,
Spring's, ASP.NET Identity's and more; the next login with the old password is
held against it once. An account without one has no login by password. Passwords
in clear are not taken.

In csv and jsonl a column that means nothing is an error. In the tables of other
systems such columns are left out, and named. --column gives any column a
meaning: --column phone=field:phone, --column mail=email; --column age= leaves it
out. Exit status 1: lines are wrong. 2: the file cannot be read as a list at all.

The store is written once, at the end; a gateway that serves from it waits with
logins and refreshes meanwhile, some seconds for 50,000 accounts.`

// importing is what the flags of an import say.
type importing struct {
	format  string
	roles   roleList
	columns []string
	dryRun  bool
}

// userImportCommand reads the file before it opens the store: a file that is no
// list makes none.
func userImportCommand(sys *system) *cobra.Command {
	var o importing
	cmd := &cobra.Command{Use: "import FILE", Short: "Make the accounts of a CSV, JSON lines or htpasswd file, or of another system's table", Long: importHelp, Args: oneArg}
	cmd.Flags().StringVar(&o.format, "format", "", "csv, jsonl, htpasswd, django, devise or wordpress; default: as recognised")
	cmd.Flags().Var(&o.roles, "role", "role of the accounts for which the file names none")
	cmd.Flags().StringArrayVar(&o.columns, "column", nil, "NAME=MEANING: what a column of the file is; NAME= leaves it out")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "report what is wrong, and change nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		list, err := o.read(sys, args[0])
		if err != nil {
			return err
		}
		// As with user add, accounts can be there before the first start.
		open := storeOpener(openStore)
		if o.dryRun {
			scratch, err := os.MkdirTemp("", "postern-import-")
			if err != nil {
				return fmt.Errorf("import: %w", err)
			}
			defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
			open = openWithout(scratch)
		}
		return withDesk(sys, open, func(d *desk, cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), sys, d, args[0], list)
		})(cmd, args)
	}
	return cmd
}

// openWithout is openStore for a command that must make none: where there is no
// store, it works on an empty one in the folder.
func openWithout(folder string) storeOpener {
	return func(ctx context.Context, conf config.StoreConfig) (*sqlstore.Store, auth.MasterKey, error) {
		if _, err := os.Stat(conf.Path); errors.Is(err, fs.ErrNotExist) {
			conf.Path, conf.KeyFile = filepath.Join(folder, "postern.db"), filepath.Join(folder, "postern.key")
		}
		return openStore(ctx, conf)
	}
}

// read reads the file. What is wrong with it as a whole is wrong usage.
func (o *importing) read(sys *system, name string) (*roster.List, error) {
	options := roster.Options{Format: roster.Format(o.format), Columns: map[string]string{}}
	if o.format != "" && !slices.Contains(roster.Formats(), options.Format) {
		return nil, usagef("--format %s: the formats are csv, jsonl, htpasswd, django, devise and wordpress", o.format)
	}
	for _, c := range o.columns {
		column, meaning, ok := strings.Cut(c, "=")
		if !ok || column == "" {
			return nil, usagef("--column %q: write NAME=MEANING", c)
		}
		options.Columns[column] = meaning
	}
	// No size is asked of the file first: it may be a pipe. The reader has bounds.
	in := io.Reader(sys.stdin)
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usageError{err}
		}
		defer file.Close()
		in = file
	}
	list, err := roster.Read(in, options)
	if err != nil {
		return nil, usagef("%s: %w", shownName(name), err)
	}
	return list, nil
}

// shownName is what errors call the file.
func shownName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// run checks the list and makes its accounts.
func (o *importing) run(ctx context.Context, sys *system, d *desk, name string, list *roster.List) error {
	for _, role := range o.roles {
		if known := d.Roles(); !slices.Contains(known, role) {
			return usagef("--role %q: known are %s", role, strings.Join(known, ", "))
		}
	}
	// Said in any case, and before anything is made: it may be a reason to stop.
	if len(list.LeftOut) > 0 {
		fmt.Fprintf(sys.stderr, "%s: columns that mean nothing here are left out: %s\n", shownName(name), strings.Join(list.LeftOut, ", "))
	}
	accounts, whole := []auth.Imported{}, []int{}
	for i := range list.Entries {
		e := &list.Entries[i]
		if len(e.Account.Roles) == 0 {
			e.Account.Roles = o.roles
		}
		if !unreadable(e) { // else what it lacks is no news
			accounts, whole = append(accounts, e.Account), append(whole, i)
		}
	}
	// With a line that cannot be read nothing will be made; the others are looked
	// at all the same, so that one report tells of everything.
	faulty := slices.ContainsFunc(list.Entries, func(e roster.Entry) bool { return len(e.Faults) > 0 })
	var err error
	if o.dryRun || faulty {
		err = d.CheckImport(ctx, accounts)
	} else {
		_, err = d.ImportAccounts(ctx, accounts, auth.Actor{By: commandLine})
	}
	// Package auth counts accounts, people count lines.
	var wrong *auth.ImportError
	if errors.As(err, &wrong) {
		for _, f := range wrong.Faults {
			e := &list.Entries[whole[f.Index]]
			if f.Same >= 0 {
				f.Message = fmt.Sprintf("is taken by line %d", list.Entries[whole[f.Same]].Line)
			}
			e.Faults = append(e.Faults, f.FieldError)
		}
	} else if err != nil {
		return err
	}
	if faulty || wrong != nil {
		return reportFaults(sys, name, list)
	}
	return o.done(sys, accounts)
}

// unreadable tells whether a line could not be taken apart.
func unreadable(e *roster.Entry) bool {
	return slices.ContainsFunc(e.Faults, func(f auth.FieldError) bool { return f.Field == "line" })
}

// reportFaults tells of every line that is wrong: its number, the name if that
// is one, and what is wrong. No cell but the name is ever shown.
func reportFaults(sys *system, name string, list *roster.List) error {
	lines := 0
	for _, e := range list.Entries {
		who := e.Account.Username
		if who == "" {
			who = e.Account.Email
		}
		if who != "" && !auth.IsPresentable(who) {
			who = "(not shown)"
		}
		if len(e.Faults) > 0 {
			lines++
		}
		for _, f := range e.Faults {
			place := fmt.Sprintf("%s:%d: ", shownName(name), e.Line)
			if who != "" {
				place += who + ": "
			}
			if !auth.IsPresentable(f.Field) { // the name of a field is the file's own
				f.Field = "(not shown)"
			}
			fmt.Fprintf(sys.stderr, "%s%s: %s\n", place, f.Field, f.Message)
		}
	}
	are := "are"
	if len(list.Entries) == 1 {
		are = "is"
	}
	fmt.Fprintf(sys.stderr, "nothing was imported: %d of %s %s wrong\n", lines, count(len(list.Entries), "account"), are)
	return errShown
}

// done says what was made, or would be.
func (o *importing) done(sys *system, accounts []auth.Imported) error {
	// The two counts are what a slip in the columns shows in: everybody disabled,
	// or nobody with a password.
	disabled, headless := 0, 0
	for _, a := range accounts {
		if a.Disabled {
			disabled++
		}
		if a.PasswordHash == "" {
			headless++
		}
	}
	verb := "imported"
	if o.dryRun {
		verb = "nothing is wrong, nothing was changed: a run without --dry-run imports"
	}
	_, err := fmt.Fprintf(sys.stdout, "%s %s (%d disabled, %d without a password)\n", verb, count(len(accounts), "account"), disabled, headless)
	return err
}
