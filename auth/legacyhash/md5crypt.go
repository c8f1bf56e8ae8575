package legacyhash

import (
	"crypto/md5"
	"regexp"
)

// md5CryptRounds is fixed by the format.
const md5CryptRounds = 1000

var md5CryptForm = regexp.MustCompile(`^(\$1\$|\$apr1\$)([./0-9A-Za-z]{1,8})\$([./0-9A-Za-z]{22})$`)

// readMD5Crypt reads the MD5 hash of FreeBSD's crypt(3) and Apache's variant of
// it, which differ by the mark that is hashed along:
//
//	$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/
//	$apr1$saltsalt$dWdGZb3dLvYYEH9OeUT/W1
func readMD5Crypt(text, _ string) (Hash, error) {
	m := md5CryptForm.FindStringSubmatch(text)
	if m == nil {
		return Hash{}, ErrMalformed
	}
	mark, salt, want := m[1], []byte(m[2]), []byte(m[3])
	scheme := "crypt md5"
	if mark == "$apr1$" {
		scheme = "apr1"
	}
	check := func(password string) bool {
		return len(password) <= maxCryptPassword && equal(want, md5Crypt(mark, salt, []byte(password)))
	}
	return Hash{scheme: scheme, cost: "rounds=1000", work: md5CryptRounds, check: check}, nil
}

// md5Crypt computes the letters after the salt.
func md5Crypt(mark string, salt, password []byte) []byte {
	sum := md5Join(password, salt, password)
	first := md5.New()
	first.Write(password)
	first.Write([]byte(mark))
	first.Write(salt)
	for left := len(password); left > 0; left -= md5.Size {
		first.Write(sum[:min(md5.Size, left)])
	}
	// A NUL or the first letter for each bit of the length, lowest first.
	for bits := len(password); bits > 0; bits >>= 1 {
		if bits&1 == 1 {
			first.Write([]byte{0})
		} else {
			first.Write(password[:1])
		}
	}
	sum = first.Sum(nil)
	for round := range md5CryptRounds {
		sum = cryptRound(md5Join, round, sum, password, salt)
	}
	order := [md5.Size]byte{12, 6, 0, 13, 7, 1, 14, 8, 2, 15, 9, 3, 5, 10, 4, 11}
	return crypt64(permute(sum, order[:]))
}

// cryptRound is one round of the MD5 and SHA hashes of crypt(3): what goes into
// it depends on its number, so that no round can be computed ahead.
func cryptRound(join func(parts ...[]byte) []byte, round int, sum, password, salt []byte) []byte {
	parts := make([][]byte, 0, 4)
	head, tail := sum, password
	if round%2 == 1 {
		head, tail = password, sum
	}
	parts = append(parts, head)
	if round%3 != 0 {
		parts = append(parts, salt)
	}
	if round%7 != 0 {
		parts = append(parts, password)
	}
	return join(append(parts, tail)...)
}

// md5Join is the MD5 of some texts one after the other.
func md5Join(parts ...[]byte) []byte {
	h := md5.New()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// permute puts bytes into the order in which crypt(3) writes them.
func permute(data, order []byte) []byte {
	out := make([]byte, len(order))
	for i, from := range order {
		out[i] = data[from]
	}
	return out
}
