package web

import (
	"slices"
	"time"

	"github.com/posternhq/postern/auth"
)

// presetBezkoder is bezkoder's Node.js Express API: signup, signin with roles in
// Spring's spelling, and a refresh token that stays for a day. Express' routes
// ignore case, and the original is asked under two spellings. Its ids are
// numbers of a SQL table or ObjectIds of MongoDB; what reads as a number is one.
//
// The original said 404 "User Not found." of an unknown name; here it is a wrong
// password like any other. It took every role that existed from a signup; here
// registration.allow_roles decides.
func presetBezkoder() []Alias {
	refreshed := []AliasField{to(accessField, "accessToken"), to(refreshField, "refreshToken")}
	refresh := Alias{
		Method: "POST", Endpoint: toRefresh, Status: 200,
		Request: []AliasField{to("refreshToken", refreshField)}, Response: refreshed,
		Problems: []AliasProblem{
			{Code: "bad_request", Field: refreshField, Status: 403, Message: "Refresh Token is required!"},
			says("refresh_invalid", 403, "Refresh token is not in database!"),
			says("refresh_expired", 403, "Refresh token was expired. Please make a new signin request"),
			says("refresh_reused", 403, "Refresh token is not in database!"),
		},
	}
	lower, camel := refresh, refresh
	lower.Path, camel.Path = "/api/auth/refreshtoken", "/api/auth/refreshToken"
	return common{
		header: "x-access-token", accessTTL: time.Hour, sessionTTL: day,
		claims: []auth.Claim{{Name: "id", Value: "id", Format: auth.FormatNumber}},
		problems: slices.Concat(
			[]AliasProblem{says("token_missing", 403, "No token provided!"), says("token_expired", 401, "Unauthorized! Access Token was expired!")},
			badTokens(401, "Unauthorized!"),
			[]AliasProblem{says("forbidden", 403, "Require Admin Role!"), {Code: anyCode}}),
	}.apply([]Alias{
		{
			Path: "/api/auth/signup", Method: "POST", Endpoint: toRegister, Status: 200,
			Response: []AliasField{constant("message", "User was registered successfully!")},
			Problems: []AliasProblem{
				{Code: "conflict", Field: "email", Status: 400, Message: "Failed! Email is already in use!"},
				says("conflict", 400, "Failed! Username is already in use!"),
				{Code: "invalid", Field: "roles", Status: 400, Message: "Failed! Role does not exist = {error}"},
				says("invalid", 400, "Failed! {error}"),
			},
		},
		{
			Path: "/api/auth/signin", Method: "POST", Endpoint: toLogin, Status: 200,
			Response: slices.Concat([]AliasField{
				formatted("user.id", "id", auth.FormatNumber), to("user.username", "username"), to("user.email", "email"),
				formatted("user.roles", "roles", auth.FormatUpperRole),
			}, refreshed),
			Problems: []AliasProblem{
				says("invalid_credentials", 401, "Invalid Password!", constant("accessToken", "null"), AliasField{Field: "message"}),
			},
		},
		lower, camel,
	})
}

// presetXAuthToken is the API whose token travels in x-auth-token, and whose
// refusals are plain texts. The original's token never expired; this one lives a
// week, and can be revoked. Its registration sends the token in the header alone,
// its login as the whole body.
func presetXAuthToken() []Alias {
	text := func(code string, status int, message string) AliasProblem {
		return AliasProblem{Code: code, Status: status, Message: message, Body: "message"}
	}
	var bad []AliasProblem
	for _, p := range badTokens(400, "Invalid token.") {
		bad = append(bad, text(p.Code, p.Status, p.Message))
	}
	return common{
		header: "x-auth-token", accessTTL: 7 * day,
		claims: []auth.Claim{{Name: "_id", Value: "id"}, {Name: "isAdmin", HasRole: "admin"}},
		problems: slices.Concat([]AliasProblem{text("token_missing", 401, "Access denied. No token provided.")}, bad,
			[]AliasProblem{text("forbidden", 403, "Access denied."), text(anyCode, 0, "")}),
	}.apply([]Alias{
		{
			Path: "/api/users", Method: "POST", Endpoint: toRegister, Status: 200,
			Response:       []AliasField{to("user.id", "_id"), to("user.name", "name"), to("user.email", "email")},
			ResponseHeader: "x-auth-token",
			Problems:       []AliasProblem{text("conflict", 400, "User already registered."), text("invalid", 400, "{error}")},
		},
		{
			Path: "/api/auth", Method: "POST", Endpoint: toLogin, Status: 200, Body: accessField,
			Problems: []AliasProblem{text("invalid_credentials", 400, "Invalid email or password.")},
		},
	})
}

// presetXAccessToken is two APIs that share a token header and no path: one
// below /api/auth with {auth, token}, one below /users with {status, data}.
func presetXAccessToken() []Alias {
	return append(xAccessAuth(), xAccessUsers()...)
}

// xAccessAuth is "Securing Node.js RESTful APIs": forms or JSON, a token of a day.
// Its logout is a GET that ended nothing there; here it ends the session of a
// token in the header. Where the original said 403 or 500 of a token that is
// missing or bad, it is 401: clients look at auth, which is false.
func xAccessAuth() []Alias {
	no := []AliasField{constant("auth", "false"), {Field: "message"}}
	answer := []AliasField{constant("auth", "true"), to(accessField, "token")}
	return common{
		header: "x-access-token", accessTTL: day,
		claims: []auth.Claim{{Name: "id", Value: "id"}},
		problems: slices.Concat([]AliasProblem{says("token_missing", 401, "No token provided.", no...)},
			badTokens(401, "Failed to authenticate token.", no...),
			[]AliasProblem{says("forbidden", 403, "Access denied.", no...), says(anyCode, 0, "", no...)}),
	}.apply([]Alias{
		{Path: "/api/auth/register", Method: "POST", Endpoint: toRegister, Status: 200, Response: answer},
		{
			Path: "/api/auth/login", Method: "POST", Endpoint: toLogin, Status: 200, Response: answer,
			Problems: []AliasProblem{says("invalid_credentials", 401, "", constant("auth", "false"), constant("token", "null"))},
		},
		{
			Path: "/api/auth/me", Method: "GET", Endpoint: toMe, Status: 200,
			Response: []AliasField{to("id", "_id"), to("name", ""), to("email", "")},
		},
		{
			Path: "/api/auth/logout", Method: "GET", Endpoint: toLogout, Status: 200,
			Response: []AliasField{constant("auth", "false"), constant("token", "null")},
		},
	})
}

// xAccessUsers is the API with profiles: a token of ten days, an own profile with
// the address, and one for everybody without. It is asked with and without a
// slash at the end. The words of its refusals are not known, their shape is.
func xAccessUsers() []Alias {
	no := []AliasField{{Field: "status"}, {Field: "message"}}
	ok := constant("status", "200")
	answer := []AliasField{ok, to("user.id", "data._id"), to("user.name", "data.name"), to("user.email", "data.email"), to(accessField, "data.token")}
	own := []AliasField{ok, to("id", "data._id"), to("name", "data.name"), to("email", "data.email")}
	list := []Alias{
		{Path: "/users/register", Method: "POST", Endpoint: toRegister, Status: 200, Response: answer},
		{Path: "/users/login", Method: "POST", Endpoint: toLogin, Status: 200, Response: answer},
		{
			Path: "/users/profile/public/{id}", Method: "GET", Endpoint: toUser, Status: 200,
			Response: []AliasField{ok, to("id", "data._id"), to("name", "data.name")},
		},
	}
	for _, path := range []string{"/users/profile", "/users/profile/"} {
		for _, method := range []string{"GET", "PUT"} {
			list = append(list, Alias{Path: path, Method: method, Endpoint: toMe, Status: 200, Response: own})
		}
	}
	return common{
		header: "x-access-token", accessTTL: 10 * day,
		claims:   []auth.Claim{{Name: "_id", Value: "id"}},
		problems: []AliasProblem{says(anyCode, 0, "", no...)},
	}.apply(list)
}

// presetNest is the NestJS API with passport-jwt: a bearer token, three days. Nest
// answers 201 to every POST, a login too, and its exceptions have a body of their
// own: message, error, statusCode. The login stands at the path of the gateway's
// own; a browser's form there is answered as ever.
func presetNest() []Alias {
	body := func(title string) []AliasField {
		return []AliasField{{Field: "message"}, constant("error", title), {Field: "status", As: "statusCode"}}
	}
	bare := []AliasField{{Field: "message"}, {Field: "status", As: "statusCode"}}
	answer := []AliasField{to(accessField, "token")}
	return common{
		header: bearerHeader, accessTTL: 3 * day,
		claims: []auth.Claim{{Name: "id", Value: "id"}},
		problems: slices.Concat([]AliasProblem{says("token_missing", 401, "Unauthorized", bare...)}, badTokens(401, "Unauthorized", bare...),
			[]AliasProblem{
				says("forbidden", 403, "Forbidden resource", body("Forbidden")...), says("conflict", 409, "", body("Conflict")...),
				says("bad_request", 400, "", body("Bad Request")...), says("invalid", 400, "", body("Bad Request")...), says(anyCode, 0, "", bare...),
			}),
	}.apply([]Alias{
		{Path: "/auth/signup", Method: "POST", Endpoint: toRegister, Status: 201, Response: answer},
		{
			Path: "/auth/login", Method: "POST", Endpoint: toLogin, Status: 201, Response: answer,
			Problems: []AliasProblem{says("invalid_credentials", 401, "invalid email or password", body("Unauthorized")...)},
		},
	})
}
