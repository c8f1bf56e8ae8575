package web

import (
	"time"

	"github.com/posternhq/postern/auth"
)

// The presets are the backends of tutorials that a family of applications was
// written after. Each is what its clients send and look for: paths, names of
// fields, statuses, texts, lives of tokens. Where an original is unsafe it is not
// followed: an unknown user is answered as a wrong password, no password is in an
// answer, and nobody takes a role at registration that the configuration does
// not hand out.

// presetNames lists the presets.
func presetNames() []string {
	return []string{"bezkoder", "drf-simplejwt", "express-x-access-token", "express-x-auth-token", "fastapi-oauth2", "flask-jwt-extended", "nestjs", "spring"}
}

// presetNamed is a preset written out, nil for a word that is none.
func presetNamed(name string) []Alias {
	switch name {
	case "bezkoder":
		return presetBezkoder()
	case "drf-simplejwt":
		return presetSimpleJWT()
	case "express-x-access-token":
		return presetXAccessToken()
	case "express-x-auth-token":
		return presetXAuthToken()
	case "fastapi-oauth2":
		return presetFastAPI()
	case "flask-jwt-extended":
		return presetFlask()
	case "nestjs":
		return presetNest()
	case "spring":
		return presetSpring()
	}
	return nil
}

const day = 24 * time.Hour

// common is what all aliases of a preset share.
type common struct {
	header                string // the token's
	accessTTL, sessionTTL time.Duration
	claims                []auth.Claim
	problems              []AliasProblem
}

// apply gives it to each of them. The original never rotated a refresh token.
func (c common) apply(list []Alias) []Alias {
	stays := false
	for i := range list {
		a := &list[i]
		a.TokenHeader = c.header
		a.Problems = append(a.Problems, c.problems...)
		if begins(a.Endpoint) {
			a.Rotate, a.AccessTTL, a.SessionTTL, a.Claims = &stays, c.accessTTL, c.sessionTTL, c.claims
		}
	}
	return list
}

// to is a field of an answer under another name.
func to(field, as string) AliasField { return AliasField{Field: field, As: as} }

// constant is a field of an answer that is always the same.
func constant(as, value string) AliasField { return AliasField{As: as, Value: Constant(value)} }

// formatted is a field of an answer in another format.
func formatted(field, as, format string) AliasField {
	return AliasField{Field: field, As: as, Format: format}
}

// says is a refusal with a status, a message and the fields around it.
func says(code string, status int, message string, fields ...AliasField) AliasProblem {
	return AliasProblem{Code: code, Status: status, Message: message, Response: fields}
}

// badTokens is a refusal for every way in which a token is no good but being
// expired, and for that too unless it was said before.
func badTokens(status int, message string, fields ...AliasField) []AliasProblem {
	var all []AliasProblem
	for _, code := range []string{"token_invalid", "token_malformed", "token_revoked", "token_expired"} {
		all = append(all, says(code, status, message, fields...))
	}
	return all
}
