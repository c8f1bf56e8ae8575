package legacyhash

import (
	"strings"
	"sync"
	"testing"
)

// Every format that is read is read from a hash that another program made, so
// that none is proven by this package's own reading of a specification alone.
func TestEverySchemeHasAHashOfAnotherProgram(t *testing.T) {
	want := []string{
		"apr1", "argon2i", "argon2id", "aspnet identity v3", "bcrypt",
		"crypt md5", "crypt scrypt", "crypt sha256", "crypt sha512",
		"django argon2id", "django bcrypt", "django bcrypt_sha256", "django pbkdf2_sha1", "django pbkdf2_sha256", "django scrypt",
		"firebase scrypt", "keycloak argon2id", "keycloak pbkdf2",
		"ldap MD5", "ldap SHA", "ldap SHA256", "ldap SHA384", "ldap SHA512",
		"ldap SMD5", "ldap SSHA", "ldap SSHA256", "ldap SSHA384", "ldap SSHA512", "ldap pbkdf2",
		"passlib bcrypt-sha256", "passlib pbkdf2-sha1", "passlib pbkdf2-sha256", "passlib pbkdf2-sha512",
		"phpass", "scrypt", "spring pbkdf2", "spring scrypt", "werkzeug pbkdf2", "werkzeug scrypt", "wordpress",
	}
	found := map[string]bool{}
	for _, v := range kept(t) {
		h, err := Parse(v.hash)
		if err != nil {
			t.Fatalf("%s: %v", v.hash, err)
		}
		found[h.Scheme()] = true
	}
	for _, scheme := range want {
		if !found[scheme] {
			t.Errorf("no hash of the scheme %q is kept", scheme)
		}
		delete(found, scheme)
	}
	// What the kept ones do not have is among the published ones.
	for scheme := range found {
		if scheme != "aspnet identity v2" {
			t.Errorf("the scheme %q is missing in this list", scheme)
		}
	}
}

// What a hash tells of itself is enough to compare its strength with another
// one's, and holds nothing of its secrets.
func TestAHashTellsWhatItCosts(t *testing.T) {
	for _, test := range []struct {
		text, scheme, cost string
		memory             uint32
	}{
		{"$argon2id$v=19$m=19456,t=2,p=1$" + b64of16 + "$" + b64of32, "argon2id", "m=19456,t=2,p=1,digest=32", 19456},
		{"$argon2i$v=19$m=64,t=3,p=2$" + b64of16 + "$" + b64of32, "argon2i", "m=64,t=3,p=2,digest=32", 64},
		{"argon2$argon2id$v=19$m=102400,t=2,p=8$" + b64of16 + "$" + b64of32, "django argon2id", "m=102400,t=2,p=8,digest=32", 102400},
		{"$2y$12$" + bcrypt53, "bcrypt", "cost=12", 0},
		{"$2a$04$" + bcrypt53, "bcrypt", "cost=4", 0},
		{"{bcrypt}$2a$10$" + bcrypt53, "bcrypt", "cost=10", 0},
		{"$wp$2y$10$" + bcrypt53, "wordpress", "cost=10", 0},
		{"$scrypt$ln=17,r=8,p=1$" + b64of16 + "$" + b64of32, "scrypt", "n=131072,r=8,p=1,digest=32", 131072},
		{"$scrypt$ln=1,r=1,p=1$" + b64of16 + "$" + b64of32, "scrypt", "n=2,r=1,p=1,digest=32", 1},
		{"scrypt$16384$salt$8$5$" + b64of32 + "=", "django scrypt", "n=16384,r=8,p=5,digest=32", 16384},
		{"scrypt:32768:8:1$salt$" + hexOf32, "werkzeug scrypt", "n=32768,r=8,p=1,digest=32", 32768},
		{"{scrypt}$e0801$" + b64of16 + "==$" + b64of32 + "=", "spring scrypt", "n=16384,r=8,p=1,digest=32", 16384},
		{"$7$C6..../....salt$" + crypt43, "crypt scrypt", "n=16384,r=8,p=1,digest=32", 16384},
		{"pbkdf2_sha256$870000$salt$" + b64of32 + "=", "django pbkdf2_sha256", "sha256,rounds=870000,digest=32", 0},
		{"$pbkdf2-sha512$25000$" + b64of16 + "$" + b64of32, "passlib pbkdf2-sha512", "sha512,rounds=25000,digest=32", 0},
		{"pbkdf2:sha1:1000$salt$" + hexOf32, "werkzeug pbkdf2", "sha1,rounds=1000,digest=32", 0},
		{"{pbkdf2}5d923b44a6d129f3ddf3e3c8d29412723dcbde72445e8ef6bf3b508fbf17fa4ed4d6b99ca763d8dc", "spring pbkdf2", "sha1,rounds=185000,digest=32", 0},
		{"$6$salt$" + crypt43 + crypt43, "crypt sha512", "rounds=5000", 0},
		{"$5$rounds=1000$salt$" + crypt43, "crypt sha256", "rounds=1000", 0},
		{"$1$salt$" + crypt22, "crypt md5", "rounds=1000", 0},
		{"$apr1$salt$" + crypt22, "apr1", "rounds=1000", 0},
		{"$P$Bsaltsalt" + crypt22, "phpass", "rounds=8192", 0},
		{"$H$9saltsalt" + crypt22, "phpass", "rounds=2048", 0},
		{"$S$Dsaltsalt" + crypt43, "drupal", "rounds=32768", 0},
		{"{SSHA}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1J", "ldap SSHA", "rounds=1", 0},
		{"{ssha}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1J", "ldap SSHA", "rounds=1", 0},
		{"{ldap}{ssha}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1J", "ldap SSHA", "rounds=1", 0},
		{"{ldap}{SSHA}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1J", "ldap SSHA", "rounds=1", 0},
		{"{CRYPT}$1$salt$" + crypt22, "crypt md5", "rounds=1000", 0},
		{"{crypt}$2a$10$" + bcrypt53, "bcrypt", "cost=10", 0},
		{"{sha256}97cde38028ad898ebc02e690819fa220e88c62e0699403e94fff291cfffaf8410849f27605abcbc0", "spring sha256", "rounds=1024", 0},
		{"AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJg==", "aspnet identity v2", "sha1,rounds=1000,digest=32", 0},
	} {
		h, err := Parse(test.text)
		if err != nil || h.Scheme() != test.scheme || h.Cost() != test.cost || h.Memory() != test.memory {
			t.Errorf("%s: %q, %q, %d KiB, %v", test.text, h.Scheme(), h.Cost(), h.Memory(), err)
		}
		for part := range strings.FieldsFuncSeq(test.text, func(r rune) bool { return strings.ContainsRune("${},=", r) }) {
			if len(part) > 16 && strings.Contains(h.Cost()+h.Scheme(), part) {
				t.Errorf("%s: its cost %q has a part of it", test.text, h.Cost())
			}
		}
	}
}

// One Hash may be asked by several logins at once: the race detector watches.
func TestAHashIsComparedByManyAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for _, v := range kept(t) {
		h, err := Parse(v.hash)
		if err != nil || h.work > 1100 {
			continue
		}
		for _, password := range []string{v.password, v.password + "x", v.password} {
			all.Go(func() {
				if h.Matches(password) != (password == v.password) {
					t.Errorf("%s: a wrong answer for %q", v.hash, password)
				}
			})
		}
	}
	all.Wait()
}

// Firebase's tools write base64 for URLs, its console the usual one.
func TestFirebasesBase64IsReadInBothAlphabets(t *testing.T) {
	for _, v := range kept(t) {
		head, rest, ok := strings.Cut(v.hash, ",sk=")
		if v.program != "firebase-scrypt" || !ok {
			continue
		}
		for _, text := range []string{v.hash, head + ",sk=" + strings.NewReplacer("+", "-", "/", "_").Replace(rest)} {
			h, err := Parse(text)
			if err != nil || !h.Matches(v.password) || h.Matches(v.password+"x") {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

// A hash with one letter changed is another hash, or none: it passes for the
// old password only where the letter has bits that stand for nothing, which are
// the last ones of bcrypt's salt and digest and of crypt's letters.
func TestAnAlteredHashDoesNotPass(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range kept(t) {
		h, err := Parse(v.hash)
		if err != nil || h.work > 256 || seen[h.Scheme()] || v.hash[:2] == `{"` { // JSON has letters that say nothing
			continue
		}
		seen[h.Scheme()] = true
		passes := 0
		for i := range v.hash {
			for _, letter := range []byte{'A', 'z', '0'} {
				text := v.hash[:i] + string(letter) + v.hash[i+1:]
				if text == v.hash {
					continue
				}
				if altered, err := Parse(text); err == nil && altered.bounded() && altered.work <= 1100 && altered.Matches(v.password) {
					passes++
				}
			}
		}
		if most := map[bool]int{true: 3, false: 0}[strings.Contains(v.hash, "$2")]; passes > most {
			t.Errorf("%s: %d altered ones pass", v.hash, passes)
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d schemes were tried: %v", len(seen), seen)
	}
}
