// Package main is the postern command: it reads flags, environment and files,
// wires the packages together and owns the process.
//
// Each command stands in a file of its own; program.go is the wiring of the
// gateway from top to bottom, and logs.go says where its log lines go. No package
// that it wires reads the environment, opens a configuration or ends the process.
package main

import (
	"context"
	"io"
	"log"
	"os"
)

// system is what a command may touch of the world. Tests make their own.
type system struct {
	ctx    context.Context
	env    []string // os.Environ's form
	stdin  io.Reader
	stdout io.Writer // results and log lines
	stderr io.Writer // words for a person
}

// main is the only place that touches the process: what it gives to run is all
// that a command knows of the world, and tests give something else.
//
// What libraries print past every logger goes nowhere. net/http's client prints
// the beginning of an answer that nobody asked for, with whatever is in it.
func main() {
	log.SetOutput(io.Discard)
	os.Exit(run(&system{
		ctx:    context.Background(),
		env:    os.Environ(),
		stdin:  os.Stdin,
		stdout: os.Stdout,
		stderr: os.Stderr,
	}, os.Args[1:]))
}
