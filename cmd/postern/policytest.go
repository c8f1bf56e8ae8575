package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/gateway/config"
	"github.com/posternhq/postern/policy"
)

// testsFile is looked for beside the configuration.
const testsFile = "policy_test.yaml"

// policyTestCommand fails when a test does, and when there is none to run: a
// pipeline must not pass because a file was misnamed.
func policyTestCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "test [FILE ...]",
		Short: "Run the tests of the policy: a request, who asks, what must come of it",
		Long: `Runs the tests in each FILE against the policy of gateway.yaml. Without a FILE it
runs those under tests: in gateway.yaml itself (which also run before the start
and before every reload), and those in ` + testsFile + ` beside it, where there is
one. A FILE is gateway.yaml itself, or looks like this:

  tests:
    - { request: GET /admin/reports, as: { roles: [user] }, expect: forbidden }
    - { request: GET /api/users/42, as: { user: bob, id: "42" }, expect: allow }
    - { request: GET https://shop.example.com/cart, expect: unauthenticated }

expect is allow, unauthenticated, forbidden, no_route, method_not_allowed or
bad_path. The exit status is 1 when a test fails, 2 when a file cannot be read.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, table, err := readPolicy(sys, cmd)
			if err != nil {
				return err
			}
			tests, err := gatherTests(sys, file, args)
			if err != nil {
				return err
			}
			failed := config.RunTests(table, tests)
			for _, f := range failed {
				fmt.Fprintln(sys.stdout, f)
			}
			_, err = fmt.Fprintf(sys.stdout, "%d passed, %d failed\n", len(tests)-len(failed), len(failed))
			if len(failed) > 0 {
				err = errors.Join(err, errShown)
			}
			return err
		},
	}
}

// gatherTests reads the tests of all files, or without any the policy's own.
// None at all is wrong usage: "0 failed" would look like good news.
func gatherTests(sys *system, file *config.File, paths []string) ([]policy.Test, error) {
	var all []policy.Test
	if len(paths) == 0 {
		all = file.Tests
		beside := filepath.Join(filepath.Dir(file.Path), testsFile)
		if _, err := os.Stat(beside); !errors.Is(err, fs.ErrNotExist) {
			paths = []string{beside}
		}
	}
	var findings []config.Finding
	for _, path := range paths {
		if filepath.Clean(path) == filepath.Clean(file.Path) {
			all = append(all, file.Tests...)
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, usagef("read the tests: %w", err)
		}
		tests, found := config.LoadTests(path, data, file.Policy())
		all, findings = append(all, tests...), append(findings, found...)
	}
	if err := report(sys.stderr, findings, true); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, usagef("there is no test: %s has no `tests:`, and there is no %s beside it; see 'postern policy test --help'", file.Path, testsFile)
	}
	return all, nil
}
