package legacyhash

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// Digests and salts that are well formed and of no password.
const (
	b64of16  = "c29tZXNhbHRzb21lc2FsdA"
	b64of32  = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	crypt22  = "qJH7.N4xYta3aEG/dfqo/0"
	crypt43  = "5B8vYYiY.CVt1RlTt8KbXBH3hsxYzGNooZaBBGWEc8x"
	bcrypt53 = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
	hexOf32  = "5d923b44a6d129f3ddf3e3c8d29412723dcbde72445e8ef6bf3b508fbf17fa4e"
)

// Every number in a hash has a bound of its own, and where several multiply so
// does their product. What is within them is accepted, what is past them is
// refused before anything is computed.
func TestEveryParameterOfAHashIsBounded(t *testing.T) {
	argon2 := "$argon2id$v=19$m=%s,t=%s,p=%s$" + b64of16 + "$" + b64of32
	scrypt := "$scrypt$ln=%s,r=%s,p=%s$" + b64of16 + "$" + b64of32
	django := "scrypt$%s$salt$%s$%s$" + b64of32 + "="
	firebase := "$fbscrypt$v=1,n=%s,r=%s,p=%s,sk=" + b64of16 + "==$AAAA$" + b64of16 + "=="
	for _, test := range []struct {
		form string
		good []string // parameters, with spaces between
		bad  []string
	}{
		{argon2, []string{"8 1 1", "262144 4 1", "128 9 16", "105 9986 1"},
			[]string{"262145 1 1", "262144 5 1", "19456 9999 1", "4294967296 1 1", "4294967304 1 1", "64 10000 1", "136 1 17", "9999999999 1 1"}},
		{scrypt, []string{"1 1 1", "17 8 1", "17 8 4", "18 8 1", "10 64 64"},
			[]string{"22 1 1", "19 8 1", "18 8 3", "17 8 5", "63 1 1", "64 1 1", "4294967300 1 1", "1 65 1", "1 1 65", "15 64 3"}},
		{django, []string{"2 1 1", "131072 8 1", "16384 8 5"},
			[]string{"4194304 1 1", "524288 8 1", "16384 999 1", "16384 8 999", "9223372036854775808 8 1", "131072 8 5"}},
		{firebase, []string{"14 8 1", "17 8 1"}, []string{"22 8 1", "19 8 1", "14 65 1", "14 8 65"}},
		{"scrypt:%s:%s:%s$salt$" + hexOf32, []string{"32768 8 1"}, []string{"4194304 8 1", "32768 65 1", "32768 8 65", "524288 8 1"}},
		{"pbkdf2_sha256$%s$salt$" + b64of32 + "=", []string{"1", "870000", "5000000"}, []string{"5000001", "99999999999", "18446744073709551617"}},
		{"$pbkdf2-sha512$%s$" + b64of16 + "$" + b64of32, []string{"1", "5000000"}, []string{"5000001", "4294967297"}},
		{"{PBKDF2-SHA256}%s$" + b64of16 + "$" + b64of32, []string{"10000"}, []string{"5000001"}},
		{"pbkdf2:sha256:%s$salt$" + hexOf32, []string{"1", "1000000", "5000000"}, []string{"5000001"}},
		// SHA-1 makes 32 bytes in two blocks.
		{"pbkdf2:sha1:%s$salt$" + hexOf32, []string{"3000000"}, []string{"3000001"}},
		{"$6$rounds=%s$salt$" + crypt43 + crypt43, []string{"1000", "656000", "1048576"}, []string{"1048577", "5000000", "999999999", "4294968296"}},
		{"$5$rounds=%s$salt$" + crypt43, []string{"1000", "535000"}, []string{"1048577"}},
		{"$P$%ssaltsalt" + crypt22, []string{"5", "B", "I"}, []string{"J", "S", "z"}},
		{"$S$%ssaltsalt" + crypt43, []string{"5", "D", "I"}, []string{"J", "z"}},
		{"$7$%s$" + crypt43, []string{"C6..../....salt"}, []string{"K6..../....salt", "z6..../....salt", "Czzzzz/....salt", "C6....zzzzzsalt", "H6..../....salt"}},
		{"$2b$%s$" + bcrypt53, []string{"04", "10", "15"}, []string{"16", "31", "99"}},
		{"$wp$2y$%s$" + bcrypt53, []string{"10"}, []string{"16"}},
		{"bcrypt_sha256$$2b$%s$" + bcrypt53, []string{"12"}, []string{"16"}},
		{"$bcrypt-sha256$v=2,t=2b,r=%s$" + bcrypt53[:22] + "$" + bcrypt53[22:], []string{"12", "4"}, []string{"16", "99"}},
		{"{scrypt}$%s$" + b64of16 + "==$" + b64of32 + "=", []string{"e0801", "100801"}, []string{"160801", "130801", "e4101", "e0841", "ffffffff"}},
		{"AQAAAAE%s", []string{"AACcQAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw=="},
			[]string{"ATEtBAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw=="}},
		{`{"secretData":{"value":"` + b64of32 + `=","salt":"` + b64of16 + `=="},"credentialData":{"algorithm":"pbkdf2-sha256","hashIterations":%s}}`,
			[]string{"1", "600000", "5000000"}, []string{"5000001"}},
		{`{"secretData":{"value":"` + b64of32 + `=","salt":"` + b64of16 + `=="},"credentialData":{"algorithm":"argon2","hashIterations":%s,"additionalParameters":{"type":["id"],"version":["1.3"],"memory":["%s"],"parallelism":["%s"]}}}`,
			[]string{"5 7168 1"}, []string{"10000 64 1", "5 262144 1", "1 262145 1", "1 7168 17"}},
	} {
		for _, params := range test.good {
			if h, err := Parse(fill(test.form, params)); err != nil || h.Memory() > maxMemory || !h.bounded() {
				t.Errorf("%.40s with %s: %v, %d KiB, work %d", test.form, params, err, h.Memory(), h.work)
			}
		}
		for _, params := range test.bad {
			if _, err := Parse(fill(test.form, params)); !errors.Is(err, ErrCostly) {
				t.Errorf("%.40s with %s: %v", test.form, params, err)
			}
		}
	}
}

// fill puts parameters into a form.
func fill(form, params string) string {
	var all []any
	for p := range strings.FieldsSeq(params) {
		all = append(all, p)
	}
	return fmt.Sprintf(form, all...)
}

// bounded tells whether the work of a hash is within the bounds of its kind: the
// largest of them all is scrypt's.
func (h Hash) bounded() bool { return h.work > 0 && h.work <= maxPBKDF2Work && h.memory <= maxMemory }

// What would let anybody in, or everybody read the passwords, is refused by
// name, so that an import says why.
func TestKindsThatProtectNothingAreRefused(t *testing.T) {
	for _, text := range []string{"{noop}password", "{CLEARTEXT}password", "{cleartext}password", "{MD4}x", "{SHA-1}x", "{SHA-256}x", "$2$05$" + bcrypt53, "$2x$05$" + bcrypt53, "{bcrypt}$2x$05$" + bcrypt53, "{CRYPT}$2$05$" + bcrypt53} {
		if h, err := Parse(text); !errors.Is(err, ErrRefused) || h.Matches("password") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The order of the table must not matter.
func TestNoPrefixBeginsAnother(t *testing.T) {
	all := families()
	for i, a := range all {
		for j, b := range all {
			if i != j && strings.HasPrefix(a.prefix, b.prefix) {
				t.Errorf("%q begins %q", b.prefix, a.prefix)
			}
		}
	}
}

func TestNoErrorRepeatsTheHash(t *testing.T) {
	for _, text := range []string{"", "secret-and-plain", "$2a$99$secret", "$argon2id$v=19$m=1,t=1,p=1$secret$secret", "{noop}secret", `{"secretData":"secret"}`, "{SSHA}secret", strings.Repeat("secret", 1000)} {
		if _, err := Parse(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

// bcrypt takes 72 bytes and reads them in a circle. A system that hashes the
// password itself is refused what bcrypt cannot tell apart; one that digests it
// first may have any.
func TestBcryptTellsNoTwoPasswordsForOne(t *testing.T) {
	long := strings.Repeat("a", 72)
	for _, v := range kept(t) {
		h, err := Parse(v.hash)
		if err != nil {
			t.Fatal(err)
		}
		plain := h.Scheme() == "bcrypt" || h.Scheme() == "django bcrypt"
		if plain && (h.Matches(v.password+"\x00"+v.password) || h.Matches(v.password+"\x00")) {
			t.Errorf("%s passes with a NUL", v.hash)
		}
	}
	// PHP's hash of 72 letters, which passes there for whatever follows them.
	h, err := Parse("$2y$04$vKO/vcqUt0Ux1EW2kxlK4u6IVWcHGAY1fDk4BJrugEJjPIg/LX/xq")
	if err != nil || !h.Matches(long) || h.Matches(long+"b") {
		t.Errorf("73 bytes pass: %v", err)
	}
}

func TestAPasswordPastEveryBoundMatchesNothing(t *testing.T) {
	const md5 = "{MD5}"
	for _, n := range []int{maxPassword, maxPassword + 1} {
		h, err := Parse(md5 + base64.StdEncoding.EncodeToString(md5Join([]byte(strings.Repeat("x", n)))))
		if err != nil || h.Matches(strings.Repeat("x", n)) != (n <= maxPassword) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, text := range []string{"$1$salt$" + crypt22, "$5$salt$" + crypt43} {
		h, err := Parse(text)
		if err != nil || h.Matches(strings.Repeat("x", maxCryptPassword+1)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// WordPress cuts blanks off a password before it hashes and compares it, and
// nobody else does.
func TestOnlyWordPressTrims(t *testing.T) {
	trims := regexp.MustCompile(`^\$(P|wp)\$`)
	for _, v := range kept(t) {
		h, err := Parse(v.hash)
		if err != nil {
			t.Fatal(err)
		}
		if h.work > 2000 {
			continue
		}
		if h.Matches(" "+v.password+"\n") != trims.MatchString(v.hash) {
			t.Errorf("%s: %q with blanks around it passes: %t", v.hash, v.password, !trims.MatchString(v.hash))
		}
	}
}
