package legacyhash

import (
	"crypto/md5"
	"encoding/base64"
	"hash"
	"strings"
)

// maxLDAPSalt is in bytes; directories write 4 to 32.
const maxLDAPSalt = 64

// ldapFamilies are the schemes of userPassword (RFC 2307 and OpenLDAP's
// modules). htpasswd -s writes {SHA} too. To a directory the case of a scheme is
// all one; here {sha256} and {argon2} are Spring's, of which the latter says the
// same.
func ldapFamilies() []family {
	all := []family{
		{"{CRYPT}", within(cryptFamilies())}, {"{crypt}", within(cryptFamilies())},
		{"{ARGON2}", within([]family{{"$argon2id$", readArgon2}, {"$argon2i$", readArgon2}})},
		{"{CLEARTEXT}", refuse}, {"{cleartext}", refuse},
	}
	for _, d := range []struct {
		name string
		new  func() hash.Hash
	}{
		{"MD5", md5.New}, {"SHA", digestNamed("sha1")},
		{"SHA256", digestNamed("sha256")}, {"SHA384", digestNamed("sha384")}, {"SHA512", digestNamed("sha512")},
	} {
		plain := func(_, rest string) (Hash, error) { return readLDAP("ldap "+d.name, d.new, 0, rest) }
		salted := func(_, rest string) (Hash, error) { return readLDAP("ldap S"+d.name, d.new, maxLDAPSalt, rest) }
		lower := strings.ToLower(d.name)
		all = append(all, family{"{" + d.name + "}", plain}, family{"{S" + d.name + "}", salted}, family{"{s" + lower + "}", salted})
		if lower != "sha256" {
			all = append(all, family{"{" + lower + "}", plain})
		}
	}
	for _, p := range [][2]string{{"{PBKDF2}", "sha1"}, {"{PBKDF2-SHA1}", "sha1"}, {"{PBKDF2-SHA256}", "sha256"}, {"{PBKDF2-SHA512}", "sha512"}} {
		all = append(all, family{p[0], func(_, rest string) (Hash, error) { return readPasslibPBKDF2("ldap pbkdf2", p[1], rest) }})
	}
	return all
}

// readLDAP reads the base64 of a digest of password and salt and, behind it, the
// salt of at most so many bytes. Its length is what the digest leaves over: with
// 0 there must be none, else at least one byte.
func readLDAP(scheme string, algorithm func() hash.Hash, salt int, rest string) (Hash, error) {
	size, low := algorithm().Size(), 0
	if salt > 0 {
		low = 1
	}
	data, err := decode(base64.StdEncoding, rest, size+low, size+salt)
	if err != nil {
		return Hash{}, err
	}
	check := func(password string) bool {
		h := algorithm()
		h.Write([]byte(password))
		h.Write(data[size:])
		return equal(data[:size], h.Sum(nil))
	}
	return Hash{scheme: scheme, cost: "rounds=1", work: 1, check: check}, nil
}
