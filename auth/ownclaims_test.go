package auth

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// ownText is how the gateway writes claims that hold everything it can write.
func ownText(t testing.TB) string {
	t.Helper()
	text, err := fullClaims().payload()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func fullClaims() claims {
	return claims{
		Issuer: forgeIssuer, Subject: "a1", Audience: audience{"postern"}, Expires: 1_800_000_600, Issued: 1_800_000_000,
		ID: "j", Session: "s1", Roles: []string{"user", "clerk"}, Username: "alice", Name: "Älice", Email: "alice@example.org",
		AuthTime: 1_800_000_000, Version: 1, Fields: map[string][]string{"phone": {"1", "2"}, "tenant": {}},
	}
}

// sameReading fails the test where ownClaims accepts what decodeStrict does not,
// or reads anything else in it. It reports whether ownClaims accepts.
func sameReading(t interface{ Fatalf(string, ...any) }, text string) bool {
	own, ok := ownClaims(text)
	if !ok {
		if !reflect.DeepEqual(own, claims{}) {
			t.Fatalf("%q is left to the other, and yet read as %+v", text, own)
		}
		return false
	}
	var c claims
	if err := decodeStrict([]byte(text), &c, false); err != nil {
		t.Fatalf("%q is accepted, where decodeStrict says %v", text, err)
	}
	if !reflect.DeepEqual(own, c) {
		t.Fatalf("%q is read as\n%#v, where decodeStrict reads\n%#v", text, own, c)
	}
	return true
}

// What is written is read, and as it was: with every member and with the fewest.
func TestOwnClaimsReadsWhatIsWritten(t *testing.T) {
	for name, change := range map[string]func(*claims){
		"everything":        func(*claims) {},
		"no name":           func(c *claims) { c.Name = "" },
		"no email":          func(c *claims) { c.Email = "" },
		"no fields":         func(c *claims) { c.Fields = nil },
		"the fewest":        func(c *claims) { c.Name, c.Email, c.Fields = "", "", nil },
		"no roles":          func(c *claims) { c.Roles = []string{} },
		"many roles":        func(c *claims) { c.Roles = strings.Split(strings.Repeat("r,", 99)+"r", ",") },
		"several audiences": func(c *claims) { c.Audience = audience{"postern", "other"} },
		"no audience":       func(c *claims) { c.Audience = audience{} },
		"empty texts":       func(c *claims) { c.Issuer, c.Subject, c.ID, c.Username, c.Roles = "", "", "", "", []string{""} },
		"zero":              func(c *claims) { c.Expires, c.Issued, c.AuthTime, c.Version = 0, 0, 0, 0 },
		"18 digits":         func(c *claims) { c.Version = 999_999_999_999_999_999 },
		"<&> and such":      func(c *claims) { c.Name = "<&>[]{}:,'\x7f" },
		"every script":      func(c *claims) { c.Name, c.Roles = "Ω 木 🙂 \ufffd", []string{"é", "ß"} },
		"camel case":        func(c *claims) { c.Fields = map[string][]string{"costCentre": {"7"}, "Tel-2_b": {"8"}} },
		"64 fields":         func(c *claims) { c.Fields = manyFields(maxMembers) },
	} {
		want := fullClaims()
		change(&want)
		text, err := want.payload()
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := ownClaims(string(text)); !ok || !reflect.DeepEqual(got, want) || !sameReading(t, string(text)) {
			t.Errorf("%s: %s is read as %+v (%t)", name, text, got, ok)
		}
	}
}

func manyFields(n int) map[string][]string {
	fields := map[string][]string{}
	for i := range n {
		fields[fmt.Sprintf("f%d", i)] = []string{"x"}
	}
	return fields
}

// A claim that is added to the struct is added to the reader, or every token is
// read the long way and nobody notices.
func TestOwnClaimsKnowsEveryClaimThatIsWritten(t *testing.T) {
	full := reflect.ValueOf(fullClaims())
	for i := range full.NumField() {
		if field := full.Type().Field(i); field.IsExported() && field.Name != "Before" && full.Field(i).IsZero() {
			t.Errorf("fullClaims has no %s", field.Name)
		}
	}
	if !sameReading(t, ownText(t)) {
		t.Errorf("%s is left to decodeStrict", ownText(t))
	}
}

// Whatever is spelled in another way is left to decodeStrict, be it good or bad.
func TestOwnClaimsLeavesEveryOtherSpelling(t *testing.T) {
	text := ownText(t)
	for _, test := range []struct{ name, old, new string }{
		{"space before", `{"iss"`, ` {"iss"`},
		{"space inside", `"sub":`, `"sub": `},
		{"space after", `}}`, `}} `},
		{"line end after", `}}`, "}}\n"},
		{"another object after", `}}`, `}}{}`},
		{"null byte after", `}}`, "}}\x00"},
		{"no end", `}}`, `}`},
		{"byte order mark", `{"iss"`, "\ufeff{\"iss\""},
		{"member twice", `,"sub":"a1"`, `,"sub":"a1","sub":"root"`},
		{"member twice, at the end", `}}`, `},"sub":"root"}`},
		{"member in another case", `"sub"`, `"SUB"`},
		{"member in both cases", `,"sub":"a1"`, `,"sub":"a1","SUB":"root"`},
		{"member that is unknown", `,"sub"`, `,"admin":true,"sub"`},
		{"member that a frontend added", `}}`, `},"admin":true}`},
		{"name with an escape", `"sub"`, `"s\u0075b"`},
		{"member missing", `,"jti":"j"`, ``},
		{"members in another order", `,"exp":1800000600,"iat":1800000000`, `,"iat":1800000000,"exp":1800000600`},
		{"optional members in another order", `"name":"Älice","email":"alice@example.org"`, `"email":"alice@example.org","name":"Älice"`},
		{"nbf", `,"jti"`, `,"nbf":1800000000,"jti"`},
		{"no comma", `,"sub"`, `"sub"`},
		{"two commas", `,"sub"`, `,,"sub"`},
		{"quote escaped", `"alice"`, `"al\"ice"`},
		{"letter escaped", `"alice"`, `"\u0061lice"`},
		{"backslash at the end", `"alice"`, `"alice\"`},
		{"surrogate", `"alice"`, `"\ud800"`},
		{"control character", `"alice"`, "\"ali\x1fce\""},
		{"line end in a string", `"alice"`, "\"ali\nce\""},
		{"no UTF-8", `"alice"`, "\"ali\xffce\""},
		{"half a character", `"alice"`, "\"alic\xc3\""},
		{"surrogate in UTF-8", `"alice"`, "\"\xed\xa0\x80\""},
		{"overlong UTF-8", `"alice"`, "\"\xc0\xaf\""},
		{"name that is no UTF-8", `"phone"`, "\"phon\xe9\""},
		{"name with an umlaut", `"phone"`, `"phöne"`},
		{"name with DEL", `"phone"`, "\"phone\x7f\""},
		{"name of a field twice", `"tenant":`, `"phone":`},
		{"name of a field in both cases", `"tenant":`, `"Phone":`},
		{"no fields", `{"phone":["1","2"],"tenant":[]}`, `{}`},
		{"fields are null", `{"phone":["1","2"],"tenant":[]}`, `null`},
		{"a field is null", `"tenant":[]`, `"tenant":null`},
		{"a field is a string", `"tenant":[]`, `"tenant":"x"`},
		{"a field is an object", `"tenant":[]`, `"tenant":{"a":["b"]}`},
		{"a comma after the last field", `"tenant":[]}`, `"tenant":[],}`},
		{"a comma before the first", `{"phone"`, `{,"phone"`},
		{"roles are null", `["user","clerk"]`, `null`},
		{"roles are a string", `["user","clerk"]`, `"user"`},
		{"a role is null", `["user","clerk"]`, `["user",null]`},
		{"a role is a number", `["user","clerk"]`, `["user",1]`},
		{"a role is a list", `["user","clerk"]`, `["user",["clerk"]]`},
		{"a comma after the last role", `["user","clerk"]`, `["user",]`},
		{"a comma for a role", `["user","clerk"]`, `[,]`},
		{"the audience is null", `"aud":"postern"`, `"aud":null`},
		{"the audience is a number", `"aud":"postern"`, `"aud":1`},
		{"an audience is null", `"aud":"postern"`, `"aud":["postern",null]`},
		{"subject is null", `"a1"`, `null`},
		{"subject is a number", `"a1"`, `1`},
		{"expiry is null", `1800000600`, `null`},
		{"expiry is a string", `1800000600`, `"1800000600"`},
		{"expiry is absent", `1800000600`, ``},
		{"a fraction", `1800000600`, `1800000600.0`},
		{"an exponent", `1800000600`, `1e3`},
		{"negative", `1800000600`, `-1`},
		{"negative zero", `1800000600`, `-0`},
		{"plus", `1800000600`, `+1`},
		{"zero before", `1800000600`, `01800000600`},
		{"two zeros", `1800000600`, `00`},
		{"19 digits", `1800000600`, `1000000000000000000`},
		{"the largest", `1800000600`, fmt.Sprint(math.MaxInt64)},
		{"one more than the largest", `1800000600`, `9223372036854775808`},
		{"huge", `1800000600`, strings.Repeat("9", 400)},
		{"digits of another script", `1800000600`, `١`},
	} {
		if other := strings.Replace(text, test.old, test.new, 1); other == text || sameReading(t, other) {
			t.Errorf("%s: %s is not left to decodeStrict", test.name, other)
		}
	}
	for _, other := range []string{"", "{", "{}", "[]", "null", `"iss"`, "\x00", text + text, "[" + text + "]", `{"a":` + text + "}"} {
		if sameReading(t, other) {
			t.Errorf("%s is not left to decodeStrict", other)
		}
	}
	c := fullClaims()
	c.Fields = manyFields(maxMembers + 1)
	if many, err := c.payload(); err != nil || sameReading(t, string(many)) {
		t.Errorf("more fields than decodeStrict takes are accepted (%v)", err)
	}
}

// Each byte of a payload is replaced by every other, has every other put before
// it, and is left out.
func TestNoByteMakesOwnClaimsReadAnythingElse(t *testing.T) {
	text, accepted := ownText(t), 0
	count := func(text string) {
		if sameReading(t, text) {
			accepted++
		}
	}
	for i := range len(text) {
		count(text[:i])
		count(text[:i] + text[i+1:])
		count(text[:i] + text[:i] + text[i:])
		for b := range 256 {
			count(text[:i] + string([]byte{byte(b)}) + text[i:])
			count(text[:i] + string([]byte{byte(b)}) + text[i+1:])
		}
	}
	if accepted < len(text) {
		t.Errorf("only %d of the others were accepted: nothing was compared", accepted)
	}
}

// Claims of all kinds: those that need no escape are read, and all that are read
// mean what was written.
func TestOwnClaimsReadsAllThatNeedsNoEscape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word, number := rapid.String(), rapid.Int64Range(0, 999_999_999_999_999_999)
		words := rapid.SliceOf(word)
		c := claims{
			Issuer: word.Draw(t, "iss"), Subject: word.Draw(t, "sub"), Audience: words.Draw(t, "aud"), Expires: number.Draw(t, "exp"),
			Issued: number.Draw(t, "iat"), ID: word.Draw(t, "jti"), Session: word.Draw(t, "sid"), Roles: words.Draw(t, "roles"),
			Username: word.Draw(t, "username"), Name: word.Draw(t, "name"), Email: word.Draw(t, "email"), AuthTime: number.Draw(t, "auth_time"),
			Version: number.Draw(t, "ver"), Fields: rapid.MapOf(rapid.StringMatching(`[a-z]{1,3}`), words).Draw(t, "fields"),
		}
		text, err := c.payload()
		if err != nil {
			t.Fatal(err)
		}
		if plain := !strings.Contains(string(text), `\`); sameReading(t, string(text)) != plain {
			t.Fatalf("%s is read: %t", text, !plain)
		}
	})
}

// Whenever the gateway's own reader takes a payload, the strict one takes it
// too, and both find the same in it.
func FuzzOwnClaims(f *testing.F) {
	text := ownText(f)
	f.Add(text)
	least := fullClaims()
	least.Name, least.Email, least.Fields, least.Audience = "", "", nil, audience{"a", "b"}
	small, err := least.payload()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(small))
	for _, pair := range [][2]string{
		{`}}`, `},"sub":"root"}`}, {`}}`, `}} `}, {`"sub"`, `"s\u0075b"`}, {`"alice"`, `"al\"ice"`}, {`"alice"`, "\"\xff\""}, {`"alice"`, "\"\u2028\""},
		{`1800000600`, `1e3`}, {`1800000600`, `-0`}, {`1800000600`, `9223372036854775808`}, {`1800000600`, `1.0`}, {`1800000600`, `0`},
		{`"tenant"`, `"Phone"`}, {`"tenant"`, `""`}, {`"tenant":[]`, `"tenant":null`}, {`"tenant":[]`, `"tenant":{"a":[]}`}, {`"aud":"postern"`, `"aud":[]`}, {`,"jti"`, `,"nbf":1,"jti"`},
		{`["user","clerk"]`, `[]`}, {`["user","clerk"]`, `["]","\",\""]`}, {`["user","clerk"]`, `[null]`}, {`["user","clerk"]`, `null`},
	} {
		f.Add(strings.Replace(text, pair[0], pair[1], 1))
	}
	f.Fuzz(func(t *testing.T, text string) { sameReading(t, text) })
}

// The spelling of the gateway opens nothing: what rule 9 refuses is refused in it
// too, and the good token differs from each bad one by nothing else.
func TestRule9HoldsInTheGatewaysOwnSpelling(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, f *forge) {
		header, err := f.current.Load().ring.access.header(typeAccess, "kid-1")
		if err != nil {
			t.Fatal(err)
		}
		head, text := string(header), ownText(t)
		p, err := f.Verify(f.sign(head, text))
		if err != nil || p.ID != "a1" || p.Name != "Älice" || !slices.Equal(p.Roles, []string{"user", "clerk"}) || !p.Expires.Equal(time.Unix(1_800_000_600, 0)) {
			t.Fatalf("%+v, %v", p, err)
		}
		for _, pair := range [][2]string{
			{forgeIssuer, "http://gw.tess"}, {forgeIssuer, ""}, {`"sub":"a1"`, `"sub":""`}, {`"sub":"a1"`, `"sub":"a1","sub":"root"`},
			{`"aud":"postern"`, `"aud":"other"`}, {`"aud":"postern"`, `"aud":[]`}, {`"aud":"postern"`, `"aud":["a","b"]`}, {`1800000600`, `0`},
			{`"iat":1800000000`, `"iat":0`}, {`"iat":1800000000`, `"iat":1800000001`}, {`"auth_time":1800000000`, `"auth_time":0`}, {`"ver":1`, `"ver":0`},
			{`"sid":"s1"`, `"sid":""`}, {`"alice"`, `""`}, {`"alice"`, "\"al\u200bice\""}, {`"alice"`, "\"al\x7fice\""}, {`Älice`, "Äli\u0085ce"},
			{`"clerk"`, `""`}, {`"clerk"`, "\"cl\u2028erk\""}, {`"clerk"`, "\"\xff\""}, {`["user","clerk"]`, `null`}, {`}}`, `},"roles":["admin"]}`}, {`}}`, `},"ROLES":["admin"]}`},
		} {
			bad := strings.Replace(text, pair[0], pair[1], 1)
			if bad == text {
				t.Fatalf("%s has no %s", text, pair[0])
			}
			f.refused(f.sign(head, bad))
		}
		for _, bad := range []string{
			strings.Replace(head, "kid-1", "kid-2", 1), strings.Replace(head, "at+jwt", "JWT", 1), strings.Replace(head, f.alg.name, "none", 1),
			strings.TrimSuffix(head, "}") + `,"crit":["exp"]}`, head + " {}", head + "\x00", head[:len(head)-1], "",
		} {
			f.refused(f.sign(bad, text))
		}
	})
}

// A header that is known is known for what keyFor says of it, and there is no
// other: neither a retired key's, nor that of a key of another use.
func TestAnOwnHeaderNamesTheKeyThatItsReaderFinds(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, f *forge) {
		conf, now, material := forgeConfig(f.alg), time.Now(), keyMaterial(t, f.alg)
		conf.Assertions = true
		es, _ := algorithmByName(assertionAlgorithm)
		keys := slices.Clone(f.current.Load().ring.keys)
		for _, key := range []SealedKey{
			{ID: "kid-2", Use: useSign + f.alg.name, Generation: 2, Created: now.Add(-time.Minute)},
			{ID: "gone", Use: useSign + f.alg.name, Generation: 3, Retired: now.Add(-time.Second)},
			{ID: "kid\xff", Use: useSign + f.alg.name, Generation: 4, Created: now}, // JSON writes another name than this
		} {
			keys = append(keys, openedKey{key, readKey(t, f.alg, key.ID, material)})
		}
		keys = append(keys, openedKey{SealedKey{ID: "assert", Use: useAssert + es.name, Generation: 1}, readKey(t, es, "assert", keyMaterial(t, es))})
		ring, err := newKeyring(conf, keys, now)
		if err != nil {
			t.Fatal(err)
		}
		var kids []string
		for header, key := range ring.named {
			kids = append(kids, key.id)
			if found, err := ring.keyFor([]byte(header)); err != nil || !reflect.DeepEqual(found, key) || !strings.Contains(header, key.id) {
				t.Errorf("%s is said to be of %s, but is of %s (%v)", header, key.id, found.id, err)
			}
		}
		if slices.Sort(kids); !slices.Equal(kids, []string{"kid-1", "kid-2"}) {
			t.Errorf("headers of %q are known, beside the keys %q", kids, slices.Collect(maps.Keys(ring.access.known)))
		}
	})
}

// A compact JWS has three parts, and one spelling of what they hold.
func TestAJWSIsReadInOneSpelling(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	header, payload, sig, err := jwsParts("YQ.YmI.Y2Nj")
	if err != nil || string(header) != "a" || string(payload) != "bb" || string(sig) != "ccc" {
		t.Fatalf("%q %q %q %v", header, payload, sig, err)
	}
	_, _ = append(header, "xyz"...), append(payload, "xyz"...)
	if string(header) != "a" || string(payload) != "bb" || string(sig) != "ccc" {
		t.Errorf("the parts are in each other's way: %q %q %q", header, payload, sig)
	}
	for _, good := range []string{"..", "YQ..", ".YQ.", "..YQ", "-_-_.-_-_.-_-_", encode(make([]byte, maxToken/4*3-3)) + ".."} {
		if _, _, _, err := jwsParts(good); err != nil {
			t.Errorf("%.40q is refused", good)
		}
	}
	for _, bad := range []string{
		"", ".", "YQ", "YQ.YQ", "YQ.YQ.YQ.", "YQ.YQ.YQ.YQ", ".YQ.YQ.YQ", "...", // not three
		"YR.YQ.YQ", "YQ.YR.YQ", "YQ.YQ.YR", "YWJ.YQ.YQ", // bits left over
		"Y.YQ.YQ", "YQ.Y.YQ", "YQ.YQ.Y", "YWJjY.YQ.YQ", // six bits
		"YQ==.YQ.YQ", "YQ.YQ=.YQ", "YQ.YQ.YQ==", "YQ.YQ.=", // padding
		"+/+/.YQ.YQ", "YQ.YQ.+/+/", // the other alphabet
		"Y\nQ.YQ.YQ", "YQ.\rYQ.YQ", "YQ.YQ.YQ\r\n", "\nYQ.YQ.YQ", "\n..", "..\r", // what encoding/base64 skips
		"Y Q.YQ.YQ", "YQ.YQ.YQ\x00", "YQ.YQ.YQ\xff", "YQ\xc0\xaeYQ.YQ", "ÿÿ.YQ.YQ",
		strings.Repeat("A", maxToken-1) + "..",
	} {
		if header, payload, sig, err := jwsParts(bad); err != ErrTokenMalformed || header != nil || payload != nil || sig != nil {
			t.Errorf("%.40q is read as %q %q %q (%v)", bad, header, payload, sig, err)
		}
	}
}

// What is read is what its parts are encoded to, and nothing else; and whatever
// is encoded is read.
func FuzzJWSParts(f *testing.F) {
	for _, seed := range []string{"YQ.YmI.Y2Nj", "YQ.YR.YQ", "Y\nQ.YQ.YQ", "YQ.YQ=.YQ", "...", "..", "YWJjZGVmZ2hpamts.-_-_-_-_-_-_.YWJjZGVmZ2hpamtsbQ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		encode := base64.RawURLEncoding.EncodeToString
		header, payload, sig, err := jwsParts(raw)
		if again := encode(header) + "." + encode(payload) + "." + encode(sig); err == nil && (again != raw || len(raw) > maxToken) {
			t.Errorf("%q is read, and is another spelling of %q", raw, again)
		}
		a, b := len(raw)/3, len(raw)/2
		parts := []string{raw[:a], raw[a:b], raw[b:]}
		made := encode([]byte(parts[0])) + "." + encode([]byte(parts[1])) + "." + encode([]byte(parts[2]))
		header, payload, sig, err = jwsParts(made)
		if read := []string{string(header), string(payload), string(sig)}; len(made) <= maxToken && (err != nil || !slices.Equal(read, parts)) {
			t.Errorf("%q is read as %q (%v), want %q", made, read, err, parts)
		}
	})
}
