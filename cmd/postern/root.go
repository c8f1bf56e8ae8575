package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/gateway/config"
)

// Exit statuses, as interface.md section 1 gives them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or configuration
)

// usageError is a mistake in how Postern was called or configured.
type usageError struct{ error }

// Unwrap lets run see what is below: findings that are shown are not shown twice.
func (e usageError) Unwrap() error { return e.error }

// usagef is fmt.Errorf for a usageError.
func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// errShown ends a command that has said already what is wrong.
var errShown = errors.New("shown")

// shownError is errShown for a configuration, whose findings are on standard
// error already. The log of a refused reload still wants their words.
type shownError struct{ findings []config.Finding }

// Is makes it pass for errShown wherever a command's end is looked at.
func (e shownError) Is(target error) bool { return target == errShown }

// Error is the errors among the findings on one line; warnings refuse no reload.
func (e shownError) Error() string {
	var lines []string
	for _, f := range e.findings {
		if !f.Warning {
			lines = append(lines, f.String())
		}
	}
	return strings.Join(lines, "; ")
}

// run carries out one command line and returns the exit status.
func run(sys *system, args []string) int {
	root := newRoot(sys)
	root.SetArgs(args)
	root.SetIn(sys.stdin)
	root.SetOut(sys.stdout)
	root.SetErr(sys.stderr)
	cmd, err := root.ExecuteContextC(sys.ctx)
	if err == nil {
		return exitDone
	}
	if !errors.Is(err, errShown) {
		fmt.Fprintf(sys.stderr, "postern: %v\n", err)
	}
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	if isCobraUsage(err) {
		fmt.Fprintf(sys.stderr, "See '%s --help'.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// isCobraUsage recognises the errors that cobra and pflag make before a
// command runs; they have no type of their own.
func isCobraUsage(err error) bool {
	for _, start := range []string{"unknown command", "unknown flag", "unknown shorthand", "flag needs an argument", "invalid argument", "required flag", "if any flags in the group"} {
		if strings.HasPrefix(err.Error(), start) {
			return true
		}
	}
	return false
}

// helpCommand is cobra's, but that a word it does not know is wrong usage.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("unknown command %q; 'postern --help' lists the commands", strings.Join(args, " "))
			}
			return found.Help()
		},
	}
}

// group makes a command that only holds others fail on a word it does not know.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("unknown command %q; '%s --help' lists the commands", args[0], cmd.CommandPath())
		}
		return cmd.Help()
	}
	return cmd
}

// noArgs says in words what is too many.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%q: '%s' takes no arguments; see '%[2]s --help'", args[0], cmd.CommandPath())
	}
	return nil
}

// oneArg is for commands on one thing.
func oneArg(cmd *cobra.Command, args []string) error { return argCount(1, 1)(cmd, args) }

// atMostOneArg is for commands that know what is meant when nothing is named.
func atMostOneArg(cmd *cobra.Command, args []string) error { return argCount(0, 1)(cmd, args) }

// argCount answers too few and too many alike: with how the command is written.
func argCount(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usagef("write '%s'", cmd.UseLine())
		}
		return nil
	}
}

// newRoot is the whole tree of commands. Cobra prints nothing by itself: run
// decides what is said, once, and with which status.
func newRoot(sys *system) *cobra.Command {
	root := &cobra.Command{
		Use:   "postern",
		Short: "A reverse-proxy auth gateway: login, roles per path and identity headers in front of any application",
		Long: `Postern stands in front of an application that has no login worth the name.
It logs users in, decides every request by the roles in gateway.yaml, and
forwards what it allows with headers that say who is asking.

  postern demo                                    try it, with a sample application and users
  postern serve --upstream http://127.0.0.1:3000  protect one application, now
  postern init && postern serve                   write gateway.yaml, then run it`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().StringP("config", "c", "", "the configuration file (default gateway.yaml, or POSTERN_CONFIG)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see '%s --help'", err, cmd.CommandPath())
	})
	root.SetHelpCommand(helpCommand())
	root.Version = thisBuild().String() // makes --version, which everyone tries
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(
		serveCommand(sys), demoCommand(sys), initCommand(sys), configCommand(sys),
		policyCommand(sys), userCommand(sys), sessionCommand(sys), keyCommand(sys), tokenCommand(sys),
		backupCommand(sys), restoreCommand(sys), doctorCommand(sys), healthcheckCommand(sys), versionCommand(sys),
	)
	return group(root)
}
