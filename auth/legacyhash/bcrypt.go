package legacyhash

import (
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// maxBcryptCost takes about two and a half seconds.
const maxBcryptCost = 15

// maxBcryptBytes is what bcrypt takes of a password. It ignores what follows.
const maxBcryptBytes = 72

var bcryptForm = regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)

// readBcrypt reads a hash of OpenBSD's bcrypt, as Devise, PHP, Express and
// htpasswd -B write it. The letters a, b and y mean the same today.
func readBcrypt(text, _ string) (Hash, error) {
	return bcryptOf("bcrypt", text, func(password string) string { return password })
}

// bcryptOf reads a bcrypt string whose system hashes something that it first
// makes of the password.
func bcryptOf(scheme, text string, made func(password string) string) (Hash, error) {
	if !bcryptForm.MatchString(text) {
		return Hash{}, ErrMalformed
	}
	cost, err := number(strings.TrimPrefix(text[4:6], "0"), bcrypt.MinCost, maxBcryptCost)
	if err != nil {
		return Hash{}, err
	}
	check := func(password string) bool {
		password = made(password)
		same := bcrypt.CompareHashAndPassword([]byte(text), []byte(password)) == nil
		return same && bcryptTellsApart(password)
	}
	return Hash{scheme: scheme, cost: fmt.Sprintf("cost=%d", cost), work: 1 << cost, check: check}, nil
}

// bcryptTellsApart reports whether bcrypt can tell a password from all others:
// it ignores what follows 72 bytes, and reads the text as an endless repetition
// of itself and a NUL, so that "a" and "a\x00a" are one.
func bcryptTellsApart(password string) bool {
	return len(password) <= maxBcryptBytes && !strings.ContainsRune(password, 0)
}
