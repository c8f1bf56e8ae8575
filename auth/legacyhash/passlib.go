package legacyhash

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
)

// passlibFamilies are the formats that are passlib's own.
func passlibFamilies() []family {
	pbkdf2 := func(prf string) func(_, rest string) (Hash, error) {
		return func(_, rest string) (Hash, error) { return readPasslibPBKDF2("passlib pbkdf2-"+prf, prf, rest) }
	}
	return []family{
		{"$pbkdf2$", pbkdf2("sha1")}, {"$pbkdf2-sha256$", pbkdf2("sha256")}, {"$pbkdf2-sha512$", pbkdf2("sha512")},
		{"$bcrypt-sha256$", readPasslibBcrypt},
	}
}

// adaptedBase64 is base64 with . for + and without padding.
func adaptedBase64() *base64.Encoding {
	return base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./").WithPadding(base64.NoPadding)
}

// readPasslibPBKDF2 reads rounds, salt and digest, the last two in base64 of
// passlib's own:
//
//	$pbkdf2-sha256$29000$1lrLmVMKwfgfY6w1...$lKGiWZRdQ...
//
// OpenLDAP's module for PBKDF2 took over the format behind a mark of its own.
func readPasslibPBKDF2(scheme, prf, rest string) (Hash, error) {
	parts, err := fields(rest, "$", 3)
	if err != nil {
		return Hash{}, err
	}
	rounds, err1 := number(parts[0], 1, maxPBKDF2Rounds)
	salt, err2 := decode(adaptedBase64(), parts[1], 1, maxSalt)
	digest, err3 := decode(adaptedBase64(), parts[2], minDigest, maxDigest)
	if err := firstError(err1, err2, err3); err != nil {
		return Hash{}, err
	}
	return pbkdf2Hash{prf: prf, rounds: rounds, salt: salt, digest: digest}.hash(scheme)
}

var passlibBcryptForm = regexp.MustCompile(`^\$bcrypt-sha256\$(?:(2[ab]),([0-9]{1,2})|v=2,t=(2b),r=([0-9]{1,2}))\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})$`)

// readPasslibBcrypt reads bcrypt over the base64 of a SHA-256, in its version 1
// or 2:
//
//	$bcrypt-sha256$2b,12$LrmaIX5x4TRtAwEfwJZa1.$2ehnw6LvuIUTM0iz4iz9hTxv21B6KFO
//	$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2
//
// Version 2 keys that digest with the salt: else whoever has a plain SHA-256 of
// the password from elsewhere could try it in its place.
func readPasslibBcrypt(text, _ string) (Hash, error) {
	m := passlibBcryptForm.FindStringSubmatch(text)
	if m == nil {
		return Hash{}, ErrMalformed
	}
	kind, cost, salt := m[1]+m[3], m[2]+m[4], m[5]
	if len(cost) == 1 {
		cost = "0" + cost
	}
	made := func(password string) string {
		sum := sha256.Sum256([]byte(password))
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	if m[3] != "" {
		made = func(password string) string {
			mac := hmac.New(sha256.New, []byte(salt))
			mac.Write([]byte(password))
			return base64.StdEncoding.EncodeToString(mac.Sum(nil))
		}
	}
	return bcryptOf("passlib bcrypt-sha256", "$"+kind+"$"+cost+"$"+salt+m[6], made)
}
