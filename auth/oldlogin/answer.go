package oldlogin

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/posternhq/postern/auth"
)

// find looks a value up by its path; a dot goes into an object.
func find(answer map[string]any, path string) any {
	value, object := any(nil), answer
	for name := range strings.SplitSeq(path, ".") {
		value = object[name] // of no object: nothing
		object, _ = value.(map[string]any)
	}
	return value
}

// says tells whether the value at a path is there and says yes.
func says(answer map[string]any, path string) bool { return isYes(find(answer, path)) }

// isYes tells whether a value is something: not null, false, zero or empty.
func isYes(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != "" && v != "false"
	case json.Number: // some say 1 and 0
		n, err := v.Float64()
		return err == nil && n != 0
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return false
}

// refusalIn says how an answer says no although its status says yes; empty: it
// does not.
func refusalIn(answer map[string]any) string {
	for name, value := range answer {
		switch known := plain(name); known {
		case "success", "ok", "authenticated", "isauthenticated", "auth", "loggedin", "isloggedin", "valid",
			"token", "accesstoken", "authtoken", "idtoken", "jwt":
			if !isYes(value) {
				return "the answer says that it is no " + known
			}
		case "error", "errors", "err", "errormessage", "errordescription", "exception":
			if isYes(value) {
				return "the answer tells of an error"
			}
		case "status", "statuscode", "code", "result":
			if saysFailure(value) {
				return "the answer's " + known + " is one of a failure"
			}
		}
	}
	return ""
}

// plain is a name as it is compared: programs write it as accessToken,
// access_token and AccessToken.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// saysFailure tells whether a status is a word for a failure, or a number that
// is one in HTTP.
func saysFailure(status any) bool {
	for _, text := range texts(status) {
		switch strings.ToLower(text) {
		case "error", "fail", "failed", "failure", "ko", "nok", "denied", "unauthorized", "forbidden", "invalid", "false":
			return true
		}
		if n, err := strconv.Atoi(text); err == nil && 400 <= n && n <= 599 {
			return true
		}
	}
	return status == false
}

// saysOnlyWords tells whether an answer has a message for a person and nothing
// for the program: that could be "Welcome" as well as "Wrong password".
func saysOnlyWords(answer map[string]any) bool {
	for name := range answer {
		switch plain(name) {
		case "message", "msg", "detail", "reason", "info", "title", "description":
		default:
			return false
		}
	}
	return len(answer) > 0
}

// account is what an answer says of the account. A part that is absent, or of a
// type that it cannot have, is left empty, but for the id: without it a user
// who was renamed would come along twice.
func account(answer map[string]any, fields []auth.MigrateField) (auth.NewAccount, error) {
	a := auth.NewAccount{}
	for _, f := range fields {
		values := texts(find(answer, f.Field))
		first := ""
		if len(values) > 0 {
			first = values[0]
		}
		switch f.As {
		// Many applications answer numbers; a foreign key is the same text here.
		case "id":
			if first == "" {
				return auth.NewAccount{}, no("the answer has no " + f.Field)
			}
			a.ID = first
		case "username":
			a.Username = first
		case "email":
			a.Email = first
		case "name":
			a.Name = first
		case "roles":
			a.Roles = values
		default:
			name, ok := strings.CutPrefix(f.As, "fields.")
			if !ok || len(values) == 0 {
				continue
			}
			if a.Fields == nil {
				a.Fields = map[string][]string{}
			}
			a.Fields[name] = values
		}
	}
	return a, nil
}

// texts are a value's texts: a text or a number is one, a list those of its
// members.
func texts(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case json.Number:
		return []string{v.String()}
	case []any: // members that are no texts, such as objects, say nothing
		var all []string
		for _, one := range v {
			switch one.(type) {
			case string, json.Number:
				all = append(all, texts(one)...)
			}
		}
		return all
	}
	return nil
}
