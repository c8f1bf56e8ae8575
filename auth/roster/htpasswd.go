package roster

import (
	"bufio"
	"strings"
	"unicode/utf8"
)

// readHTPasswd reads lines of name:hash. The name ends at the first colon: some
// hashes have more of them. Comments and empty lines are skipped, as Apache and
// nginx do; nginx's third part, a comment too, is read as part of the hash and
// then told as a fault, not dropped: it might be the end of one.
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
