package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/auth"
)

// userCommand holds the commands on accounts. Each opens the store, changes it
// in one transaction, writes its audit line to standard error, and closes it; a
// serving gateway reads the change from the feed of revocations.
func userCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "The accounts: add, list, show, set, passwd, disable, enable, unlock, delete, import, export, provision",
		Long: `The accounts of the store. These commands work on the store directly, also
while a gateway serves from it, and take effect there within a second.`,
	}
	cmd.AddCommand(
		userAddCommand(sys), userListCommand(sys), userShowCommand(sys), userSetCommand(sys), userPasswdCommand(sys),
		userDisableCommand(sys, "disable", "Refuse the user's logins and end their sessions", true),
		userDisableCommand(sys, "enable", "Let the user log in again", false),
		userUnlockCommand(sys), userDeleteCommand(sys), userImportCommand(sys), userExportCommand(sys), userProvisionCommand(sys),
	)
	return group(cmd)
}

// userRow is an account as the commands print it: never with the hash.
type userRow struct {
	ID       string              `json:"id"`
	Username string              `json:"username"`
	Email    string              `json:"email"`
	Name     string              `json:"name"`
	Roles    []string            `json:"roles"`
	Fields   map[string][]string `json:"fields,omitempty"`
	Disabled bool                `json:"disabled"`
	Created  time.Time           `json:"created"`
	Updated  time.Time           `json:"updated"`
	Locked   []lockRow           `json:"locked,omitempty"` // of one user alone: a list would ask for each
}

// rowOf leaves out what is nobody's to see.
func rowOf(a auth.Account) userRow {
	return userRow{a.ID, a.Username, a.Email, a.Name, nonNil(a.Roles), a.Fields, a.Disabled, a.Created, a.Updated, nil}
}

// state says in a word whether the user can log in.
func (u userRow) state() string {
	if u.Disabled {
		return "disabled"
	}
	return "active"
}

// printUsers prints accounts as a table or as JSON.
func printUsers(sys *system, form outputForm, rows []userRow) error {
	return printList(sys.stdout, form, rows, []string{"ID", "USERNAME", "EMAIL", "NAME", "ROLES", "STATE"}, func(u userRow) []string {
		return []string{u.ID, u.Username, u.Email, u.Name, strings.Join(u.Roles, ","), u.state()}
	})
}

// userAddCommand makes the store as well where there is none: accounts can be
// ready before the first start, which then makes no administrator.
func userAddCommand(sys *system) *cobra.Command {
	var input auth.NewAccount
	var fields []string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make an account; the password comes from the terminal or one line of standard input",
		Args:  oneArg,
	}
	cmd.Flags().StringVar(&input.Email, "email", "", "e-mail address")
	cmd.Flags().StringVar(&input.Name, "name", "", "name as a person writes it")
	cmd.Flags().Var((*roleList)(&input.Roles), "role", "role; may be given several times, or several with commas")
	cmd.Flags().StringArrayVar(&fields, "field", nil, "NAME=VALUE of a profile field; a name given several times makes a list")
	cmd.RunE = withDesk(sys, openStore, func(d *desk, cmd *cobra.Command, args []string) (err error) {
		if input.Fields, err = parseFields(fields); err != nil {
			return err
		}
		password, err := readPassword(sys)
		if err != nil {
			return err
		}
		input.Username, input.Password = args[0], password
		a, err := d.AddAccount(cmd.Context(), input, auth.Actor{By: commandLine})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sys.stdout, "added %s (%s)\n", a.Username, a.ID)
		return err
	})
	return cmd
}

// roleList collects the values of --role. pflag's own lists read CSV and drop
// without a word what follows a line end: half of a smuggled role would pass.
type roleList []string

func (l *roleList) String() string { return strings.Join(*l, ",") }

// Type names the value in the help text.
func (l *roleList) Type() string { return "role" }

// Set adds the roles of one flag; whether they exist is for package auth.
func (l *roleList) Set(value string) error {
	if value == "" {
		return nil
	}
	for role := range strings.SplitSeq(value, ",") {
		*l = append(*l, strings.Trim(role, " "))
	}
	return nil
}

// userListCommand lists all accounts, the disabled ones among them.
func userListCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the accounts", Args: noArgs}
	output := outputFlag(cmd)
	cmd.RunE = withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, _ []string) error {
		accounts, err := d.Accounts(cmd.Context())
		if err != nil {
			return err
		}
		rows := make([]userRow, len(accounts))
		for i, a := range accounts {
			rows[i] = rowOf(a)
		}
		return printUsers(sys, *output, rows)
	})
	return cmd
}

// userShowCommand shows one account, and from where its logins are refused: the
// first thing that is asked when somebody cannot get in.
func userShowCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{Use: "show NAME", Short: "Show one account, by username, e-mail or id", Args: oneArg}
	output := outputFlag(cmd)
	cmd.RunE = withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, args []string) error {
		a, err := d.find(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		row := rowOf(a)
		if row.Locked, err = lockRows(d, cmd, a.ID); err != nil {
			return err
		}
		if *output == "json" {
			return writeJSON(sys.stdout, row)
		}
		return errors.Join(printUsers(sys, *output, []userRow{row}), printLocks(sys.stdout, row.Locked))
	})
	return cmd
}

// userSetCommand changes what its flags name and nothing else. Roles replace: a
// list that could only grow would leave nobody sure of what it holds.
func userSetCommand(sys *system) *cobra.Command {
	var email, name string
	var roles, fields []string
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Change an account: --email, --name, --role (they replace), --field NAME=VALUE",
		Args:  oneArg,
	}
	cmd.Flags().StringVar(&email, "email", "", "e-mail address")
	cmd.Flags().StringVar(&name, "name", "", "name as a person writes it")
	cmd.Flags().Var((*roleList)(&roles), "role", "the roles from now on; --role= takes all away")
	cmd.Flags().StringArrayVar(&fields, "field", nil, "NAME=VALUE of a profile field; an empty value removes it")
	cmd.RunE = withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, args []string) error {
		change := auth.AccountChange{}
		changed := cmd.Flags().Changed
		if changed("email") {
			change.Email = &email
		}
		if changed("name") {
			change.Name = &name
		}
		if changed("role") {
			change.Roles = &roles
		}
		var err error
		if change.Fields, err = parseFields(fields); err != nil {
			return err
		}
		if !changed("email") && !changed("name") && !changed("role") && !changed("field") {
			return usagef("nothing to set: give --email, --name, --role or --field")
		}
		return apply(sys, d, cmd, args[0], change)
	})
	return cmd
}

// parseFields reads NAME=VALUE; a name given several times makes a list.
func parseFields(texts []string) (map[string][]string, error) {
	fields := map[string][]string{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("--field %q: write NAME=VALUE", text)
		}
		list := fields[name]
		if value != "" {
			list = append(list, value)
		}
		fields[name] = list
	}
	return fields, nil
}

// apply changes the account called name.
func apply(sys *system, d *desk, cmd *cobra.Command, name string, change auth.AccountChange) error {
	a, err := d.find(cmd.Context(), name)
	if err != nil {
		return err
	}
	if _, err = d.SetAccount(cmd.Context(), a.ID, change, auth.Actor{By: commandLine}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(sys.stdout, "changed %s\n", a.Username)
	return err
}

// userPasswdCommand never takes the password as an argument, where every other
// user of the machine could read it.
func userPasswdCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "passwd NAME",
		Short: "Set a new password; every session of the user ends",
		Args:  oneArg,
		RunE: withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, args []string) error {
			password, err := readPassword(sys)
			if err != nil {
				return err
			}
			return apply(sys, d, cmd, args[0], auth.AccountChange{Password: &password})
		}),
	}
}

// userDisableCommand is disable and, the other way round, enable.
func userDisableCommand(sys *system, verb, short string, disabled bool) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args:  oneArg,
		RunE: withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, args []string) error {
			return apply(sys, d, cmd, args[0], auth.AccountChange{Disabled: &disabled})
		}),
	}
}

// userDeleteCommand does not ask back: scripts call it, and disable is there for
// whoever is not sure.
func userDeleteCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete the account and end its sessions",
		Args:  oneArg,
		RunE: withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, args []string) error {
			a, err := d.find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := d.DeleteAccount(cmd.Context(), a.ID, auth.Actor{By: commandLine}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(sys.stdout, "deleted %s\n", a.Username)
			return err
		}),
	}
}
