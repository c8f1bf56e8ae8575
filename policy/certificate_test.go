package policy

import (
	"crypto/x509/pkix"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTheCommonNameOfASubject(t *testing.T) {
	for subject, want := range map[string]string{
		"":                         "",
		"CN=alice":                 "alice",
		"CN=alice,O=Example":       "alice",
		"O=Example,CN=alice":       "alice",
		"UID=1+CN=alice,O=Example": "alice",
		`CN=Doe\, Jane,O=Example`:  "Doe, Jane",
		`CN=a\\,O=b`:               `a\`,
		`CN=\ a \ ,O=b`:            " a  ",
		`O=x\,CN=alice`:            "",
		"CN=alice,CN=bob":          "", // of which two programs take different ones
		"CN=alice+CN=bob":          "",
		"CN=alice,CN=alice":        "",
		"OCN=alice":                "",
		"O=Example":                "",
		"CN=":                      "",
		"CN=CN=alice":              "CN=alice",
	} {
		got := commonNames(subject)
		if only := strings.Join(got, ""); len(got) < 2 && only != want || len(got) > 1 && want != "" {
			t.Errorf("%q: %q, want %q", subject, got, want)
		}
	}
}

// A rule that writes a whole subject is never met by a common name that reads
// like one: who may choose their common name could become anybody.
func TestACommonNameIsNoSubject(t *testing.T) {
	for _, test := range []struct{ rule, subject string }{
		{"CN=alice", "CN=CN=alice"}, {"CN=alice", "cn=alice"},
		{"CN=alice,O=x", `CN=CN=alice\,O=x`},
		{"alice", `CN=x\,CN=alice`},
		{"alice", `O=x\+CN=alice`},
		{"", ""}, {"alice", ""}, {"", "CN=alice"}, {"", "CN="},
	} {
		if v := certificate(test.rule, Certificate{Subject: test.subject}); v != never {
			t.Errorf("%q is met by %q: %d", test.rule, test.subject, v)
		}
	}
}

// What crypto/x509 writes of any name reads back as that name.
func TestCommonNamesSurviveTheirEscaping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[ #a-z,+"\\<>;=é]{1,12}`).Draw(t, "name")
		subject := pkix.Name{CommonName: name, Organization: []string{rapid.StringMatching(`[a-zCN=,+ ]{1,12}`).Draw(t, "organisation")}}.ToRDNSequence().String()
		if got := commonNames(subject); len(got) != 1 || got[0] != name {
			t.Fatalf("%q: the common name is %q, want %q", subject, got, name)
		}
		if strings.Contains(name, "=") {
			return
		}
		if v := certificate(name, CertificateOf(name)); v != holds {
			t.Fatalf("%q is not met by %q", name, CertificateOf(name).Subject)
		}
	})
}

// A condition on the certificate only takes away.
func TestACertificateMoreToAskForOnlyTakesAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := drawRule(t, "/x/{id}")
		rule.Anyone, rule.ClientCert = false, nil
		asks := rule
		asks.ClientCert = &ClientCert{rapid.SampledFrom([]string{"CN=a,O=x", "a", "b"}).Draw(t, "asked for")}
		config := Config{Roles: []string{"r0", "r1", "r2"}, Upstreams: []Upstream{{Name: "app"}}, Fields: []Field{{Name: "tenant"}}}
		config.Routes = []Route{{Path: "/x/{id}", Allow: []Rule{rule}}}
		before, _ := Compile(config)
		config.Routes = []Route{{Path: "/x/{id}", Allow: []Rule{asks}}}
		after, findings := Compile(config)
		if after == nil {
			t.Fatal(findings)
		}
		if before == nil {
			return // the drawn rule has no condition of its own
		}
		caller := drawAnyCaller(t)
		caller.Cert.Hidden = rapid.Bool().Draw(t, "hidden")
		p, _ := ParsePath("/x/a")
		with, without := after.Match("GET", "", p), before.Match("GET", "", p)
		if was, is := without.Decide(caller).Effect, with.Decide(caller).Effect; is > was {
			t.Fatalf("%d becomes %d by asking for a certificate", was, is)
		}
		caller.Cert = Certificate{}
		if with.Decide(caller).Effect != Deny {
			t.Fatal("passed, or could by a login, without a certificate")
		}
	})
}

func FuzzCommonName(f *testing.F) {
	for _, seed := range []string{"CN=alice,O=x", `CN=a\,b`, `CN=a\`, "CN=a+CN=b", `\`, ",,,", "CN=CN=CN="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		for _, name := range commonNames(subject) {
			if !strings.Contains(subject, "CN=") || len(name) > len(subject) {
				t.Fatalf("%q has the common name %q", subject, name)
			}
		}
	})
}
