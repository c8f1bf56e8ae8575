package legacyhash

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// The bounds of the logarithm of PHPass's rounds, each of which takes the whole
// password.
const (
	minPHPassLog = 7
	maxPHPassLog = 20
)

var phpassForm = regexp.MustCompile(`^\$(?:[PH]\$([./0-9A-Za-z])([./0-9A-Za-z]{8})([./0-9A-Za-z]{22})|S\$([./0-9A-Za-z])([./0-9A-Za-z]{8})([./0-9A-Za-z]{43}))$`)

// readPHPass reads the portable hash of PHPass, with MD5 as WordPress before 6.8
// ($P$) and phpBB ($H$) write it, and with SHA-512 as Drupal 7 does ($S$):
//
//	$P$BnUCHlGwwr2ZHpyfWkXT15JnXEyLI3/
//
// One letter is the logarithm of the rounds, eight are the salt as it is hashed,
// the rest is the digest, of which Drupal keeps the first 43 letters.
func readPHPass(text, _ string) (Hash, error) {
	m := phpassForm.FindStringSubmatch(text)
	if m == nil {
		return Hash{}, ErrMalformed
	}
	scheme, join := "phpass", md5Join
	if text[1] == 'S' {
		scheme, join = "drupal", shaCrypt{new: sha512.New}.join
	}
	log, salt, want := crypt64Number(m[1]+m[4]), []byte(m[2]+m[5]), []byte(m[3]+m[6])
	switch {
	case log > maxPHPassLog:
		return Hash{}, ErrCostly
	case log < minPHPassLog:
		return Hash{}, ErrMalformed
	}
	check := func(password string) bool {
		sum := join(salt, []byte(password))
		for range 1 << log {
			sum = join(sum, []byte(password))
		}
		return equal(want, crypt64(sum)[:len(want)]) // Drupal keeps a part
	}
	if text[1] == 'P' {
		check = orTrimmed(check)
	}
	return Hash{scheme: scheme, cost: fmt.Sprintf("rounds=%d", 1<<log), work: 1 << log, check: check}, nil
}

// readWordPress reads the bcrypt hash of WordPress since 6.8: over a digest of
// the password, so that long ones count in full:
//
//	$wp$2y$10$dNoZn0mI...
//
// The key of that digest only keeps it apart from others, it is no secret.
func readWordPress(_, rest string) (Hash, error) {
	return bcryptOf("wordpress", "$"+rest, func(password string) string {
		mac := hmac.New(sha512.New384, []byte("wp-sha384"))
		mac.Write([]byte(trimPHP(password)))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	})
}

// orTrimmed lets a password pass without the blanks around it: WordPress cuts
// them off before it hashes and before it compares.
func orTrimmed(check func(string) bool) func(string) bool {
	return func(password string) bool {
		trimmed := trimPHP(password)
		return check(password) || (trimmed != password && check(trimmed))
	}
}

// trimPHP cuts off what PHP's trim does.
func trimPHP(text string) string { return strings.Trim(text, " \t\n\r\x00\v") }
