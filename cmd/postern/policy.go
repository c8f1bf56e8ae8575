package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/gateway/config"
	"github.com/posternhq/postern/policy"
)

// policyCommand gathers what is asked of the routes. None of it changes anything.
func policyCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "The routes and their rules: list, explain, test, diff, learn",
		Long: `What gateway.yaml says about who may do what. These commands read the file, not
the running gateway; 'explain --request' alone asks that one.`,
	}
	cmd.AddCommand(policyListCommand(sys), policyExplainCommand(sys), policyTestCommand(sys), policyDiffCommand(sys), policyLearnCommand(sys))
	return group(cmd)
}

// readPolicy reads the file of a command on the policy and compiles what it
// says. It is wrong usage when there is no file.
func readPolicy(sys *system, cmd *cobra.Command) (*config.File, *policy.Table, error) {
	path, err := configPath(sys, cmd)
	if err != nil {
		return nil, nil, usageError{err}
	}
	if path == "" {
		return nil, nil, usagef("there is no %s here; name a file with --config, or write one with 'postern init'", defaultConfigFile)
	}
	return readPolicyFile(sys, path)
}

// readPolicyFile is readPolicy for a file that is named. Warnings are for
// serve and config check.
func readPolicyFile(sys *system, path string) (*config.File, *policy.Table, error) {
	src, err := source(sys, path, nil)
	if err != nil {
		return nil, nil, err
	}
	file, findings := config.CheckPolicy(src)
	if err := report(sys.stderr, findings, false); err != nil {
		return nil, nil, err
	}
	table, faults := policy.Compile(file.Policy())
	if table == nil {
		return nil, nil, fmt.Errorf("policy: %v", faults) // CheckPolicy has refused such a file before
	}
	return file, table, nil
}
