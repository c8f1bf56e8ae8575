package auth

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// What a token is decoded into must not be had under an added name: the list of
// reserved names follows the types.
func TestEveryNameThatATokenIsReadByIsReserved(t *testing.T) {
	for _, read := range []reflect.Type{reflect.TypeFor[claims](), reflect.TypeFor[tokenHeader]()} {
		for i := range read.NumField() {
			name, _, _ := strings.Cut(read.Field(i).Tag.Get("json"), ",")
			if read.Field(i).IsExported() && !isReserved(name) {
				t.Errorf("%s of %s is not reserved", name, read)
			}
		}
	}
	for _, name := range []string{"iss", "SUB", "Roles", "eXp", "typ"} {
		if ClaimFault(Claim{Name: name, Constant: "x"}) == "" {
			t.Errorf("%s may be added", name)
		}
	}
}

func TestAnotherSpellingOfAClaimIsNoSecondOne(t *testing.T) {
	f := newForge(t, "ES256")
	text := jsonText(t, f.good())
	more := func(member string) string { return strings.TrimSuffix(text, "}") + "," + member + "}" }
	for _, bad := range []string{`"ISS":"x"`, `"Sub":"root"`, `"ROLES":["admin"]`, `"Exp":99999999999`, `"VER":9`, `"Fields":{"a":["b"]}`, `"isAdmin":true,"ISADMIN":false`, `"isAdmin":true,"isAdmin":false`} {
		f.refused(f.sign(f.header(), more(bad)))
	}
	for _, good := range []string{`"isAdmin":true`, `"_id":"7"`, `"tokenType":"access"`, `"Rolex":1`} {
		if p, err := f.Verify(f.sign(f.header(), more(good))); err != nil || p.ID == "root" {
			t.Errorf("%s: %+v, %v", good, p, err)
		}
	}
	f.refused(f.sign(more(`"Alg":"none"`), f.good()))
}

// Added claims are written behind the others, and every reader sees both.
func TestAddedClaimsMakeOneObject(t *testing.T) {
	c := claims{Issuer: "i", Subject: "s", Roles: []string{}, added: map[string]any{"b": "<&>", "a": true, "_id": int64(7), "list": []string{"x"}}}
	text, err := c.payload()
	if err != nil || !json.Valid(text) || !unambiguous(text) {
		t.Fatalf("%s (%v)", text, err)
	}
	if !strings.HasSuffix(string(text), `,"_id":7,"a":true,"b":"<&>","list":["x"]}`) || !strings.HasPrefix(string(text), `{"iss":"i","sub":"s"`) {
		t.Errorf("got %s", text)
	}
	c.added = nil
	if plain, err := c.payload(); err != nil || !strings.HasPrefix(string(text), strings.TrimSuffix(string(plain), "}")) {
		t.Errorf("got %s (%v)", plain, err)
	}
}
