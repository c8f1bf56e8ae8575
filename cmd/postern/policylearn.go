package main

import (
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/gateway/config"
	"github.com/posternhq/postern/policy"
)

// policyLearnCommand prints a proposal and never writes it into the file: what
// people did is not what they may do.
func policyLearnCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "learn [LOGFILE]",
		Short: "Propose routes from an access log: what was asked for, and by whom",
		Long: `Reads an access log from LOGFILE or standard input and prints a routes: section
that would cover what it saw: paths with their ids folded into {id}, methods,
and who came. Where there is a gateway.yaml, only what no route of it covers yet
is proposed, and the roles of the users are looked up in its store.

The log is Postern's own (best of a time in which every route had mode: observe)
or one in the combined format of Apache, nginx and others.

It is a proposal: a log shows what people did, not what they may do. Read it,
make it stricter, and write tests for it before it goes live.`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			input := sys.stdin
			if len(args) == 1 {
				file, err := os.Open(args[0])
				if err != nil {
					return usagef("read the log: %w", err)
				}
				defer file.Close()
				input = file
			}
			return learn(sys, cmd, input)
		},
	}
}

// learn works without a gateway.yaml too, for who begins with another proxy's
// log; then every path is new, and nobody's roles are known.
func learn(sys *system, cmd *cobra.Command, input io.Reader) error {
	var file *config.File
	var table *policy.Table
	path, err := configPath(sys, cmd)
	if err != nil {
		return usageError{err}
	}
	if path != "" {
		if file, table, err = readPolicyFile(sys, path); err != nil {
			return err
		}
	}
	var log accessLog
	lesson := policy.Learn(withRoles(log.read(input), rolesOfUsers(cmd.Context(), file)), table)
	if log.err != nil {
		return usagef("read the log: %w", log.err)
	}
	if log.requests == 0 {
		return usagef("none of the %d lines is a request of an access log", log.lines)
	}
	if _, err := io.WriteString(sys.stdout, lesson.YAML()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(sys.stderr, "%d lines, %d of them requests for the application; %d routes proposed\n", log.lines, log.requests, len(lesson.Proposals))
	return err
}

// withRoles adds to each request the roles that its user has today.
func withRoles(requests iter.Seq[policy.Observed], roles map[string][]string) iter.Seq[policy.Observed] {
	return func(yield func(policy.Observed) bool) {
		for o := range requests {
			o.Roles = roles[o.User]
			if !yield(o) {
				return
			}
		}
	}
}
