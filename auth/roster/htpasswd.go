package roster

import (
	"bufio"
	"strings"
	"unicode/utf8"
)

// readHTPasswd reads lines of name:hash. The name ends at the first colon: some
// hashes have more of them.
func (l *List) readHTPasswd(in *bufio.Reader) error {
	return lines(in, func(number int, line string) error {
		if text := strings.TrimSpace(line); text == "" || text[0] == '#' {
			return nil
		}
		e := Entry{Line: number}
		name, hash, found := strings.Cut(line, ":")
		switch {
		case !utf8.ValidString(line):
			e.fault("line", "is not UTF-8")
		case !found:
			e.fault("line", "must be a name, a colon and a password hash")
		default:
			e.Account.Username, e.Account.PasswordHash = name, hash
		}
		return l.add(e)
	})
}
