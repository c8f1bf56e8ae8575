package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/gateway/config"
)

// defaultConfigFile is read when no other is named, and may be missing.
const defaultConfigFile = "gateway.yaml"

// ownVariables are the POSTERN_ names that are no keys of the file.
func ownVariables() []string { return []string{"POSTERN_CONFIG", "POSTERN_ADMIN_PASSWORD"} }

// getenv reads the environment that the process was given, and not os.Getenv: two
// programs run in one test process. The first entry of a name counts.
func (sys *system) getenv(name string) string {
	for _, entry := range sys.env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// configPath says which file counts: the flag, POSTERN_CONFIG, or gateway.yaml
// where it exists. Empty means that there is none.
func configPath(sys *system, cmd *cobra.Command) (string, error) {
	if path, _ := cmd.Flags().GetString("config"); path != "" {
		return path, nil
	}
	if path := sys.getenv("POSTERN_CONFIG"); path != "" {
		return path, nil
	}
	_, err := os.Stat(defaultConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return defaultConfigFile, err
}

// source reads the file, if any, and joins it with the environment and the
// flags (by key path).
func source(sys *system, path string, flags map[string]string) (config.Source, error) {
	src := config.Source{Path: path, Env: sys.env, Flags: flags, Known: ownVariables()}
	if path == "" {
		return src, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return src, usagef("there is no %s: name the configuration that you mean, or write one with 'postern init %[1]s'", path)
	}
	if info, stat := os.Stat(path); err != nil && stat == nil && info.IsDir() {
		return src, usagef("%s is a directory: name the file in it, as in %s", path, filepath.Join(path, defaultConfigFile))
	}
	if err != nil {
		return src, usagef("read the configuration: %w", err)
	}
	src.Data = data
	return src, nil
}

// loadConfig reads the configuration of a command that works on the store,
// and checks what it needs of it. Errors go to standard error, all of them;
// warnings are for serve and config check.
func loadConfig(sys *system, cmd *cobra.Command) (*config.File, error) {
	path, err := configPath(sys, cmd)
	if err != nil {
		return nil, usageError{err}
	}
	src, err := source(sys, path, nil)
	if err != nil {
		return nil, err
	}
	file, findings := config.CheckAccounts(src)
	return file, report(sys.stderr, findings, false)
}

// check loads src and prints its findings.
func check(w io.Writer, src config.Source) (*config.File, error) {
	file, findings := config.Check(src)
	return file, report(w, findings, true)
}

// report prints findings, and fails when one of them is an error.
func report(w io.Writer, findings []config.Finding, warnings bool) error {
	for _, f := range findings {
		if warnings || !f.Warning {
			fmt.Fprintln(w, f)
		}
	}
	if config.Failed(findings) {
		return usageError{shownError{findings}}
	}
	return nil
}
