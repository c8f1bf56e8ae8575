package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

func TestWhatGivesPasswordsOrNamesAwayInAMigrationIsToldOf(t *testing.T) {
	from := func(login string) string {
		return oneUpstream + "routes: [{ path: /, allow: authenticated }]\npublic_url: https://gw.test\nauth:\n  migrate_from: { login_url: '" + login + "' }\n"
	}
	const own, clear = "gateway.yaml:5:30: auth.migrate_from.login_url: is this gateway's own login", "gateway.yaml:5:30: warning: auth.migrate_from.login_url: sends passwords in the clear"
	for _, test := range []struct{ name, yaml, want string }{
		{"off", from(""), ""},
		{"off, with registration", from("") + "  registration: { enabled: true }\n", ""},
		{"this machine", from("http://127.0.0.1:3000/login"), ""},
		{"this machine by name", from("http://localhost:3000/login"), ""},
		{"this machine in IPv6", from("http://[::1]:3000/login"), ""},
		{"a private network", from("http://10.1.2.3/login"), ""},
		{"a container", from("http://app:3000/login"), ""},
		{"https", from("https://old.example.com/login"), ""},
		{"the clear", from("http://old.example.com/login"), clear},
		{"the clear by address", from("http://192.0.2.1/login"), clear},
		{"the gateway itself", from("https://gw.test/auth/login"), own},
		{"the gateway in capitals", from("https://GW.test/auth/token"), own},
		{"an application behind the gateway", from("https://gw.test/api/login"), ""},
		{"no address", from("old.example.com/login"), "gateway.yaml:5:30: auth.migrate_from.login_url: must be an address such as"},
		{"open registration", from("http://app/login") + "  registration: { enabled: true }\n", "gateway.yaml:6:28: warning: auth.registration.enabled: lets strangers take the names of users who have not come along yet"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := checked(test.yaml)
			if (got == "") != (test.want == "") || !strings.HasPrefix(got, test.want) || strings.Contains(got, "\n") {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestTheSectionMigrateFromIsReadWholeAndFromTheEnvironment(t *testing.T) {
	file := mustLoad(t, Source{
		Data: []byte(`
auth:
  profile: { fields: [ { name: phone } ] }
  migrate_from:
    login_url: http://app:3000/api/login
    format: form
    username_field: login
    password_field: pass
    success_field: user.id
    fields: [ { field: user.id, as: id }, { field: user.tel, as: fields.phone } ]
    roles: [ { role: ROLE_ADMIN, as: admin } ]
    default_roles: [admin]
    email_verified: true
    timeout: 2s
`),
		Env: []string{"POSTERN_AUTH_MIGRATE_FROM_LOGIN_URL=https://old.test/login", "POSTERN_AUTH_MIGRATE_FROM_DEFAULT_ROLES=user,admin"},
	})
	got := file.AuthConfig().MigrateFrom
	want := auth.MigrateFrom{
		LoginURL: "https://old.test/login", Format: "form", UsernameField: "login", PasswordField: "pass", SuccessField: "user.id",
		Fields: []auth.MigrateField{{Field: "user.id", As: "id"}, {Field: "user.tel", As: "fields.phone"}},
		Roles:  []auth.MigrateRole{{Role: "ROLE_ADMIN", As: "admin"}}, DefaultRoles: []string{"user", "admin"},
		EmailVerified: true, Timeout: 2 * time.Second,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if plain := mustLoad(t, Source{}).AuthConfig().MigrateFrom; plain.LoginURL != "" || plain.EmailVerified || plain.Timeout != 5*time.Second {
		t.Errorf("of an empty file: %+v", plain)
	}
}
