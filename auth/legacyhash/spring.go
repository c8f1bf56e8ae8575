package legacyhash

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
)

// The encoders of Spring Security fix what their text does not say.
const (
	springSHA256Rounds = 1024
	springSHA256Salt   = 8
	springDigest       = 32
)

// springFamilies are the encoders of Spring Security's DelegatingPasswordEncoder,
// each marked by its id. {noop} is the password itself and refused, and so are
// the unsalted digests of long ago.
func springFamilies() []family {
	argon2 := within([]family{{"$argon2id$", readArgon2}, {"$argon2i$", readArgon2}})
	old := pbkdf2Hash{prf: "sha1", rounds: 185_000, salt: make([]byte, 8)}
	new58 := pbkdf2Hash{prf: "sha256", rounds: 310_000, salt: make([]byte, 16)}
	return []family{
		{"{bcrypt}", within([]family{{"$2a$", readBcrypt}, {"$2b$", readBcrypt}, {"$2y$", readBcrypt}, {"$2x$", refuse}, {"$2$", refuse}})},
		{"{argon2}", argon2}, {"{argon2@SpringSecurity_v5_8}", argon2},
		{"{scrypt}", readSpringScrypt}, {"{scrypt@SpringSecurity_v5_8}", readSpringScrypt},
		{"{pbkdf2}", func(_, rest string) (Hash, error) { return readSpringPBKDF2(old, rest) }},
		{"{pbkdf2@SpringSecurity_v5_8}", func(_, rest string) (Hash, error) { return readSpringPBKDF2(new58, rest) }},
		{"{sha256}", readSpringSHA256},
		{"{ldap}", within(ldapFamilies())},
		{"{noop}", refuse}, {"{MD4}", refuse}, {"{SHA-1}", refuse}, {"{SHA-256}", refuse},
	}
}

// readSpringPBKDF2 reads the hex of salt and digest. Which digest and how many
// rounds is said by the id alone, through the form that is given. An encoder
// that an application made with a secret or rounds of its own cannot be read:
// its hashes have the same look.
func readSpringPBKDF2(form pbkdf2Hash, rest string) (Hash, error) {
	salt := len(form.salt)
	data, err := decodeHex(rest, salt+springDigest, salt+springDigest)
	if err != nil {
		return Hash{}, err
	}
	form.salt, form.digest = data[:salt], data[salt:]
	return form.hash("spring pbkdf2")
}

// readSpringScrypt reads $PARAMS$SALT$DIGEST: the parameters are one number in
// hex, with the logarithm of N above two bytes of r and p.
func readSpringScrypt(_, rest string) (Hash, error) {
	parts, err := fields(rest, "$", 4)
	if err != nil || parts[0] != "" {
		return Hash{}, ErrMalformed
	}
	params, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil || strconv.FormatUint(params, 16) != parts[1] {
		return Hash{}, ErrMalformed
	}
	log := int(params >> 16)
	if log > maxScryptLog {
		return Hash{}, ErrCostly
	}
	c := scryptCost{n: 1 << log, r: int(params >> 8 & 0xff), p: int(params & 0xff)}
	salt, err1 := decode(base64.StdEncoding, parts[2], 1, maxSalt)
	digest, err2 := decode(base64.StdEncoding, parts[3], minDigest, maxDigest)
	if err := firstError(err1, err2); err != nil {
		return Hash{}, err
	}
	return c.hash("spring scrypt", salt, digest)
}

// readSpringSHA256 reads the hex of a salt of 8 bytes and a SHA-256 that was
// taken of itself 1023 times.
func readSpringSHA256(_, rest string) (Hash, error) {
	data, err := decodeHex(rest, springSHA256Salt+springDigest, springSHA256Salt+springDigest)
	if err != nil {
		return Hash{}, err
	}
	check := func(password string) bool {
		sum := sha256.Sum256(append(data[:springSHA256Salt:springSHA256Salt], password...))
		for range springSHA256Rounds - 1 {
			sum = sha256.Sum256(sum[:])
		}
		return equal(data[springSHA256Salt:], sum[:])
	}
	return Hash{scheme: "spring sha256", cost: "rounds=1024", work: springSHA256Rounds, check: check}, nil
}
