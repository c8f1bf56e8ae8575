package policy

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestASubjectHasOneSpelling(t *testing.T) {
	for text, want := range map[string]string{
		"CN=alice,O=Example":                            "CN=alice,O=Example",
		"cn=alice,o=Example":                            "CN=alice,O=Example",
		"CN=x,DC=corp,DC=example":                       "CN=x,DC=corp,DC=example",
		"0.9.2342.19200300.100.1.25=#1603636f":          "DC=#1603636f", // a byte is missing
		"CN=x,0.9.2342.19200300.100.1.25=#1304636f7270": "CN=x,DC=corp",
		"2.5.4.3=#0c05616c696365":                       "CN=alice",
		`CN=J\C3\BCrgen`:                                "CN=Jürgen",
		"CN=Jürgen":                                     "CN=Jürgen",
		`CN=Doe\2C Jane`:                                `CN=Doe\, Jane`,
		`CN=Doe\, Jane`:                                 `CN=Doe\, Jane`,
		"UID=1+CN=alice,O=x":                            "CN=alice+UID=1,O=x",
		"CN=alice+UID=1,O=x":                            "CN=alice+UID=1,O=x",
		"emailAddress=a@b.example,CN=a":                 "EMAILADDRESS=a@b.example,CN=a",
		"1.2.840.113549.1.9.1=#1603614062,CN=a":         "EMAILADDRESS=a@b,CN=a",
		"1.2.3.4=#1303414243":                           "1.2.3.4=ABC",
		"1.2.3.4=#020105":                               "1.2.3.4=#020105",
		"CN=CN=alice":                                   "CN=CN=alice",
		`CN=\ a\ `:                                      `CN=\ a\ `,
	} {
		if got, err := NormalSubject(text); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "alice", "CN", "=x", "CN=a,", ",CN=a", "CN=a, O=b", "CN= a", `CN=a\`, `CN="a"`, "CN=a;O=b", "CN=#zz", "CN=#", "FAVOURITEDRINK=tea", "CN =a"} {
		if got, err := NormalSubject(text); err == nil {
			t.Errorf("%q passes for a subject: %q", text, got)
		}
	}
}

// A rule that denies must be met by the certificate that it names, however
// openssl or a directory spells it.
func TestADenyRuleIsMetInEverySpellingOfTheSubject(t *testing.T) {
	subject := "CN=J\xc3\xbcrgen+UID=7,DC=corp,DC=example"
	for _, spelling := range []string{subject, `UID=7+CN=J\C3\BCrgen,DC=corp,DC=example`, "CN=J\xc3\xbcrgen+UID=7,dc=corp,0.9.2342.19200300.100.1.25=#16076578616d706c65"} {
		table, findings := Compile(Config{Upstreams: []Upstream{{Name: "app"}}, Routes: []Route{
			{Path: "/x", Allow: []Rule{{Anyone: true}}, Deny: []Rule{{ClientCert: &ClientCert{spelling}}}}}})
		if table == nil {
			t.Fatal(findings)
		}
		p, _ := ParsePath("/x")
		m := table.Match("GET", "", p)
		if m.Decide(Caller{Cert: CertificateOf(subject)}).Effect != Deny || m.Decide(Caller{Cert: CertificateOf("CN=other")}).Effect != Allow {
			t.Errorf("%s does not deny %s alone", spelling, subject)
		}
	}
	table, findings := Compile(Config{Upstreams: []Upstream{{Name: "app"}}, Routes: []Route{
		{Path: "/x", Allow: []Rule{{Anyone: true}}, Deny: []Rule{{ClientCert: &ClientCert{"FAVOURITEDRINK=tea"}}}}}})
	if table != nil || !strings.Contains(findings[0].Message, "FAVOURITEDRINK") {
		t.Errorf("a rule that nothing can meet is taken: %v", findings)
	}
}

// With two common names nobody knows who it is: no for allow, yes for deny.
func TestOneOfTwoCommonNamesIsUnclear(t *testing.T) {
	for _, subject := range []string{"CN=other,CN=backup", "CN=backup+CN=other", "CN=backup,CN=backup"} {
		if v := certificate("backup", Certificate{Subject: subject}); v != unclear {
			t.Errorf("%s: %d", subject, v)
		}
		if v := certificate("third", Certificate{Subject: subject}); v != never {
			t.Errorf("%s: %d", subject, v)
		}
	}
}

// What crypto/x509 writes of a subject has a normal form, and different
// subjects have different ones.
func TestSubjectsOfCertificatesAreNormalAndDistinct(t *testing.T) {
	types := []asn1.ObjectIdentifier{{2, 5, 4, 3}, {2, 5, 4, 10}, {0, 9, 2342, 19200300, 100, 1, 25}, {1, 2, 3, 4}}
	draw := func(t *rapid.T) (names pkix.RDNSequence) {
		for range rapid.IntRange(1, 3).Draw(t, "parts") {
			value := rapid.StringMatching(`[ #a-zA-F0-9,+"\\<>;=é]{0,9}`).Draw(t, "value")
			names = append(names, pkix.RelativeDistinguishedNameSET{{Type: rapid.SampledFrom(types).Draw(t, "type"), Value: value}})
		}
		return names
	}
	rapid.Check(t, func(t *rapid.T) {
		one, two := draw(t), draw(t)
		a, err := NormalSubject(one.String())
		if err != nil {
			t.Fatalf("%s: %v", one, err)
		}
		b, _ := NormalSubject(two.String())
		if again, err := NormalSubject(a); err != nil || again != a {
			t.Fatalf("%q becomes %q, %v", a, again, err)
		}
		if (a == b) != (one.String() == two.String()) {
			t.Fatalf("%s and %s become %q and %q", one, two, a, b)
		}
	})
}

func FuzzNormalSubject(f *testing.F) {
	for _, seed := range []string{"CN=alice,O=x", `CN=a\,b`, `CN=a\`, "CN=b+CN=a", `\`, ",,,", "2.5.4.3=#0c0161", `CN=\00`, "=="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		normal, err := NormalSubject(text)
		if err != nil {
			return
		}
		if again, err := NormalSubject(normal); err != nil || again != normal {
			t.Fatalf("%q becomes %q becomes %q, %v", text, normal, again, err)
		}
	})
}
