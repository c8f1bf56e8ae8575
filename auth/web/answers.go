package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// account is the account object as clients see it. The name of a field here is
// a promise.
type account struct {
	ID       string         `json:"id"`
	Username string         `json:"username"`
	Email    string         `json:"email"`
	Name     string         `json:"name"`
	Roles    []string       `json:"roles"`
	Fields   map[string]any `json:"fields,omitempty"`
}

// accountOf is an account without its fields, as an answer with tokens has it.
func accountOf(a auth.Account) account {
	roles := append([]string{}, a.Roles...) // [] and not null: clients loop over it
	return account{ID: a.ID, Username: a.Username, Email: a.Email, Name: a.Name, Roles: roles}
}

// profileOf is an account with its fields, an object by name: one value is a
// string, several are a list.
func profileOf(a auth.Account) profile { return profile{accountOf(a), auth.FieldsData(a.Fields)} }

// profile is the account object with its fields.
type profile struct {
	account
	Fields map[string]any `json:"fields"`
}

// tokens is the answer to a login and a refresh (RFC 6749 section 5.1, and the
// account).
type tokens struct {
	AccessToken  string  `json:"access_token"`
	TokenType    string  `json:"token_type"`
	ExpiresIn    int64   `json:"expires_in"`
	RefreshToken string  `json:"refresh_token,omitempty"`
	User         account `json:"user"`
}

// tokensOf is the answer with a grant, without the refresh token where a cookie
// has it: it is in one of the two, never in both.
func tokensOf(g auth.Grant, d delivery) tokens {
	t := tokens{AccessToken: g.AccessToken, TokenType: "Bearer", ExpiresIn: int64(g.AccessTTL.Seconds()), User: accountOf(g.Account)}
	if !d.refreshCookie {
		t.RefreshToken = g.RefreshToken
	}
	return t
}

// grant answers with the tokens of a grant, in cookies and body as d says.
func (h *Handler) grant(w http.ResponseWriter, r *http.Request, g auth.Grant, d delivery) {
	h.grantWith(w, r, http.StatusOK, g, d)
}

// grantWith is grant with another status than 200.
func (h *Handler) grantWith(w http.ResponseWriter, r *http.Request, status int, g auth.Grant, d delivery) {
	h.put(w, g, d)
	writeStatus(w, r, status, tokensOf(g, d))
}

// writeJSON answers 200 with a value of this package's types.
func writeJSON(w http.ResponseWriter, r *http.Request, value any) {
	writeStatus(w, r, http.StatusOK, value)
}

// writeStatus is writeJSON with another status than 200.
func writeStatus(w http.ResponseWriter, r *http.Request, status int, value any) {
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(value) // plain values: only the client's going away can fail
	}
}

// fail answers r with the refusal that err stands for, and logs what was no
// refusal. What the error says reaches the log alone.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.writeProblem(w, r, h.problemOf(r, err))
}

// writeProblem answers r with p. Its page leads to the login, and says who is logged in.
func (h *Handler) writeProblem(w http.ResponseWriter, r *http.Request, p problem.Problem) {
	p.Prefix = h.config.Prefix
	if presented := auth.PresentedIn(r.Context()); presented.Proven() {
		p.User = presented.Principal.Username
	}
	problem.Write(w, r, p)
}

// problemOf is the one place where an error becomes an answer. What is not
// known here is a fault of the store or the machine: 503, never a reason to
// treat the caller as anybody else.
func (h *Handler) problemOf(r *http.Request, err error) problem.Problem {
	var refused refusal
	if errors.As(err, &refused) {
		return refused.Problem
	}
	var locked *auth.LockedError
	var busy *auth.BusyError
	var conflict *auth.ConflictError
	var invalid *auth.InvalidError
	switch {
	case errors.As(err, &locked):
		p := problem.Of(problem.Locked)
		p.RetryAfter = locked.RetryAfter
		return p
	case errors.As(err, &busy):
		p := problem.Of(problem.Unavailable)
		p.RetryAfter = max(busy.RetryAfter, time.Second)
		return p
	case errors.As(err, &conflict):
		p := problem.Of(problem.Conflict)
		p.Errors = []problem.FieldError{{Field: conflict.Field, Message: "is taken"}}
		return p
	case errors.As(err, &invalid):
		p := problem.Of(problem.Invalid)
		for _, f := range invalid.Fields {
			p.Errors = append(p.Errors, problem.FieldError{Field: f.Field, Message: f.Message})
		}
		return p
	}
	if code := codeOf(err); code != "" {
		return problem.Of(code)
	}
	if !errors.Is(err, context.Canceled) {
		h.log.ErrorContext(r.Context(), "auth endpoint", "path", r.URL.Path, "request_id", r.Header.Get("X-Request-Id"), "error", err)
	}
	return problem.Of(problem.Unavailable)
}

// codeOf answers the code of auth's sentinels, "" for other errors.
func codeOf(err error) string {
	for _, known := range []struct {
		err  error
		code string
	}{
		{auth.ErrInvalidCredentials, problem.InvalidCredentials},
		{auth.ErrTokenMalformed, problem.TokenMalformed},
		{auth.ErrTokenInvalid, problem.TokenInvalid},
		{auth.ErrTokenExpired, problem.TokenExpired},
		{auth.ErrTokenRevoked, problem.TokenRevoked}, // ErrTokenOutdated too
		{auth.ErrRefreshInvalid, problem.RefreshInvalid},
		{auth.ErrRefreshExpired, problem.RefreshExpired},
		{auth.ErrRefreshReused, problem.RefreshReused},
		{auth.ErrNotFound, problem.NoRoute},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	return ""
}
