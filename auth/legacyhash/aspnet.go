package legacyhash

import (
	"encoding/base64"
	"encoding/binary"
)

// What ASP.NET Identity 2 fixes: PBKDF2 with SHA-1.
const (
	aspnet2Rounds = 1000
	aspnet2Salt   = 16
	aspnet2Digest = 32
)

// readASPNET reads the base64 of ASP.NET Identity: a byte for the version, and
// then
//
//	0   salt of 16 bytes, digest of 32
//	1   number of the digest, rounds and length of the salt, four bytes each with
//	    the high one first; salt; digest
func readASPNET(text, _ string) (Hash, error) {
	data, err := decode(base64.StdEncoding, text, 13+minDigest, 13+maxSalt+maxDigest)
	if err != nil {
		return Hash{}, ErrUnknown // nothing but its shape says that it is one
	}
	switch data[0] {
	case 0:
		return readASPNET2(data[1:])
	case 1:
		return readASPNET3(data[1:])
	}
	return Hash{}, ErrUnknown
}

// readASPNET2 reads salt and digest.
func readASPNET2(data []byte) (Hash, error) {
	if len(data) != aspnet2Salt+aspnet2Digest {
		return Hash{}, ErrUnknown
	}
	p := pbkdf2Hash{prf: "sha1", rounds: aspnet2Rounds, salt: data[:aspnet2Salt], digest: data[aspnet2Salt:]}
	return p.hash("aspnet identity v2")
}

// readASPNET3 reads the digest's number, the rounds, the length of the salt, the
// salt and the digest.
func readASPNET3(data []byte) (Hash, error) {
	prf, rounds, size := binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
	data = data[12:]
	names := []string{"sha1", "sha256", "sha512"}
	if prf >= uint32(len(names)) || size < aspnet2Salt || size > maxSalt || int(size)+minDigest > len(data) || len(data)-int(size) > maxDigest {
		return Hash{}, ErrMalformed
	}
	switch {
	case rounds > maxPBKDF2Rounds:
		return Hash{}, ErrCostly
	case rounds < 1:
		return Hash{}, ErrMalformed
	}
	p := pbkdf2Hash{prf: names[prf], rounds: int(rounds), salt: data[:size], digest: data[size:]}
	return p.hash("aspnet identity v3")
}
