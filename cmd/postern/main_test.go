package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: os.Getenv("POSTERN_UPDATE") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status},
	})
}

// status is exec for a command that must end with a status of its own and say
// nothing on standard output: status 2 postern policy diff.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("write: status STATUS COMMAND ...")
	}
	var exit *exec.ExitError
	got := 0
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("the status is %d, not %s", got, args[0])
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("on standard output: %s", out)
	}
}
