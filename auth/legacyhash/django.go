package legacyhash

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// djangoFamilies are the hashers of Django, each marked by its name. The salt is
// the very text that stands there, the digest is base64 with padding.
func djangoFamilies() []family {
	return []family{
		{"pbkdf2_sha256$", func(_, rest string) (Hash, error) { return readDjangoPBKDF2("sha256", rest) }},
		{"pbkdf2_sha1$", func(_, rest string) (Hash, error) { return readDjangoPBKDF2("sha1", rest) }},
		{"scrypt$", readDjangoScrypt},
		{"argon2$", func(_, rest string) (Hash, error) { return readDjangoArgon2(rest) }},
		// bcrypt$$2b$12$...: the password itself, so that 72 bytes of it count.
		{"bcrypt$", func(_, rest string) (Hash, error) {
			return bcryptOf("django bcrypt", rest, func(password string) string { return password })
		}},
		// bcrypt_sha256$$2b$12$...: a digest of it, so that all of it counts.
		{"bcrypt_sha256$", func(_, rest string) (Hash, error) {
			return bcryptOf("django bcrypt_sha256", rest, hexSHA256)
		}},
	}
}

// hexSHA256 makes 64 letters of a password of any length, for bcrypt.
func hexSHA256(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

// readDjangoPBKDF2 reads rounds, salt and digest:
//
//	pbkdf2_sha256$260000$bm9ib2R5$pZk0Zc...=
func readDjangoPBKDF2(prf, rest string) (Hash, error) {
	parts, err := fields(rest, "$", 3)
	if err != nil {
		return Hash{}, err
	}
	rounds, err1 := number(parts[0], 1, maxPBKDF2Rounds)
	salt, err2 := textSalt(parts[1])
	digest, err3 := decode(base64.StdEncoding, parts[2], minDigest, maxDigest)
	if err := firstError(err1, err2, err3); err != nil {
		return Hash{}, err
	}
	return pbkdf2Hash{prf: prf, rounds: rounds, salt: salt, digest: digest}.hash("django pbkdf2_" + prf)
}

// readDjangoScrypt reads N, salt, r, p and digest:
//
//	scrypt$16384$seasalt$8$1$Qj3+9PPy...==
func readDjangoScrypt(_, rest string) (Hash, error) {
	parts, err := fields(rest, "$", 5)
	if err != nil {
		return Hash{}, err
	}
	c, err1 := scryptNumbers(parts[0], parts[2], parts[3])
	salt, err2 := textSalt(parts[1])
	digest, err3 := decode(base64.StdEncoding, parts[4], minDigest, maxDigest)
	if err := firstError(err1, err2, err3); err != nil {
		return Hash{}, err
	}
	return c.hash("django scrypt", salt, digest)
}

// readDjangoArgon2 reads a PHC string whose first $ became Django's own:
//
//	argon2$argon2id$v=19$m=102400,t=2,p=8$...
func readDjangoArgon2(rest string) (Hash, error) {
	h, err := read([]family{{"$argon2id$", readArgon2}, {"$argon2i$", readArgon2}}, "$"+rest)
	if err != nil {
		return Hash{}, err
	}
	h.scheme = "django " + h.scheme
	return h, nil
}

// textSalt reads a salt that is hashed as it is written: printable ASCII.
func textSalt(text string) ([]byte, error) {
	printable := !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
	if text == "" || len(text) > maxSalt || !printable {
		return nil, ErrMalformed
	}
	return []byte(text), nil
}
