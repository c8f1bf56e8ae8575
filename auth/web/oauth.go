package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// The endpoints for OAuth 2.0 clients: what login, refresh and logout do, said
// in the words of RFC 6749, 7009, 7662 and 8414. There is one client, whoever
// uses it, and it has no secret: client credentials, in the body or in a Basic
// field, are what many libraries cannot be kept from sending, and are ignored.

// The error codes of RFC 6749 section 5.2 that are used here. temporarily_unavailable
// is section 4.1.2.1's: a client must not take an outage for the end of its grant.
const (
	invalidRequest         = "invalid_request"
	invalidGrant           = "invalid_grant"
	invalidScope           = "invalid_scope"
	unsupportedGrantType   = "unsupported_grant_type"
	temporarilyUnavailable = "temporarily_unavailable"
)

// The grants that there are (RFC 6749 sections 4.3 and 6).
const (
	grantPassword = "password"
	grantRefresh  = "refresh_token"
)

// oauthRefusal is an error that is a refusal in OAuth's words.
type oauthRefusal struct{ code, description string }

func (e oauthRefusal) Error() string { return e.code }

// oauthTokens is the answer of RFC 6749 section 5.1.
type oauthTokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// token is the token endpoint (RFC 6749 section 3.2).
func (h *Handler) token(w http.ResponseWriter, r *http.Request) {
	in, err := readOAuth(w, r)
	if err == nil && !isScope(in.text("scope")) {
		err = oauthRefusal{invalidScope, "scope must be words with one space between them."}
	}
	var g auth.Grant
	if err == nil {
		g, err = h.grantOf(r, in)
	}
	if err != nil {
		h.failOAuth(w, r, err)
		return
	}
	w.Header().Set("Pragma", "no-cache") // section 5.1 asks for it beside no-store
	writeJSON(w, r, oauthTokens{
		AccessToken: g.AccessToken, TokenType: "Bearer", ExpiresIn: int64(g.AccessTTL.Seconds()), RefreshToken: g.RefreshToken,
		// There are no scopes here, roles decide. What a client asked for is
		// said back, because some compare; no token holds it.
		Scope: in.text("scope"),
	})
}

// grantOf does what the grant type says.
func (h *Handler) grantOf(r *http.Request, in input) (auth.Grant, error) {
	switch in.text("grant_type") {
	case "":
		return auth.Grant{}, oauthRefusal{invalidRequest, "grant_type is missing."}
	case grantPassword:
		if in.text("username") == "" || in.text("password") == "" {
			return auth.Grant{}, oauthRefusal{invalidRequest, "username or password is missing."}
		}
		return h.service.Login(r.Context(), auth.Credentials{Username: in.text("username"), Password: in.text("password")}, client(r))
	case grantRefresh:
		if in.text("refresh_token") == "" {
			return auth.Grant{}, oauthRefusal{invalidRequest, "refresh_token is missing."}
		}
		return h.spend(r, in.text("refresh_token"))
	}
	return auth.Grant{}, oauthRefusal{unsupportedGrantType, "The grants here are password and refresh_token."}
}

// isScope tells whether a text is empty or a scope (RFC 6749 section 3.3).
func isScope(text string) bool {
	if text == "" {
		return true
	}
	for word := range strings.SplitSeq(text, " ") {
		if word == "" || strings.ContainsFunc(word, func(c rune) bool { return c < '!' || c > '~' || c == '"' || c == '\\' }) {
			return false
		}
	}
	return true
}

// revoke is the revocation endpoint (RFC 7009). A session is what can be ended:
// with either of its tokens all of them go, as section 2.1 allows. A hint is not
// needed to tell the tokens apart.
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) {
	in, err := readOAuth(w, r)
	if err == nil && in.text("token") == "" {
		err = oauthRefusal{invalidRequest, "token is missing."}
	}
	if err == nil {
		err = h.service.RevokeToken(r.Context(), in.text("token"), client(r))
	}
	if err != nil {
		h.failOAuth(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// introspection is the answer of RFC 7662 section 2.2. token_use tells an access
// token from a refresh token: whoever guards something must let in the first
// alone.
type introspection struct {
	Active    bool     `json:"active"`
	TokenUse  string   `json:"token_use,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Username  string   `json:"username,omitempty"`
	Roles     []string `json:"roles,omitempty"`
	Session   string   `json:"sid,omitempty"`
	TokenID   string   `json:"jti,omitempty"`
	Issued    int64    `json:"iat,omitempty"`
	Expires   int64    `json:"exp,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
}

// introspect is the introspection endpoint (RFC 7662), for administrators: who
// could ask freely would have an oracle for stolen tokens (section 4).
func (h *Handler) introspect(w http.ResponseWriter, r *http.Request, _ auth.Principal) error {
	in, err := readOAuth(w, r)
	if err == nil && in.text("token") == "" {
		err = oauthRefusal{invalidRequest, "token is missing."}
	}
	if err != nil {
		h.failOAuth(w, r, err)
		return nil
	}
	found, err := h.service.Introspect(r.Context(), in.text("token"))
	if err != nil {
		return err
	}
	writeJSON(w, r, introspectionOf(found))
	return nil
}

// introspectionOf says nothing of a token that is not active.
func introspectionOf(found auth.Introspection) introspection {
	if !found.Active {
		return introspection{}
	}
	p := found.Principal
	i := introspection{
		Active: true, TokenUse: "access_token", TokenType: "Bearer", Issuer: found.Issuer, Subject: p.ID, Audience: found.Audience,
		Username: p.Username, Roles: p.Roles, Session: p.Session, TokenID: found.TokenID,
		Issued: found.Issued.Unix(), Expires: found.Expires.Unix(), AuthTime: p.AuthTime.Unix(),
	}
	if found.Refresh {
		i.TokenUse, i.TokenType = "refresh_token", ""
	}
	return i
}

// readOAuth reads a form, which is the one form of these requests; not even a
// body without a type passes. What is in the query is not read: it would be in
// logs.
func readOAuth(w http.ResponseWriter, r *http.Request) (input, error) {
	in, err := read(w, r)
	if err == nil && !in.form {
		err = refuse(problem.UnsupportedMediaType, "Send the parameters as application/x-www-form-urlencoded.")
	}
	return in, err
}

// failOAuth answers with a refusal in OAuth's words. The status is 400, as
// section 5.2 of RFC 6749 says; 401 would ask for client credentials, which there
// are none of. A lock, a body that is no form and an outage keep statuses of
// their own.
func (h *Handler) failOAuth(w http.ResponseWriter, r *http.Request, err error) {
	p, refused := h.oauthProblem(r, err)
	problem.Prepare(w, r, p)
	w.Header().Set("Pragma", "no-cache")
	writeStatus(w, r, p.Status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{refused.code, asciiText(refused.description)})
}

// oauthProblem is the problem that err stands for, and OAuth's word for it.
func (h *Handler) oauthProblem(r *http.Request, err error) (problem.Problem, oauthRefusal) {
	var refused oauthRefusal
	if errors.As(err, &refused) {
		return problem.Of(problem.BadRequest), refused
	}
	p := h.problemOf(r, err)
	switch p.Status {
	case http.StatusUnauthorized:
		p.Status = http.StatusBadRequest
		return p, oauthRefusal{invalidGrant, p.Detail}
	case http.StatusTooManyRequests:
		return p, oauthRefusal{invalidGrant, p.Detail}
	case http.StatusServiceUnavailable:
		return p, oauthRefusal{temporarilyUnavailable, p.Detail}
	}
	return p, oauthRefusal{invalidRequest, p.Detail}
}

// asciiText keeps to the characters that an error_description may have (RFC
// 6749 section 5.2).
func asciiText(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return '\''
		}
		return c
	}, text)
}
