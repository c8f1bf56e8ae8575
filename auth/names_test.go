package auth

import (
	"bytes"
	"crypto/rand"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestNamesThatLookAlikeFoldToOne(t *testing.T) {
	for name, want := range map[string]string{
		"Alice": "alice", "ＡＬＩＣＥ": "alice", "Straße": "strasse", "ﬁona": "fiona", "\u00c9": "\u00e9", "E\u0301": "\u00e9",
		"\u212a": "k", "\u017fam": "sam", "Σίσυφος": "σίσυφοσ", "A@Example.COM": "a@example.com", "①": "1", "": "",
	} {
		if got := Fold(name); got != want {
			t.Errorf("%q folds to %q, want %q", name, got, want)
		}
	}
}

func TestFoldingAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		if once := Fold(name); Fold(once) != once {
			t.Errorf("%q folds to %q, then to %q", name, once, Fold(once))
		}
	})
}

func TestUsernamesAreNeverSomethingElse(t *testing.T) {
	for _, test := range []struct{ name, email, fault string }{
		{"alice", "", ""},
		{"alice@example.com", "alice@example.com", ""},
		{"Alice@Example.com", "alice@example.com", ""},
		{"John Doe", "", ""},
		{"домовой", "", ""},
		{"DOMAIN\\alice", "", ""},
		{"cafe", "", ""}, // hexadecimal, but no id
		{"", "", "empty"},
		{"alice@example.com", "", "@"},
		{"alice@example.com", "bob@example.com", "@"},
		{"alice＠example.com", "", "@"}, // fullwidth
		{"42", "", "id"},
		{"４２", "", "id"}, // fullwidth
		{"٤٢", "", "id"}, // Arabic, which Python's int reads
		{"6fa459ea-ee8a-3ca4-894e-db77e160355e", "", "id"},
		{"6FA459EA-EE8A-3CA4-894E-DB77E160355E", "", "id"},
		{"6fa459eaee8a3ca4894edb77e160355e", "", "id"},
		{"{6fa459ea-ee8a-3ca4-894e-db77e160355e}", "", "id"},
		{"urn:uuid:6fa459ea-ee8a-3ca4-894e-db77e160355e", "", "id"},
		{"507f1f77bcf86cd799439011", "", "id"},
		{"a,b", "", "comma"},
		{"a，b", "", "comma"}, // fullwidth
		{"a|b", "", "comma"},
		{"a\r\nX-Auth-Roles: admin", "", "control"},
		{"a\x00", "", "control"},
		{"a\u202Eb", "", "control"}, // right-to-left override
		{"a\u200Bb", "", "control"}, // zero width space
		{"a\u00a0b", "", "control"},
		{"a\xffb", "", "control"},
		{" a", "", "spaces"},
		{"a ", "", "spaces"},
		{strings.Repeat("x", 129), "", "longer"},
	} {
		got := usernameFault(test.name, test.email)
		if (got == "") != (test.fault == "") || !strings.Contains(got, test.fault) {
			t.Errorf("%q (%q): %q, want %q", test.name, test.email, got, test.fault)
		}
	}
}

func TestEmailAddressesHaveOneReading(t *testing.T) {
	for _, good := range []string{"a@b", "alice+tag@example.com", "jürgen@müller.example"} {
		if msg := emailFault(good); msg != "" {
			t.Errorf("%q: %s", good, msg)
		}
	}
	for _, bad := range []string{
		"a", "@b", "a@", "a@b@c", "a＠b@c", "a b@c", "a@b\r\nBcc: x@y", `"a"@b`, "<a@b>", "a,b@c", "a|b@c", "a@b\x00",
		strings.Repeat("x", 250) + "@b.cd",
	} {
		if emailFault(bad) == "" {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestRolesAndIdsHoldNoSeparator(t *testing.T) {
	for _, bad := range []string{"", "a b", "a,b", "a|b", "a\n", "a\u200b", strings.Repeat("r", 65)} {
		if roleFault(bad) == "" {
			t.Errorf("role %q is taken", bad)
		}
		if bad != strings.Repeat("r", 65) && idFault(bad) == "" {
			t.Errorf("id %q is taken", bad)
		}
	}
	if roleFault("ROLE_ADMIN:x/y") != "" || idFault("auth0:42") != "" || idFault("a@b") == "" || idFault(strings.Repeat("i", 129)) == "" {
		t.Error("wrong about a role or an id")
	}
	if faults := roleFaults([]string{"user", "ghost", "user"}, []string{"user", "admin"}); len(faults) != 2 {
		t.Errorf("faults %+v", faults)
	}
}

func TestNewIdsHaveTheFormThatForeignKeysExpect(t *testing.T) {
	now := time.Unix(0x5f5e1000, 0)
	forms := map[string]*regexp.Regexp{
		formatUUID:     regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`),
		formatInteger:  regexp.MustCompile(`^[12][0-9]{9}$`),
		formatObjectID: regexp.MustCompile(`^5f5e1000[0-9a-f]{16}$`),
	}
	for format, form := range forms {
		seen := map[string]bool{}
		for range 200 {
			id, err := newID(format, rand.Reader, now)
			if err != nil || !form.MatchString(id) || seen[id] || !idForm.MatchString(id) || idFault(id) != "" {
				t.Fatalf("%s: %q %v", format, id, err)
			}
			seen[id] = true
			if n, err := strconv.ParseInt(id, 10, 32); format == formatInteger && (err != nil || n < 1e9) {
				t.Errorf("%s does not fit a column of 32 bits: %v", id, err)
			}
		}
		if id, err := newID(format, bytes.NewReader([]byte{1, 2}), now); err == nil {
			t.Errorf("%s: %q without randomness", format, id)
		}
	}
}

// anyControl passes over printable ASCII; that is all it does of its own.
func TestAnyControlFindsWhatIsControlFinds(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		odd := isControl(r) || !utf8.ValidRune(r)
		if text := string(r); anyControl("plain", text) != odd || anyControl("before "+text+" after") != odd || anyControl("é"+text) != odd {
			t.Fatalf("%U: want %t", r, odd)
		}
	}
	for b := range 256 {
		text := string([]byte{'a', byte(b)})
		if want := strings.ContainsFunc(text, isControl); anyControl(text) != want {
			t.Errorf("%q: want %t", text, want)
		}
	}
	if anyControl() || anyControl("", "plain text ~") {
		t.Error("found something in nothing")
	}
}
