package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxPasswordLine bounds what is read from standard input as a password.
const maxPasswordLine = 4096

// readPassword asks on the terminal without echo, twice, or takes one line of
// standard input where that is no terminal.
func readPassword(sys *system) (string, error) {
	if file, ok := sys.stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return askPassword(sys, int(file.Fd()))
	}
	line, err := bufio.NewReader(io.LimitReader(sys.stdin, maxPasswordLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", usagef("no password: type it as one line on standard input")
	}
	return line, nil
}

// askPassword reads from the terminal without echo, twice: a typing error would
// lock the account's owner out.
func askPassword(sys *system, fd int) (string, error) {
	fmt.Fprint(sys.stderr, "Password: ")
	first, err := term.ReadPassword(fd)
	fmt.Fprintln(sys.stderr)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	fmt.Fprint(sys.stderr, "Again: ")
	second, err := term.ReadPassword(fd)
	fmt.Fprintln(sys.stderr)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if string(first) != string(second) {
		return "", usagef("the two passwords differ")
	}
	if len(first) == 0 {
		return "", usagef("no password")
	}
	return string(first), nil
}

// newPassword is a random password of 120 bits in letters that are easily
// told apart.
func newPassword() string { return rand.Text()[:24] }
