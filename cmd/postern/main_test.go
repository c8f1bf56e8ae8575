package main

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be the postern command for the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"postern": func() {
		os.Exit(run(&system{
			ctx: context.Background(), env: os.Environ(),
			stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		}, os.Args[1:]))
	}})
}

// TestCommands runs the stories in testdata/script, as users type them.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", UpdateScripts: os.Getenv("POSTERN_UPDATE") != ""})
}
