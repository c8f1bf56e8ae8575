package legacyhash

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// keycloakCredential is what Keycloak's export of a realm says of a password.
type keycloakCredential struct {
	Type           string          `json:"type"`
	CredentialData json.RawMessage `json:"credentialData"`
	SecretData     json.RawMessage `json:"secretData"`
}

// keycloakData is its credentialData.
type keycloakData struct {
	Algorithm  string              `json:"algorithm"`
	Iterations int                 `json:"hashIterations"`
	More       map[string][]string `json:"additionalParameters"`
}

// keycloakSecret is its secretData.
type keycloakSecret struct {
	Value string `json:"value"`
	Salt  string `json:"salt"`
}

// readKeycloak reads a credential of Keycloak: the very object that stands in
// the list "credentials" of a user, with both of its parts, each as an object
// or, as Keycloak writes them, as a text that holds one:
//
//	{"type":"password",
//	 "secretData":"{\"value\":\"MbKs...==\",\"salt\":\"fmpB...==\"}",
//	 "credentialData":"{\"hashIterations\":27500,\"algorithm\":\"pbkdf2-sha256\"}"}
//
// in one line and without blanks at its beginning. Names that are not asked for
// are passed over, since Keycloak has more of them with each release.
func readKeycloak(text, _ string) (Hash, error) {
	var c keycloakCredential
	var data keycloakData
	var secret keycloakSecret
	if json.Unmarshal([]byte(text), &c) != nil || (c.Type != "" && c.Type != "password") {
		return Hash{}, ErrMalformed
	}
	if !unwrap(c.CredentialData, &data) || !unwrap(c.SecretData, &secret) {
		return Hash{}, ErrMalformed
	}
	salt, err1 := decode(base64.StdEncoding, secret.Salt, 1, maxSalt)
	digest, err2 := decode(base64.StdEncoding, secret.Value, minDigest, maxDigest)
	if err := firstError(err1, err2); err != nil {
		return Hash{}, err
	}
	if data.Algorithm == "argon2" {
		return data.argon2(salt, digest)
	}
	return data.pbkdf2(salt, digest)
}

// unwrap reads an object, or the text of one.
func unwrap(raw json.RawMessage, into any) bool {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	return json.Unmarshal(raw, into) == nil
}

// pbkdf2 is Keycloak's default up to version 24.
func (d keycloakData) pbkdf2(salt, digest []byte) (Hash, error) {
	prf := "sha1"
	if d.Algorithm != "pbkdf2" {
		var ok bool
		if prf, ok = strings.CutPrefix(d.Algorithm, "pbkdf2-"); !ok {
			return Hash{}, ErrUnknown
		}
	}
	switch {
	case d.Iterations > maxPBKDF2Rounds:
		return Hash{}, ErrCostly
	case d.Iterations < 1:
		return Hash{}, ErrMalformed
	}
	return pbkdf2Hash{prf: prf, rounds: d.Iterations, salt: salt, digest: digest}.hash("keycloak pbkdf2")
}

// argon2 is the default since: its parameters are lists of one text each.
func (d keycloakData) argon2(salt, digest []byte) (Hash, error) {
	one := func(name string) string {
		if len(d.More[name]) != 1 {
			return ""
		}
		return d.More[name][0]
	}
	kind := "argon2" + one("type")
	if one("version") != "1.3" || (kind != "argon2id" && kind != "argon2i") || len(salt) < 8 {
		return Hash{}, ErrMalformed
	}
	memory, err1 := number(one("memory"), 8, maxMemory)
	threads, err2 := number(one("parallelism"), 1, maxArgon2Threads)
	if err := firstError(err1, err2); err != nil {
		return Hash{}, err
	}
	switch {
	case d.Iterations > maxArgon2Passes:
		return Hash{}, ErrCostly
	case d.Iterations < 1:
		return Hash{}, ErrMalformed
	}
	h, err := argon2Cost{kind: kind, memory: memory, passes: d.Iterations, threads: threads}.hash(salt, digest)
	if err != nil {
		return Hash{}, err
	}
	h.scheme = "keycloak " + h.scheme
	return h, nil
}
