package roster_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/roster"
)

// read reads a text that can be read.
func read(t *testing.T, text string, o roster.Options) *roster.List {
	t.Helper()
	list, err := roster.Read(strings.NewReader(text), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return list
}

// account is an Imported for tables.
func account(edit func(*auth.Imported)) auth.Imported {
	var a auth.Imported
	edit(&a)
	return a
}

const hash = "$2y$10$abcdefghijklmnopqrstuv"

func TestEachFormatIsRecognisedAndItsAccountsAreTaken(t *testing.T) {
	alice := account(func(a *auth.Imported) {
		a.ID, a.Username, a.Email, a.Name, a.PasswordHash = "7", "alice", "alice@example.org", "Alice Liddell", hash
	})
	joined := account(func(a *auth.Imported) {
		*a = alice
		a.Created = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	})
	for _, test := range []struct {
		name, text string
		format     roster.Format
		want       auth.Imported
	}{
		{"csv", "id,username,email,name,roles,password_hash\n7,alice,alice@example.org,Alice Liddell,user|admin," + hash + "\n", roster.CSV, account(func(a *auth.Imported) {
			*a = alice
			a.Roles = []string{"user", "admin"}
		})},
		{"csv by the least", "Email\nalice@example.org\n", roster.CSV, account(func(a *auth.Imported) { a.Email = "alice@example.org" })},
		{"csv with everything", "username,first_name,last_name,email_verified,active,created,fields,field:Phone\nalice,Alice,Liddell,no,f,2020-01-02,\"{\"\"tags\"\":[\"\"a\"\",\"\"b\"\"]}\",12\n", roster.CSV, account(func(a *auth.Imported) {
			a.Username, a.Name, a.Unverified, a.Disabled = "alice", "Alice Liddell", true, true
			a.Created = time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)
			a.Fields = map[string][]string{"tags": {"a", "b"}, "Phone": {"12"}}
		})},
		{"semicolons, CRLF and a mark", "\ufeffID;USERNAME;EMAIL;NAME;PASSWORD_HASH\r\n7;alice;alice@example.org;\"Alice Liddell\";" + hash + "\r\n", roster.CSV, alice},
		{"tabs", "id\tusername\temail\tname\tpassword_hash\n7\talice\talice@example.org\tAlice Liddell\t" + hash + "\n", roster.CSV, alice},
		{"json lines", "\n" + `{"id":7,"username":"alice","email":"alice@example.org","name":"Alice Liddell","password_hash":"` + hash + `","roles":["user"],"fields":{"phone":"1","tags":["a","b"],"gone":null},"disabled":true}` + "\n", roster.JSONLines, account(func(a *auth.Imported) {
			*a = alice
			a.Roles, a.Disabled, a.Fields = []string{"user"}, true, map[string][]string{"phone": {"1"}, "tags": {"a", "b"}}
		})},
		{"json lines with joined roles", `{"username":"a","roles":"user|admin","email":null}`, roster.JSONLines, account(func(a *auth.Imported) { a.Username, a.Roles = "a", []string{"user", "admin"} })},
		{"htpasswd", "# staff\n\nalice:" + hash + "\n", roster.HTPasswd, account(func(a *auth.Imported) { a.Username, a.PasswordHash = "alice", hash })},
		{"htpasswd with colons and commas in the hash", "alice:pbkdf2:sha256:1,2$a$b\n", roster.HTPasswd, account(func(a *auth.Imported) { a.Username, a.PasswordHash = "alice", "pbkdf2:sha256:1,2$a$b" })},
		{"django", "id,password,last_login,is_superuser,username,first_name,last_name,email,is_staff,is_active,date_joined\n7," + hash + ",,f,alice,Alice,Liddell,alice@example.org,f,t,2020-01-02 03:04:05+00\n", roster.Django, joined},
		{"django of MySQL, disabled and without a password", "id\tpassword\tlast_login\tis_superuser\tusername\tfirst_name\tlast_name\temail\tis_staff\tis_active\tdate_joined\n7\t!abc\tNULL\t0\talice\tAlice\tLiddell\talice@example.org\t0\t0\t2020-01-02 03:04:05.000000\n", roster.Django, account(func(a *auth.Imported) {
			*a = joined
			a.PasswordHash, a.Disabled = "", true
		})},
		{"devise", "id,email,encrypted_password,reset_password_token,created_at,updated_at\n7,alice@example.org," + hash + ",,2020-01-02 03:04:05.123456,2021-01-01\n", roster.Devise, account(func(a *auth.Imported) {
			a.ID, a.Email, a.PasswordHash = "7", "alice@example.org", hash
			a.Created = time.Date(2020, 1, 2, 3, 4, 5, 123456000, time.UTC)
		})},
		{"devise, unconfirmed and deleted", "id,email,encrypted_password,confirmed_at,deleted_at\n7,alice@example.org," + hash + ",\\N,2020-01-02\n", roster.Devise, account(func(a *auth.Imported) {
			a.ID, a.Email, a.PasswordHash, a.Unverified, a.Disabled = "7", "alice@example.org", hash, true, true
		})},
		{"wordpress", "ID,user_login,user_pass,user_nicename,user_email,user_url,user_registered,user_activation_key,user_status,display_name\n7,alice," + hash + ",alice,alice@example.org,,2020-01-02 03:04:05,,0,Alice Liddell\n", roster.WordPress, joined},
		{"wordpress of many sites", "ID,user_login,user_pass,user_email,user_registered,spam,deleted\n7,alice," + hash + ",,0000-00-00 00:00:00,1,0\n", roster.WordPress, account(func(a *auth.Imported) {
			a.ID, a.Username, a.PasswordHash, a.Disabled = "7", "alice", hash, true
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			list := read(t, test.text, roster.Options{})
			if list.Format != test.format || len(list.Entries) != 1 {
				t.Fatalf("format %s, %d entries", list.Format, len(list.Entries))
			}
			if e := list.Entries[0]; len(e.Faults) > 0 || !reflect.DeepEqual(e.Account, test.want) {
				t.Errorf("faults %v\n got %+v\nwant %+v", e.Faults, e.Account, test.want)
			}
		})
	}
}

func TestWhatCannotBeReadAtAllSaysWhy(t *testing.T) {
	for _, test := range []struct {
		name, text, want string
		o                roster.Options
	}{
		{"nothing", "", "is empty", roster.Options{}},
		{"UTF-16", "\xff\xfeu\x00s\x00", "is UTF-16: save it as UTF-8", roster.Options{}},
		{"a header in Latin-1", "username,n\xe4me\n", "is not UTF-8", roster.Options{}},
		{"a JSON array", "[{}]", "one object on each line", roster.Options{}},
		{"a letter", "Dear Sir or Madam", "of no format that is recognised", roster.Options{}},
		{"csv without a header", "alice,alice@example.org\n", "of no format that is recognised", roster.Options{}},
		{"that by force", "alice,x\n", `the column "alice" means nothing here`, roster.Options{Format: roster.CSV}},
		{"an unknown column", "username,phone,age\n", "the column \"phone\" means nothing here", roster.Options{}},
		{"every unknown column", "username,phone,age\n", "the column \"age\" means nothing here", roster.Options{}},
		{"passwords in clear", "username,password\n", "passwords in clear are not taken", roster.Options{}},
		{"a column twice", "username,email,Email\n", "two columns mean email", roster.Options{}},
		{"nobody's name", "id,name\n", "of no format", roster.Options{}},
		{"nobody's name by force", "id,name\n", "no column means username or email", roster.Options{Format: roster.CSV}},
		{"a meaning for no column", "username\n", `there is no column "x"`, roster.Options{Columns: map[string]string{"x": "name"}}},
		{"a meaning that is none", "username,x\n", "the meanings are", roster.Options{Columns: map[string]string{"x": "confirmed"}}},
		{"a meaning that is none, in JSON", "{}", "the meanings are", roster.Options{Columns: map[string]string{"x": "deleted"}}},
		{"columns of an htpasswd", "a:b", "no columns", roster.Options{Columns: map[string]string{"x": "name"}}},
		{"an unknown format", "a:b", "unknown format", roster.Options{Format: "xml"}},
		{"a long line", "a:" + strings.Repeat("b", 1<<20), "line 1 is longer than 1024 KiB", roster.Options{}},
		{"a long header", "username" + strings.Repeat(",", 1<<20), "the header cannot be read: is too long", roster.Options{}},
		{"a record of commas", "username\nalice\n" + strings.Repeat(",", 2<<20), "what follows line 2 is longer than 1024 KiB", roster.Options{}},
		{"a long cell", "username\n\"" + strings.Repeat("a\n", 1<<20) + "\"\n", "what follows line 1 is longer than 1024 KiB", roster.Options{}},
		{"too many", "username\n" + strings.Repeat("a\n", 100_001), "more than 100000 accounts", roster.Options{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := roster.Read(strings.NewReader(test.text), test.o)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// endless is a file without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestAFileWithoutAnEndIsGivenUp(t *testing.T) {
	for _, start := range []string{"username\n\"", "{", "a:"} {
		_, err := roster.Read(&prefixed{start, endless{}}, roster.Options{})
		if err == nil || !strings.Contains(err.Error(), "larger than") && !strings.Contains(err.Error(), "longer than") {
			t.Errorf("%q and so on: %v", start, err)
		}
	}
}

type prefixed struct {
	start string
	rest  endless
}

func (p *prefixed) Read(b []byte) (int, error) {
	if p.start == "" {
		return p.rest.Read(b)
	}
	n := copy(b, p.start)
	p.start = p.start[n:]
	return n, nil
}

// said are the faults of a list as lines, without what nobody reads.
func said(list *roster.List) []string {
	var all []string
	for _, e := range list.Entries {
		for _, f := range e.Faults {
			all = append(all, fmt.Sprintf("%d %s: %s", e.Line, f.Field, f.Message))
		}
	}
	return all
}

func TestEveryLineThatIsWrongIsToldByItsNumber(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"csv", "\ufeffusername,name,disabled,fields\r\na,\"two\r\nlines\",,\r\n\r\nb,x\r\nc,x,maybe,\r\nd,x,no,[]\r\ne,\"x\" y,,\r\nf,x,,\"{\"\"a\"\":1}\"\r\ng,\xff,,\r\n", []string{
			"5 line: has 2 columns, the header has 4", "6 disabled: must be true or false", "7 fields: must be one JSON object",
			"8 line: extraneous or missing \" in quoted-field", "9 fields: must be a text or a list of texts", "10 line: is not UTF-8",
		}},
		{"csv that ends in quotes", "username\na\n\"b", []string{"3 line: extraneous or missing \" in quoted-field"}},
		{"json lines", `{"username":"a"}` + "\n\n" + `{"username":"b",}` + "\n" + `{"usrname":"c"}` + "\n" + `{"username":"d","username":"e"}` + "\n" + `{"username":5}` + "\n" +
			`{"username":"f","roles":["a|b"]}` + "\n" + `{"username":"g","roles":{}}` + "\n" + `{"username":"h","fields":{"x":{"y":1}}}` + "\n" + `{"username":"i"} {}` + "\n" + `"j"` + "\n" + `{"username":"\ud800"}` + "\n{\"username\":\"\xff\"}\n" + `{"a":{"a":{"a":{"a":{}}}}}` + "\n" + `{"username":"k","created":"yesterday"}`, []string{
			"3 line: must be one JSON object", "4 usrname: means nothing here", "5 line: has the member \"username\" twice", "6 username: is of another type",
			"7 roles: must not contain |", "8 roles: is of another type", "9 fields: must be a text or a list of texts", "10 line: must be one JSON object",
			"11 line: must be one JSON object", "13 line: is not UTF-8", "14 line: must be one JSON object", "15 created: must be a time such as 2006-01-02T15:04:05Z07:00",
		}},
		{"htpasswd", "a:x\r\n#\r\nb\r\n\xff:x\r\n", []string{"3 line: must be a name, a colon and a password hash", "4 line: is not UTF-8"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := said(read(t, test.text, roster.Options{})); !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestWhatIsLeftOutIsNamed(t *testing.T) {
	list := read(t, "id,password,last_login,is_superuser,username,email,is_staff,is_active,date_joined,phone\n", roster.Options{})
	if want := []string{"last_login", "is_superuser", "is_staff", "phone"}; !slices.Equal(list.LeftOut, want) {
		t.Errorf("left out %v, want %v", list.LeftOut, want)
	}
}

func TestAColumnCanBeGivenAnotherMeaning(t *testing.T) {
	for _, text := range []string{
		"Login,Mail,Password,Age,phone\nalice,a@example.org," + hash + ",30,12\n",
		`{"Login":"alice","Mail":"a@example.org","Password":"` + hash + `","Age":30,"phone":"12"}`,
	} {
		list := read(t, text, roster.Options{Columns: map[string]string{"Login": "username", "Mail": "email", "Password": "password_hash", "Age": "", "phone": "field:phone"}})
		e := list.Entries[0]
		if a := e.Account; len(e.Faults) > 0 || len(list.LeftOut) > 0 || a.Username != "alice" || a.Email != "a@example.org" || a.PasswordHash != hash || a.Fields["phone"][0] != "12" {
			t.Errorf("%v, %v: %+v", e.Faults, list.LeftOut, a)
		}
	}
}

// A report is read over a shoulder and pasted into tickets: no error and no
// fault repeats what stands in a file.
func TestNoHashIsInAnyFault(t *testing.T) {
	const secret = "S3CRET"
	for _, text := range []string{
		"username,password_hash,disabled\na,b,$" + secret + "\n",
		"username,password_hash,created\na,b,$" + secret + "\n",
		"username,password_hash\na,\"$" + secret + "\" x\n",
		"username,fields\na,{" + secret + "}\n",
		"username\na,$" + secret + "\n",
		`{"username":"a","disabled":"$` + secret + `"}`,
		`{"username":"a","password_hash":"$` + secret + `}`,
		`{"username":"a","roles":[{"x":"$` + secret + `"}]}`,
		"a:b\n$" + secret + "\n",
	} {
		list := read(t, text, roster.Options{})
		if got := strings.Join(said(list), "\n"); got == "" || strings.Contains(got, secret) {
			t.Errorf("%q is told so: %q", text, got)
		}
	}
}
