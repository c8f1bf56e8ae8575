package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/gateway/config"
)

// configCommand gathers what can be asked of gateway.yaml without a store.
func configCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check gateway.yaml, or print its schema"}
	cmd.AddCommand(configCheckCommand(sys), configSchemaCommand(sys))
	return group(cmd)
}

// configCheckCommand finds all that serve would refuse the file for, and what
// it would warn of, without opening anything but files that are read. It may run
// where the gateway does not: certificates that are not there are a warning.
func configCheckCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Read, check, print errors and warnings",
		Args:  atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := configPath(sys, cmd)
			if len(args) == 1 {
				path, err = args[0], nil
			}
			if err != nil {
				return usageError{err}
			}
			if path == "" {
				return usagef("there is no %s here; name a file, or write one with 'postern init'", defaultConfigFile)
			}
			src, err := source(sys, path, nil)
			if err != nil {
				return err
			}
			file, err := check(sys.stderr, src)
			if err != nil {
				return err
			}
			if err := report(sys.stderr, config.CheckFiles(src, time.Now(), false), true); err != nil {
				return err
			}
			if store := peek(cmd.Context(), file); store != nil {
				defer store.Close()
				_ = report(sys.stderr, slices.Concat(unheldRoles(cmd.Context(), file, store), freeNames(cmd.Context(), file, store)), true) // warnings alone
			}
			_, err = fmt.Fprintf(sys.stdout, "%s: good, %s\n", path, count(len(file.Routes), "route"))
			return err
		},
	}
}

// configSchemaCommand prints the schema that this very binary decodes by, so that
// an editor and the gateway agree on what a key is.
func configSchemaCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of gateway.yaml, for editors",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := sys.stdout.Write(config.Schema())
			return err
		},
	}
}

// initCommand writes the reference configuration. O_EXCL and not a look before:
// what is there stays, whoever made it in between.
func initCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented gateway.yaml; overwrites nothing",
		Args:  atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := defaultConfigFile
			if flag, _ := cmd.Flags().GetString("config"); flag != "" {
				path = flag
			}
			if len(args) == 1 {
				path = args[0]
			}
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("init overwrites nothing: %w", err)
			}
			if err != nil {
				return fmt.Errorf("init: %w", err)
			}
			if _, err := file.Write(config.Reference()); err != nil {
				file.Close()
				return fmt.Errorf("init: %w", err)
			}
			if err := file.Close(); err != nil {
				return fmt.Errorf("init: %w", err)
			}
			_, err = fmt.Fprintf(sys.stdout, "wrote %s: name your application under upstreams, then run 'postern serve'\n", path)
			return err
		},
	}
}
