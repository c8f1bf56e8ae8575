package auth

import (
	"fmt"
	"strings"
)

// weakness says what is wrong with a password that is to be set for an account,
// by whatever way; "" when nothing is. It is the one place that every new
// password goes through: its length, the account's own names, and the list of
// breached ones where there is one. Passwords that are proven at a login do not:
// who has a weak one must get in to change it.
//
// An error is ErrUnavailable: a list that cannot be read lets nothing pass.
func (st *state) weakness(password string, a Account) (string, error) {
	conf := st.config.Password
	if msg := st.hasher.fault(password, conf.MinLength); msg != "" {
		return msg, nil
	}
	if isOwnName(password, a) {
		return "must not be the account's own name or e-mail address", nil
	}
	if conf.BreachedFile == "" {
		return "", nil
	}
	found, err := isBreached(conf.BreachedFile, password)
	if err != nil {
		return "", fmt.Errorf("search auth.password.breached_file: %w: %w", ErrUnavailable, err)
	}
	if found {
		return "is on a list of passwords that have become known; choose one that is used nowhere else", nil
	}
	return "", nil
}

// isOwnName reports whether a password is what anybody knows of its account: a
// name under which it is found, the person's name, or either side of the e-mail
// address. A text that merely holds a name is fine: length makes a password
// good, and people build theirs around words.
func isOwnName(password string, a Account) bool {
	folded := strings.TrimSpace(Fold(password))
	local, domain, _ := strings.Cut(foldShort(a.Email), "@")
	// What is too long for a name is refused for that.
	for _, name := range []string{foldShort(a.ID), foldShort(a.Username), foldShort(a.Name), foldShort(a.Email), local, domain} {
		if name != "" && folded == strings.TrimSpace(name) {
			return true
		}
	}
	return false
}
