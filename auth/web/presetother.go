package web

import (
	"slices"
	"time"

	"github.com/posternhq/postern/auth"
)

// presetSimpleJWT is Django REST framework with SimpleJWT as it comes: two
// tokens, five minutes and a day, no rotation (ROTATE_REFRESH_TOKENS is off by
// default). Frontends look for code token_not_valid before they refresh, and
// decode token_type and user_id. A browser that opens the login's address gets a
// form to try it, as REST framework shows one; a program's GET is 405.
func presetSimpleJWT() []Alias {
	detail := []AliasField{to("message", "detail")}
	notValid := []AliasField{to("message", "detail"), constant("code", "token_not_valid")}
	return common{
		header: bearerHeader, accessTTL: 5 * time.Minute, sessionTTL: day,
		claims: []auth.Claim{{Name: "token_type", Constant: "access"}, {Name: "user_id", Value: "id", Format: auth.FormatNumber}},
		problems: slices.Concat([]AliasProblem{says("token_missing", 401, "Authentication credentials were not provided.", detail...)},
			badTokens(401, "Given token not valid for any token type", notValid...),
			[]AliasProblem{
				says("forbidden", 403, "You do not have permission to perform this action.", detail...), says(anyCode, 0, "", detail...),
			}),
	}.apply([]Alias{
		{
			Path: "/api/token/", Method: "POST", Endpoint: toLogin, Status: 200,
			Response: []AliasField{to(refreshField, "refresh"), to(accessField, "access")},
			Problems: []AliasProblem{says("invalid_credentials", 401, "No active account found with the given credentials", detail...)},
		},
		{Path: "/api/token/", Method: "GET", Endpoint: toLogin},
		{
			Path: "/api/token/refresh/", Method: "POST", Endpoint: toRefresh, Status: 200,
			Request:  []AliasField{to("refresh", refreshField)},
			Response: []AliasField{to(accessField, "access")},
			Problems: []AliasProblem{
				says("refresh_invalid", 401, "Token is invalid or expired", notValid...), says("refresh_expired", 401, "Token is invalid or expired", notValid...),
				says("refresh_reused", 401, "Token is invalid or expired", notValid...),
			},
		},
	})
}

// presetFastAPI is FastAPI with OAuth2PasswordBearer: the login is a form (RFC 6749
// 4.3.2, without a client), the tokens live half an hour and a week. The original
// tells an expired token, 401, from one that is no good, 403. It had no refresh of
// its own; the gateway's takes the refresh token, which stays.
func presetFastAPI() []Alias {
	detail := []AliasField{to("message", "detail")}
	account := func(above string) []AliasField {
		return []AliasField{to(above+"id", "id"), to(above+"email", "email")}
	}
	return common{
		header: bearerHeader, accessTTL: 30 * time.Minute, sessionTTL: 7 * day,
		problems: slices.Concat([]AliasProblem{says("token_missing", 401, "Not authenticated", detail...), says("token_expired", 401, "Token expired", detail...)},
			badTokens(403, "Could not validate credentials", detail...), []AliasProblem{says(anyCode, 0, "", detail...)}),
	}.apply([]Alias{
		{
			Path: "/signup", Method: "POST", Endpoint: toRegister, Status: 200, Response: account("user."),
			Problems: []AliasProblem{says("conflict", 400, "User with this email already exist", detail...)},
		},
		{
			Path: "/login", Method: "POST", Endpoint: toLogin, Status: 200,
			Response: []AliasField{to(accessField, ""), to(refreshField, ""), constant("token_type", "bearer")},
			Problems: []AliasProblem{says("invalid_credentials", 400, "Incorrect email or password", detail...)},
		},
		{Path: "/me", Method: "GET", Endpoint: toMe, Status: 200, Response: account("")},
	})
}

// presetFlask is Flask with Flask-JWT-Extended: one bearer token of a quarter of
// an hour, and no other way to a new one than the login. The extension's words
// for tokens are under msg, the application's under message. Of a bad signature
// the extension says 422; a challenge is 401 here, as for every other token.
func presetFlask() []Alias {
	msg := []AliasField{to("message", "msg")}
	return common{
		header: bearerHeader, accessTTL: 15 * time.Minute,
		problems: slices.Concat([]AliasProblem{
			says("token_missing", 401, "Missing Authorization Header", msg...), says("token_expired", 401, "Token has expired", msg...),
			says("token_revoked", 401, "Token has been revoked", msg...),
		}, badTokens(401, "Signature verification failed", msg...), []AliasProblem{{Code: anyCode}}),
	}.apply([]Alias{{
		Path: "/login", Method: "POST", Endpoint: toLogin, Status: 200,
		Response: []AliasField{constant("message", "Login Success"), to(accessField, "")},
		Problems: []AliasProblem{says("invalid_credentials", 401, "Login Failed")},
	}})
}

// presetSpring is Spring Security with a JWT filter: the token is in the
// answer's Authorization, with its scheme, and nothing in the body. The filter's
// address is configurable there, and so it is here. Spring's error page says
// status, error and message.
func presetSpring() []Alias {
	body := []AliasField{{Field: "status"}, to("title", "error"), {Field: "message"}}
	return common{
		header: bearerHeader, accessTTL: 15 * time.Minute,
		problems: []AliasProblem{says(anyCode, 0, "", body...)},
	}.apply([]Alias{{
		Path: "/login", Method: "POST", Endpoint: toLogin, Status: 200, Body: noBody, ResponseHeader: bearerHeader,
	}})
}
