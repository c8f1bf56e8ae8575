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

// one reads a file with one account.
func one(t *testing.T, text string, o roster.Options) roster.Entry {
	t.Helper()
	list := read(t, text, o)
	if len(list.Entries) != 1 {
		t.Fatalf("%d entries in %q", len(list.Entries), text)
	}
	return list.Entries[0]
}

func TestYesAndNoAreReadAsDatabasesAndSpreadsheetsWriteThem(t *testing.T) {
	for value, want := range map[string]string{
		"true": "yes", "TRUE": "yes", "t": "yes", "1": "yes", "yes": "yes", "Y": "yes",
		"false": "no", "False": "no", "f": "no", "0": "no", "no": "no", "N": "no",
		"": "usual", "2": "fault", "on": "fault", " true": "fault", "null": "fault",
	} {
		for column, is := range map[string]struct {
			of    func(auth.Imported) bool // what the column says yes to
			usual bool
		}{
			"disabled":       {func(a auth.Imported) bool { return a.Disabled }, false},
			"active":         {func(a auth.Imported) bool { return !a.Disabled }, true},
			"email_verified": {func(a auth.Imported) bool { return !a.Unverified }, true},
		} {
			e := one(t, fmt.Sprintf("username,%s\na,%s\n", column, value), roster.Options{})
			got := map[bool]string{true: "yes", false: "no"}[is.of(e.Account)]
			expected := want
			if want == "usual" || want == "fault" {
				expected = map[bool]string{true: "yes", false: "no"}[is.usual]
			}
			if got != expected || (len(e.Faults) > 0) != (want == "fault") {
				t.Errorf("%s of %q: %s, %v; want %s", column, value, got, e.Faults, want)
			}
		}
	}
}

func TestTimesAreReadAsDatabasesWriteThem(t *testing.T) {
	at := time.Date(2021, 5, 6, 7, 8, 9, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "0000-00-00 00:00:00": {}, "0000-00-00": {},
		"2021-05-06T07:08:09Z": at, "2021-05-06T09:08:09+02:00": at, "2021-05-06 07:08:09": at, "2021-05-06 07:08:09+00": at,
		"2021-05-06 09:08:09+02:00": at, "2021-05-06 07:08:09 UTC": at, "2021-05-06T07:08:09": at,
		"2021-05-06 07:08:09.123456+00":  at.Add(123456 * time.Microsecond),
		"2021-05-06T07:08:09.123Z":       at.Add(123 * time.Millisecond),
		"2021-05-06 07:08:09.123456 UTC": at.Add(123456 * time.Microsecond),
		"2021-05-06":                     at.Truncate(24 * time.Hour),
	} {
		e := one(t, "username,created\na,"+text+"\n", roster.Options{})
		if len(e.Faults) > 0 || !e.Account.Created.Equal(want) {
			t.Errorf("%q: %s, %v", text, e.Account.Created, e.Faults)
		}
	}
	for _, text := range []string{"yesterday", "06.05.2021", "1620284889", "2021-13-01", "2021-05-06 25:00:00"} {
		if e := one(t, "username,created\na,"+text+"\n", roster.Options{}); len(e.Faults) != 1 || !e.Account.Created.IsZero() {
			t.Errorf("%q: %s, %v", text, e.Account.Created, e.Faults)
		}
	}
}

func TestRolesAreSplitAtTheBar(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, "|": nil, "user": {"user"}, "user|admin": {"user", "admin"}, " user | admin ": {"user", "admin"}, "user||admin|": {"user", "admin"}, "user,admin": {"user,admin"},
	} {
		if e := one(t, "username;roles\na;"+text+"\n", roster.Options{}); !slices.Equal(e.Account.Roles, want) {
			t.Errorf("%q: %q", text, e.Account.Roles)
		}
	}
}

func TestProfileFieldsAreReadFromColumnsAndFromJSON(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       map[string][]string
	}{
		{"none", "username,fields,field:a\nx,,\n", nil},
		{"an empty object", "username,fields\nx,{}\n", nil},
		{"a column", "username,field:Tel\nx,1\n", map[string][]string{"Tel": {"1"}}},
		{"a column with what looks like a list", "username,field:tel\nx,1|2\n", map[string][]string{"tel": {"1|2"}}},
		{"JSON", `username;fields` + "\n" + `x;"{""a"":""1"",""b"":[""2"",""3""],""c"":null,""d"":[]}"`, map[string][]string{"a": {"1"}, "b": {"2", "3"}}},
		{"both", `username;fields;field:b` + "\n" + `x;"{""a"":""1""}";2`, map[string][]string{"a": {"1"}, "b": {"2"}}},
		{"an empty text in JSON", `username;fields` + "\n" + `x;"{""a"":""""}"`, map[string][]string{"a": {""}}},
		{"JSON lines", `{"username":"x","fields":{"a":["1"]},"field:b":"2","field:c":["3","4"]}`, map[string][]string{"a": {"1"}, "b": {"2"}, "c": {"3", "4"}}},
		{"JSON lines with JSON in a text", `{"username":"x","fields":"{\"a\":\"1\"}"}`, map[string][]string{"a": {"1"}}},
	} {
		e := one(t, test.text, roster.Options{})
		if len(e.Faults) > 0 || !reflect.DeepEqual(e.Account.Fields, test.want) {
			t.Errorf("%s: %v, %v", test.name, e.Account.Fields, e.Faults)
		}
	}
}

func TestTheWholeNameGoesBeforeItsParts(t *testing.T) {
	for text, want := range map[string]string{
		"username,name,first_name,last_name\nx,Ada,A,B\n": "Ada",
		"username,name,first_name,last_name\nx,,A,B\n":    "A B",
		"username,first_name,last_name\nx,,B\n":           "B",
		"username,last_name,first_name\nx,B,A\n":          "A B",
	} {
		if e := one(t, text, roster.Options{}); e.Account.Name != want {
			t.Errorf("%q: %q", text, e.Account.Name)
		}
	}
}

// NULL is a word of the database in a table, and may be a person in a list.
func TestWhatDatabasesWriteForNoValueIsNone(t *testing.T) {
	e := one(t, "id,user_login,user_pass,user_email,display_name\n1,NULL,NULL,\\N,NULL\n", roster.Options{})
	if a := e.Account; a.Username != "NULL" || a.PasswordHash != "" || a.Email != "" || a.Name != "" {
		t.Errorf("of a table: %+v", a)
	}
	e = one(t, "username,name\nNULL,NULL\n", roster.Options{})
	if a := e.Account; a.Username != "NULL" || a.Name != "NULL" {
		t.Errorf("of a list: %+v", a)
	}
	// Only Django writes ! before what is no hash; elsewhere it is none that is known.
	e = one(t, "username,password_hash\na,!\n", roster.Options{})
	if e.Account.PasswordHash != "!" {
		t.Errorf("of a list: %+v", e.Account)
	}
}

// Whoever marked an account as gone, in any of the ways, does not get it back.
func TestDeletedAndInactiveAccountsComeDisabled(t *testing.T) {
	for text, want := range map[string]bool{
		"id,email,encrypted_password\n1,a@b,x\n":                                     false,
		"id,email,encrypted_password,deleted_at\n1,a@b,x,\n":                         false,
		"id,email,encrypted_password,deleted_at\n1,a@b,x,NULL\n":                     false,
		"id,email,encrypted_password,deleted_at\n1,a@b,x,2020-01-01\n":               true,
		"id,email,encrypted_password,discarded_at,deleted_at\n1,a@b,x,2020-01-01,\n": true,
		"id,email,encrypted_password,discarded_at,deleted_at\n1,a@b,x,,2020-01-01\n": true,
		"ID,user_login,user_pass,deleted,spam\n1,a,x,0,0\n":                          false,
		"ID,user_login,user_pass,deleted,spam\n1,a,x,0,1\n":                          true,
		"ID,user_login,user_pass,deleted,spam\n1,a,x,1,0\n":                          true,
		"id,username,password,is_active\n1,a,x,1\n":                                  false,
		"id,username,password,is_active\n1,a,x,False\n":                              true,
		"username,disabled,active\na,true,true\n":                                    true,
		"username,active,disabled\na,false,false\n":                                  true,
	} {
		if e := one(t, text, roster.Options{}); e.Account.Disabled != want || len(e.Faults) > 0 {
			t.Errorf("%q: disabled %t, %v", text, e.Account.Disabled, e.Faults)
		}
	}
}

// What a file calls its columns may be a hash, when it has no header, or ruin a
// terminal.
func TestNoNameOfAColumnIsShownThatIsNone(t *testing.T) {
	for _, text := range []string{
		"alice,$2y$10$S3CRETS3CRET\n",
		"alice,5f4dcc3b5aa765d61d8327deb882cf99\n",
		"username,\x1b[31mS3CRET\n",
	} {
		_, err := roster.Read(strings.NewReader(text), roster.Options{Format: roster.CSV})
		if err == nil || !strings.Contains(err.Error(), "(not shown)") || strings.Contains(err.Error(), "S3CRET") || strings.Contains(err.Error(), "5f4d") {
			t.Errorf("%q: %v", text, err)
		}
	}
	list := read(t, "user_login,user_pass,\x1b[31mS3CRET,age\na,x,,\n", roster.Options{})
	if !slices.Equal(list.LeftOut, []string{"(not shown)", "age"}) {
		t.Errorf("left out %q", list.LeftOut)
	}
	if got := said(read(t, `{"username":"a","\u001b[31mS3CRET":1}`, roster.Options{})); !slices.Equal(got, []string{"1 (not shown): means nothing here"}) {
		t.Errorf("got %q", got)
	}
}

func TestLinesAreCountedAsEditorsCountThem(t *testing.T) {
	for _, test := range []struct {
		text string
		want []int
	}{
		{"username\na\nb\nc", []int{2, 3, 4}},
		{"username\r\na\r\nb\r\n", []int{2, 3}},
		{"\n\nusername\n\na\n\n\nb\n", []int{5, 8}},
		{"username,name\na,\"x\n\ny\"\nb,z\n\"c\",\"\n\"\nd,\n", []int{2, 5, 6, 8}},
		{"username\n\"a\nb", []int{2}},
		{"\n{\"username\":\"a\"}\r\n \n{}\n", []int{2, 4}},
		{"# x\na:b\n\n#\nc:d", []int{2, 5}},
	} {
		var got []int
		for _, e := range read(t, test.text, roster.Options{}).Entries {
			got = append(got, e.Line)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q: %v, want %v", test.text, got, test.want)
		}
	}
}

func TestAFormatThatIsGivenIsNotGuessedAt(t *testing.T) {
	for _, test := range []struct {
		text   string
		format roster.Format
		check  func(auth.Imported) bool
	}{
		{"username,password,is_active\na,!x,f\n", roster.Django, func(a auth.Imported) bool { return a.Disabled && a.PasswordHash == "" }},
		{"email,password_hash\n", roster.HTPasswd, nil},
		{"username,email\na,b:c\n", roster.CSV, func(a auth.Imported) bool { return a.Email == "b:c" }},
		{"{\"x\":1}:hash\n", roster.HTPasswd, func(a auth.Imported) bool { return a.Username == `{"x"` && a.PasswordHash == "1}:hash" }},
	} {
		e := one(t, test.text, roster.Options{Format: test.format})
		if (test.check == nil) != (len(e.Faults) > 0) || test.check != nil && !test.check(e.Account) {
			t.Errorf("%s of %q: %+v", test.format, test.text, e)
		}
	}
}
