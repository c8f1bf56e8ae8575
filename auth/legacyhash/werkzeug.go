package legacyhash

import (
	"encoding/hex"
	"strings"
)

// readWerkzeugPBKDF2 reads what Flask's applications keep: the digest's name and
// the rounds, the salt as text, the digest in hex:
//
//	pbkdf2:sha256:260000$sUhlBCBUbnMHPGlK$95ac...
func readWerkzeugPBKDF2(_, rest string) (Hash, error) {
	method, salt, digest, err := werkzeugParts(rest, 2)
	if err != nil {
		return Hash{}, err
	}
	rounds, err := number(method[1], 1, maxPBKDF2Rounds)
	if err != nil {
		return Hash{}, err
	}
	return pbkdf2Hash{prf: method[0], rounds: rounds, salt: salt, digest: digest}.hash("werkzeug pbkdf2")
}

// readWerkzeugScrypt reads the same with N, r and p, the default since 2.3:
//
//	scrypt:32768:8:1$nJ2k9RZpF3m0XVtQ$5c3d...
func readWerkzeugScrypt(_, rest string) (Hash, error) {
	method, salt, digest, err := werkzeugParts(rest, 3)
	if err != nil {
		return Hash{}, err
	}
	c, err := scryptNumbers(method[0], method[1], method[2])
	if err != nil {
		return Hash{}, err
	}
	return c.hash("werkzeug scrypt", salt, digest)
}

// werkzeugParts cuts such a hash into the n parameters of its method, salt and
// digest.
func werkzeugParts(rest string, n int) (method []string, salt, digest []byte, err error) {
	parts, err := fields(rest, "$", 3)
	if err != nil {
		return nil, nil, nil, err
	}
	method, err1 := fields(parts[0], ":", n)
	salt, err2 := textSalt(parts[1])
	digest, err3 := decodeHex(parts[2], minDigest, maxDigest)
	return method, salt, digest, firstError(err1, err2, err3)
}

// decodeHex reads low to high bytes in lower-case hex.
func decodeHex(text string, low, high int) ([]byte, error) {
	data, err := hex.DecodeString(text)
	if err != nil || len(data) < low || len(data) > high || text != strings.ToLower(text) {
		return nil, ErrMalformed
	}
	return data, nil
}
