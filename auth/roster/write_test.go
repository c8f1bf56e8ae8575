package roster_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/roster"
)

// back reads what was written and answers it as accounts again.
func back(t interface{ Fatalf(string, ...any) }, format roster.Format, text string) []auth.Account {
	list, err := roster.Read(strings.NewReader(text), roster.Options{Format: format})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var all []auth.Account
	for _, e := range list.Entries {
		if len(e.Faults) > 0 {
			t.Fatalf("line %d: %v\n%s", e.Line, e.Faults, text)
		}
		a := e.Account
		all = append(all, auth.Account{
			ID: a.ID, Username: a.Username, Email: a.Email, EmailVerified: a.Email != "" && !a.Unverified, Name: a.Name, Roles: a.Roles,
			Fields: a.Fields, PasswordHash: a.PasswordHash, Disabled: a.Disabled, Created: a.Created,
		})
	}
	return all
}

// texts are what separators, quotes and spreadsheets make trouble of.
func texts() *rapid.Generator[string] {
	nasty := []string{`"`, ",", ";", "|", "=1+1", "@x", "\t", " ", "'", `\`, `\N`, "NULL", "#", "ü", "漢字", "🦊", "a", "<b>&", "\u2028", ":", "{", "}", "é"}
	return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(nasty), 0, 6), func(parts []string) string { return strings.Join(parts, "") })
}

func someText() *rapid.Generator[string] {
	return rapid.Map(texts(), func(s string) string { return s + "x" })
}

// TestWhatIsWrittenComesBack is the promise of export: nothing is lost, in
// either format, and the format is recognised.
func TestWhatIsWrittenComesBack(t *testing.T) {
	role := rapid.SampledFrom([]string{"user", "admin", "ROLE_X", "rôle", "a b"})
	rapid.Check(t, func(t *rapid.T) {
		var accounts []auth.Account
		for range rapid.IntRange(1, 4).Draw(t, "accounts") {
			a := auth.Account{
				ID: someText().Draw(t, "id"), Username: someText().Draw(t, "username"), Name: texts().Draw(t, "name"),
				PasswordHash: texts().Draw(t, "hash"), Disabled: rapid.Bool().Draw(t, "disabled"),
				Roles:   rapid.SliceOfNDistinct(role, 0, 3, rapid.ID).Draw(t, "roles"),
				Created: time.UnixMilli(rapid.Int64Range(1, 4e12).Draw(t, "created")).UTC(),
				Fields:  rapid.MapOfN(someText(), rapid.SliceOfN(texts(), 1, 3), 0, 3).Draw(t, "fields"),
			}
			if rapid.Bool().Draw(t, "has an address") {
				a.Email, a.EmailVerified = someText().Draw(t, "email"), rapid.Bool().Draw(t, "verified")
			}
			accounts = append(accounts, a)
		}
		for _, format := range []roster.Format{roster.CSV, roster.JSONLines} {
			var out bytes.Buffer
			if err := roster.Write(&out, format, accounts); err != nil {
				t.Fatal(err)
			}
			for _, given := range []roster.Format{format, ""} {
				got := back(t, given, out.String())
				for i := range got {
					got[i].Roles = append([]string{}, got[i].Roles...)
					if got[i].Fields == nil {
						got[i].Fields = map[string][]string{}
					}
				}
				if !reflect.DeepEqual(got, accounts) {
					t.Fatalf("%s\n got %+v\nwant %+v\n%s", format, got, accounts, out.String())
				}
			}
		}
	})
}

func TestOnlyCSVAndJSONLinesAreWritten(t *testing.T) {
	var out bytes.Buffer
	if err := roster.Write(&out, roster.HTPasswd, nil); err == nil || out.Len() > 0 {
		t.Errorf("htpasswd was written: %v, %q", err, out.String())
	}
	for format, want := range map[roster.Format]string{roster.CSV: "id,username,email,email_verified,name,roles,disabled,created,password_hash,fields\n", roster.JSONLines: ""} {
		out.Reset()
		if err := roster.Write(&out, format, nil); err != nil || out.String() != want {
			t.Errorf("nobody as %s: %q, %v", format, out.String(), err)
		}
	}
}

// full is a disk without room.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestAFullDiskIsAnError(t *testing.T) {
	for _, format := range []roster.Format{roster.CSV, roster.JSONLines} {
		if err := roster.Write(full{}, format, []auth.Account{{Username: "a"}}); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// fuzz reads whatever comes: it must end, show no cell and give each line once.
func fuzz(f *testing.F, format roster.Format, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, given := range []roster.Format{format, ""} {
			list, err := roster.Read(strings.NewReader(text), roster.Options{Format: given})
			if err != nil {
				continue
			}
			before := 0
			for _, e := range list.Entries {
				if e.Line <= before {
					t.Fatalf("line %d after line %d", e.Line, before)
				}
				before = e.Line
			}
			if lines := strings.Count(text, "\n") + 1; before > lines {
				t.Fatalf("line %d of %d", before, lines)
			}
			if !slices.Contains(roster.Formats(), list.Format) {
				t.Fatalf("format %q", list.Format)
			}
		}
	})
}

func FuzzReadCSV(f *testing.F) {
	fuzz(f, roster.CSV, "username,name\na,b\n", "\ufeffusername;roles\r\na;\"x\r\ny\"\r\n", "username,fields\na,{}\n\"", "id,password,username,is_active\n1,!,a,t\n", "\n\nusername\n\na")
}

func FuzzReadJSONLines(f *testing.F) {
	fuzz(f, roster.JSONLines, `{"username":"a","roles":["b"],"fields":{"c":["d"]}}`, "{}\n\n{\"a\":{\"a\":{}}}", `{"id":1e9,"id":2}`, "[", "{\"a\":\"\xff\"}")
}

func FuzzReadHTPasswd(f *testing.F) {
	fuzz(f, roster.HTPasswd, "a:b\n", "#\n\na:$apr1$x$y:z\r\n", ":", "a")
}

// FuzzReadTables reads the tables of other systems.
func FuzzReadTables(f *testing.F) {
	f.Add("id,username,password,is_active,date_joined\n1,a,!x,t,2020-01-01\n", uint64(0))
	f.Add("id,email,encrypted_password,confirmed_at\n1,a@b,x,\\N\n", uint64(1))
	f.Add("ID,user_login,user_pass\n1,a,NULL\n", uint64(2))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		tables := []roster.Format{roster.Django, roster.Devise, roster.WordPress}
		format := tables[rand.New(rand.NewPCG(seed, 0)).IntN(len(tables))]
		list, err := roster.Read(strings.NewReader(text), roster.Options{Format: format})
		if err == nil && list.Format != format {
			t.Fatalf("read as %s, said %s", format, list.Format)
		}
	})
}
