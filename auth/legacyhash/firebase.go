package legacyhash

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"regexp"
	"strings"
)

// maxSignerKey is in bytes; Firebase's has 64.
const maxSignerKey = 128

var firebaseForm = regexp.MustCompile(`^\$fbscrypt\$v=1,n=([0-9]{1,10}),r=([0-9]{1,10}),p=([0-9]{1,10})(?:,ss=([A-Za-z0-9+/_-]*=*))?,sk=([A-Za-z0-9+/_-]+=*)\$([A-Za-z0-9+/_-]+=*)\$([A-Za-z0-9+/_-]+=*)$`)

// readFirebase reads a hash of Firebase's own scrypt. Firebase exports the hash
// and salt of each user, and apart from them the parameters of the project, of
// which one is a secret key. They are carried in one text, in the form that
// other servers read as well:
//
//	$fbscrypt$v=1,n=MEM_COST,r=ROUNDS,p=1,ss=SALT_SEPARATOR,sk=SIGNER_KEY$SALT$HASH
//
// with the values in base64 as Firebase shows them, with + and / or with - and _.
// What is kept is the signer key, encrypted with a key that scrypt makes of the
// password.
func readFirebase(text, _ string) (Hash, error) {
	m := firebaseForm.FindStringSubmatch(text)
	if m == nil {
		return Hash{}, ErrMalformed
	}
	c, err1 := scryptLog(m[1], m[2], m[3])
	plain := strings.NewReplacer("-", "+", "_", "/")
	separator, err2 := decode(base64.StdEncoding, plain.Replace(m[4]), 0, maxSalt)
	signer, err3 := decode(base64.StdEncoding, plain.Replace(m[5]), minDigest, maxSignerKey)
	salt, err4 := decode(base64.StdEncoding, plain.Replace(m[6]), 1, maxSalt)
	want, err5 := decode(base64.StdEncoding, plain.Replace(m[7]), minDigest, maxSignerKey)
	if err := firstError(err1, err2, err3, err4, err5, c.fault()); err != nil {
		return Hash{}, err
	}
	if len(want) != len(signer) {
		return Hash{}, ErrMalformed
	}
	salt = append(salt, separator...)
	check := func(password string) bool {
		block, err := aes.NewCipher(c.key(password, salt, 32))
		if err != nil {
			return false
		}
		got := make([]byte, len(signer))
		// The counter begins at zero: each key encrypts this one text alone.
		cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(got, signer)
		return equal(want, got)
	}
	return Hash{scheme: "firebase scrypt", cost: c.text(32), memory: uint32(c.memory()), work: c.n * c.r * c.p, check: check}, nil
}
