package problem

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// The codes of refusals: a closed list, the same words in answers, logs and
// clients' switch statements. Each belongs to one status.
const (
	BadPath                  = "bad_path"
	BadRequest               = "bad_request"
	TokenMissing             = "token_missing"
	TokenMalformed           = "token_malformed"
	TokenInvalid             = "token_invalid"
	TokenExpired             = "token_expired"
	TokenRevoked             = "token_revoked"
	ReauthenticationRequired = "reauthentication_required"
	InvalidCredentials       = "invalid_credentials"
	RefreshInvalid           = "refresh_invalid"
	RefreshExpired           = "refresh_expired"
	RefreshReused            = "refresh_reused"
	Forbidden                = "forbidden"
	CrossOrigin              = "cross_origin"
	NoRoute                  = "no_route"
	MethodNotAllowed         = "method_not_allowed"
	Conflict                 = "conflict"
	TooLarge                 = "too_large"
	UnsupportedMediaType     = "unsupported_media_type"
	UnknownHost              = "unknown_host"
	Invalid                  = "invalid"
	Locked                   = "locked"
	RateLimited              = "rate_limited"
	UpstreamUnavailable      = "upstream_unavailable"
	Unavailable              = "unavailable"
	UpstreamTimeout          = "upstream_timeout"
)

// Of answers the problem of a code, with the status, title and detail that
// belong to it. A word that is no code answers the problem of Unavailable, so
// that a slip in the code never says anything but "not now".
func Of(code string) Problem {
	p, ok := list[code]
	if !ok {
		return Of(Unavailable)
	}
	p.Code = code
	return p
}

// Codes answers every code there is, in alphabetical order.
func Codes() []string {
	return slices.Sorted(maps.Keys(list))
}

// Method is the refusal of a method that the target does not have; allow goes
// into the Allow field (RFC 9110 section 15.5.6 demands it).
func Method(allow ...string) Problem {
	p := Of(MethodNotAllowed)
	p.Allow = allow
	return p
}

// Reauthenticate asks for a password given no longer than maxAge ago (RFC
// 9470).
func Reauthenticate(maxAge time.Duration) Problem {
	p := Of(ReauthenticationRequired)
	p.MaxAge = maxAge
	return p
}

// list says what each code means. Details address the one who made the request
// and say what to do next; none tells more than the status does about what
// exists behind the gateway.
var list = map[string]Problem{
	BadPath: {Status: http.StatusBadRequest, Title: "This address cannot be read",
		Detail: "The path can be read in more than one way, so it is not served. Write it without dot segments, doubled slashes and encoded delimiters."},
	BadRequest: {Status: http.StatusBadRequest, Title: "This request cannot be read",
		Detail: "The request is malformed or contradicts itself."},
	TokenMissing: {Status: http.StatusUnauthorized, Title: "Please log in",
		Detail: "This needs a login, and the request carries no token."},
	TokenMalformed: {Status: http.StatusUnauthorized, Title: "Please log in again",
		Detail: "What the request carries is not an access token."},
	TokenInvalid: {Status: http.StatusUnauthorized, Title: "Please log in again",
		Detail: "The access token is not valid here."},
	TokenExpired: {Status: http.StatusUnauthorized, Title: "Please log in again",
		Detail: "The access token has expired. Refresh it."},
	TokenRevoked: {Status: http.StatusUnauthorized, Title: "Please log in again",
		Detail: "The access token has been revoked. Refresh it, or log in again."},
	ReauthenticationRequired: {Status: http.StatusUnauthorized, Title: "Please give your password again",
		Detail: "This needs a password that was given more recently."},
	InvalidCredentials: {Status: http.StatusUnauthorized, Title: "That did not work",
		Detail: "The username or the password is wrong."},
	RefreshInvalid: {Status: http.StatusUnauthorized, Title: "Please log in again",
		Detail: "The refresh token is not valid. Log in again."},
	RefreshExpired: {Status: http.StatusUnauthorized, Title: "Please log in again",
		Detail: "The session has expired. Log in again."},
	RefreshReused: {Status: http.StatusUnauthorized, Title: "Please log in again",
		Detail: "The refresh token was used before, so its session has been ended. Log in again."},
	Forbidden: {Status: http.StatusForbidden, Title: "Not for this account",
		Detail: "This is not open to you, or not from where you are."},
	CrossOrigin: {Status: http.StatusForbidden, Title: "Refused: sent by another site",
		Detail: "The request was started by another site's page. Go to this site and try again from there."},
	NoRoute: {Status: http.StatusNotFound, Title: "There is nothing here",
		Detail: "Nothing is published at this address."},
	MethodNotAllowed: {Status: http.StatusMethodNotAllowed, Title: "This does not work here",
		Detail: "The address exists, but not for this method. The Allow field lists those it has."},
	Conflict: {Status: http.StatusConflict, Title: "That is taken",
		Detail: "Another account has this name already."},
	TooLarge: {Status: http.StatusRequestEntityTooLarge, Title: "That is too large",
		Detail: "The request is larger than is accepted here."},
	UnsupportedMediaType: {Status: http.StatusUnsupportedMediaType, Title: "This format is not understood",
		Detail: "Send application/json or application/x-www-form-urlencoded, in UTF-8 and without a Content-Encoding."},
	UnknownHost: {Status: http.StatusMisdirectedRequest, Title: "This site is not served here",
		Detail: "The host name of the request is not one of those that are answered here."},
	Invalid: {Status: http.StatusUnprocessableEntity, Title: "Some values are not acceptable",
		Detail: "Some values are not acceptable; errors says which and why."},
	Locked: {Status: http.StatusTooManyRequests, Title: "Too many failed attempts",
		Detail: "There were too many failed attempts to log in. Wait before the next."},
	RateLimited: {Status: http.StatusTooManyRequests, Title: "Too many requests",
		Detail: "There were too many requests. Wait before the next."},
	UpstreamUnavailable: {Status: http.StatusBadGateway, Title: "The application does not answer",
		Detail: "The application behind this address cannot be reached just now. Try again later."},
	Unavailable: {Status: http.StatusServiceUnavailable, Title: "Not available just now",
		Detail: "This cannot be done just now. Try again in a moment."},
	UpstreamTimeout: {Status: http.StatusGatewayTimeout, Title: "The application takes too long",
		Detail: "The application behind this address did not answer in time. Try again later."},
}
