package legacyhash

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// A hash has one form. What two readers could take for two things, or what no
// program writes, is refused: each of these is a hash but for one fault.
type misspelt struct{ fault, text string }

// refused checks that none of them is read, and that nothing passes for them.
func refused(t *testing.T, all []misspelt) {
	t.Helper()
	for _, m := range all {
		h, err := Parse(m.text)
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %.80q: %v", m.fault, m.text, err)
		}
		if h.check != nil || h.scheme != "" || h.Matches("") || h.Matches("password") {
			t.Errorf("%s: %.80q: an error and a hash", m.fault, m.text)
		}
	}
}

func TestTextsThatAreNoHashesAreRefused(t *testing.T) {
	refused(t, []misspelt{
		{"nothing", ""},
		{"a letter", "x"},
		{"a password", "plain text"},
		{"a sign", "$"},
		{"two signs", "$$"},
		{"an open brace", "{"},
		{"an empty id", "{}"},
		{"an empty id with a hash", "{}$2a$10$" + bcrypt53},
		{"an unknown id", "{unknown}x"},
		{"an id that does not end", "{SSHA"},
		{"a number that nobody has", "$9$abc"},
		{"yescrypt, which Go has not", "$y$j9T$salt$hash"},
		{"BSDi's DES", "_J9..CCCC"},
		{"DES", "aBcDeFgHiJkLm"},
		{"Django's unusable password", "!unusable"},
		{"a locked account of /etc/shadow", "!$6$salt$" + crypt43 + crypt43},
		{"a bare MD5", "5f4dcc3b5aa765d61d8327deb882cf99"},
		{"a bare SHA-256", hexOf32},
		{"more than any hash has", strings.Repeat("x", maxText+1)},
		{"more than any JSON has", `{"` + strings.Repeat(" ", maxText)},
	})
}

func TestNoOtherSpellingOfArgon2IsRead(t *testing.T) {
	with := func(params string) string { return "$argon2id$v=19$" + params + "$" + b64of16 + "$" + b64of32 }
	if _, err := Parse(with("m=64,t=2,p=1")); err != nil {
		t.Fatal(err)
	}
	refused(t, []misspelt{
		{"a leading zero", with("m=064,t=2,p=1")},
		{"a minus", with("m=-64,t=2,p=1")},
		{"a plus", with("m=+64,t=2,p=1")},
		{"a blank", with("m= 64,t=2,p=1")},
		{"another order", with("m=64,p=1,t=2")},
		{"a key", with("m=64,t=2,p=1,keyid=x")},
		{"no memory", with("t=2,p=1")},
		{"memory of zero", with("m=0,t=2,p=1")},
		{"less memory than there is", with("m=7,t=2,p=1")},
		{"no passes", with("m=64,t=0,p=1")},
		{"no lanes", with("m=64,t=2,p=0")},
		{"more lanes than memory", with("m=64,t=2,p=9")},
		{"a line's end", with("m=64,t=2,p=1") + "\n"},
		{"a blank before", " " + with("m=64,t=2,p=1")},
		{"padding", with("m=64,t=2,p=1") + "="},
		{"version 1.0", "$argon2id$v=16$m=64,t=2,p=1$" + b64of16 + "$" + b64of32},
		{"no version", "$argon2id$m=64,t=2,p=1$" + b64of16 + "$" + b64of32},
		{"argon2d", "$argon2d$v=19$m=64,t=2,p=1$" + b64of16 + "$" + b64of32},
		{"no salt", "$argon2id$v=19$m=64,t=2,p=1$$" + b64of32},
		{"no digest", "$argon2id$v=19$m=64,t=2,p=1$" + b64of16 + "$"},
		{"a digest of three bytes", "$argon2id$v=19$m=64,t=2,p=1$" + b64of16 + "$YWJj"},
		{"a salt of seven bytes", "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbA$" + b64of32},
		{"a long salt", "$argon2id$v=19$m=64,t=2,p=1$" + strings.Repeat("A", 1000) + "$" + b64of32},
		{"stray bits", "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHR$" + b64of32},
	})
}

func TestNoOtherSpellingOfBcryptIsRead(t *testing.T) {
	refused(t, []misspelt{
		{"a letter less", "$2a$10$" + bcrypt53[:52]},
		{"a letter more", "$2a$10$" + bcrypt53 + "x"},
		{"a line's end", "$2a$10$" + bcrypt53 + "\n"},
		{"a cost of one digit", "$2a$1$" + bcrypt53},
		{"a cost below the least", "$2a$03$" + bcrypt53},
		{"no cost", "$2a$00$" + bcrypt53},
		{"an unknown letter", "$2c$10$" + bcrypt53},
		{"a letter outside the alphabet", "$2a$10$" + bcrypt53[:52] + "+"},
		{"WordPress's mark before another hash", "$wp$argon2id$x"},
		{"WordPress's mark without a kind", "$wp$" + bcrypt53},
		{"WordPress's mark twice", "$wp$wp$2y$10$" + bcrypt53},
		{"passlib's version 3", "$bcrypt-sha256$v=3,t=2b,r=12$" + bcrypt53[:22] + "$" + bcrypt53[22:]},
		{"passlib's version 2 with the old letter", "$bcrypt-sha256$v=2,t=2a,r=12$" + bcrypt53[:22] + "$" + bcrypt53[22:]},
		{"passlib's in one piece", "$bcrypt-sha256$v=2,t=2b,r=12$" + bcrypt53},
	})
}

func TestNoOtherSpellingOfScryptIsRead(t *testing.T) {
	refused(t, []misspelt{
		{"no N", "$scrypt$ln=0,r=8,p=1$" + b64of16 + "$" + b64of32},
		{"no r", "$scrypt$ln=14,r=0,p=1$" + b64of16 + "$" + b64of32},
		{"no p", "$scrypt$ln=14,r=8,p=0$" + b64of16 + "$" + b64of32},
		{"N in full", "$scrypt$n=16384,r=8,p=1$" + b64of16 + "$" + b64of32},
		{"no salt", "$scrypt$ln=14,r=8,p=1$$" + b64of32},
		{"crypt's without its rest", "$7$1"},
		{"crypt's with a short digest", "$7$C6..../....salt$short"},
		{"crypt's with an N of one", "$7$.6..../....salt$" + crypt43},
		{"crypt's without r", "$7$C...../....salt$" + crypt43},
		{"crypt's without salt", "$7$C6..../....$" + crypt43},
		{"Django's with an N that is no power of two", "scrypt$16383$salt$8$1$" + b64of32 + "="},
		{"Django's with an N of one", "scrypt$1$salt$8$1$" + b64of32 + "="},
		{"Django's without a digest", "scrypt$16384$salt$8$1"},
		{"Django's without a salt", "scrypt$16384$$8$1$" + b64of32 + "="},
		{"Werkzeug's without p", "scrypt:32768:8$salt$" + hexOf32},
		{"Werkzeug's with an N that is no power of two", "scrypt:32769:8:1$salt$" + hexOf32},
		{"Spring's without the sign before", "{scrypt}e0801$" + b64of16 + "==$" + b64of32 + "="},
		{"Spring's with a leading zero", "{scrypt}$0e0801$" + b64of16 + "==$" + b64of32 + "="},
		{"Spring's in capitals", "{scrypt}$E0801$" + b64of16 + "==$" + b64of32 + "="},
		{"Spring's without r", "{scrypt}$e0001$" + b64of16 + "==$" + b64of32 + "="},
		{"Spring's without p", "{scrypt}$e0800$" + b64of16 + "==$" + b64of32 + "="},
		{"Spring's with an N of one", "{scrypt}$801$" + b64of16 + "==$" + b64of32 + "="},
		{"Spring's without a salt", "{scrypt}$e0801$$" + b64of32 + "="},
		{"Spring's without padding", "{scrypt}$e0801$" + b64of16 + "$" + b64of32},
		{"Firebase's version 2", "$fbscrypt$v=2,n=14,r=8,p=1,ss=Bw==,sk=" + b64of16 + "==$AAAA$" + b64of16 + "=="},
		{"Firebase's without the signer key", "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==$AAAA$" + b64of16 + "=="},
		{"Firebase's with another length than the key", "$fbscrypt$v=1,n=14,r=8,p=1,sk=" + b64of16 + "==$AAAA$" + b64of32 + "="},
		{"Firebase's with a broken separator", "$fbscrypt$v=1,n=14,r=8,p=1,ss=B,sk=" + b64of16 + "==$AAAA$" + b64of16 + "=="},
		{"Firebase's without N", "$fbscrypt$v=1,n=0,r=8,p=1,sk=" + b64of16 + "==$AAAA$" + b64of16 + "=="},
	})
}

func TestNoOtherSpellingOfDjangosIsRead(t *testing.T) {
	const digest = b64of32 + "="
	if _, err := Parse("pbkdf2_sha256$1000$salt$" + digest); err != nil {
		t.Fatal(err)
	}
	refused(t, []misspelt{
		{"no rounds", "pbkdf2_sha256$0$salt$" + digest},
		{"a leading zero", "pbkdf2_sha256$01000$salt$" + digest},
		{"an exponent", "pbkdf2_sha256$1e3$salt$" + digest},
		{"no salt", "pbkdf2_sha256$1000$$" + digest},
		{"a blank in the salt", "pbkdf2_sha256$1000$sa lt$" + digest},
		{"a letter that is none of ASCII", "pbkdf2_sha256$1000$sält$" + digest},
		{"a long salt", "pbkdf2_sha256$1000$" + strings.Repeat("s", maxSalt+1) + "$" + digest},
		{"a part too many", "pbkdf2_sha256$1000$salt$x$" + digest},
		{"a part too few", "pbkdf2_sha256$1000$" + digest},
		{"no padding", "pbkdf2_sha256$1000$salt$" + b64of32},
		{"a line's end", "pbkdf2_sha256$1000$salt$" + digest + "\n"},
		{"a line's end within", "pbkdf2_sha256$1000$salt$" + digest[:20] + "\n" + digest[20:]},
		{"a digest of three bytes", "pbkdf2_sha256$1000$salt$YWJj"},
		{"a digest that Django has not", "pbkdf2_sha512$1000$salt$" + digest},
		{"a sign too many", "argon2$$argon2id$v=19$m=64,t=2,p=1$" + b64of16 + "$" + b64of32},
		{"argon2d", "argon2$argon2d$v=19$m=64,t=2,p=1$x$y"},
		{"a sign too few", "bcrypt$2b$10$" + bcrypt53},
		{"the broken bcrypt", "bcrypt_sha256$$2x$10$" + bcrypt53},
		{"salted MD5", "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99"},
		{"salted SHA-1", "sha1$salt$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8"},
	})
}

func TestNoOtherSpellingOfPasslibsAndWerkzeugsIsRead(t *testing.T) {
	refused(t, []misspelt{
		{"padding", "$pbkdf2-sha256$1000$" + b64of16 + "$" + b64of32 + "="},
		{"no salt", "$pbkdf2-sha256$1000$$" + b64of32},
		{"a plus", "$pbkdf2-sha256$1000$a+bc$" + b64of32},
		{"no rounds", "$pbkdf2-sha256$0$" + b64of16 + "$" + b64of32},
		{"MD5", "$pbkdf2-md5$1000$" + b64of16 + "$" + b64of32},
		{"a name before the rounds", "$pbkdf2-sha256$i=1000$" + b64of16 + "$" + b64of32},
		{"Werkzeug's without rounds", "pbkdf2:sha256$salt$" + hexOf32},
		{"Werkzeug's with MD5", "pbkdf2:md5:1000$salt$" + hexOf32},
		{"Werkzeug's in capitals", "pbkdf2:sha256:1000$salt$" + strings.ToUpper(hexOf32)},
		{"Werkzeug's with half a byte", "pbkdf2:sha256:1000$salt$" + hexOf32[1:]},
		{"Werkzeug's with a parameter too many", "pbkdf2:sha256:1000:1$salt$" + hexOf32},
		{"Werkzeug's without salt", "pbkdf2:sha256:1000$$" + hexOf32},
		{"Werkzeug's plain text", "plain$$x"},
		{"Werkzeug's HMAC of long ago", "sha256$salt$" + hexOf32},
	})
}

func TestNoOtherSpellingOfPHPsIsRead(t *testing.T) {
	refused(t, []misspelt{
		{"a letter less", "$P$Bsaltsalt" + crypt22[1:]},
		{"a letter more", "$H$Bsaltsalt" + crypt22 + "x"},
		{"fewer rounds than the least", "$P$4saltsalt" + crypt22},
		{"one round", "$P$.saltsalt" + crypt22},
		{"MD5's length under SHA-512's mark", "$S$Dsaltsalt" + crypt22},
		{"SHA-512's length under MD5's mark", "$P$Bsaltsalt" + crypt43},
		{"Drupal's mark for a hash of a hash", "U$P$Bsaltsalt" + crypt22},
		{"a letter outside the alphabet", "$P$Bsalt+alt" + crypt22},
	})
}

func TestNoOtherSpellingOfCryptsIsRead(t *testing.T) {
	refused(t, []misspelt{
		{"MD5 without salt", "$1$$" + crypt22},
		{"MD5 with a long salt", "$1$saltsalts$" + crypt22},
		{"MD5 with a long digest", "$1$salt$" + crypt43},
		{"MD5 without a digest", "$1$salt"},
		{"MD5 with a line's end", "$1$salt$" + crypt22 + "\n"},
		{"a colon, where htpasswd would cut", "$apr1$sa:t$" + crypt22},
		{"SHA-512's length under SHA-256's mark", "$5$salt$" + crypt43 + crypt43},
		{"SHA-256's length under SHA-512's mark", "$6$salt$" + crypt43},
		{"fewer rounds than crypt takes", "$6$rounds=999$salt$" + crypt43 + crypt43},
		{"a leading zero", "$6$rounds=01000$salt$" + crypt43 + crypt43},
		{"an empty number", "$6$rounds=$salt$" + crypt43 + crypt43},
		{"a long salt", "$6$saltsaltsaltsalts$" + crypt43 + crypt43},
		{"no salt", "$6$$" + crypt43 + crypt43},
		{"the rounds twice", "$5$rounds=1000$rounds=1000$" + crypt43},
	})
}

func TestNoOtherSpellingOfLDAPsIsRead(t *testing.T) {
	const ssha = "{SSHA}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1J"
	if _, err := Parse(ssha); err != nil {
		t.Fatal(err)
	}
	zeros := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	refused(t, []misspelt{
		{"nothing after the scheme", "{SSHA}"},
		{"three bytes", "{SSHA}YWJj"},
		{"a digest without salt", "{SSHA}" + zeros(20)},
		{"a salt where none is", "{SHA}" + zeros(24)},
		{"a long salt", "{SSHA}" + zeros(20+maxLDAPSalt+1)},
		{"hex", "{SHA256}" + hexOf32},
		{"small letters, which are Spring's", "{sha256}" + zeros(32)},
		{"small and capital letters", "{Ssha}" + ssha[6:]},
		{"no padding", "{SSHA}" + strings.TrimRight(zeros(25), "=")},
		{"a letter less", ssha[:len(ssha)-1]},
		{"a blank", "{SSHA} " + ssha[6:]},
		{"crypt without a hash", "{CRYPT}"},
		{"crypt with a password", "{CRYPT}x"},
		{"crypt with DES", "{CRYPT}aBcDeFgHiJkLm"},
		{"crypt within crypt", "{CRYPT}{CRYPT}$1$salt$" + crypt22},
		{"another scheme within crypt", "{CRYPT}" + ssha},
		{"Django's within crypt", "{CRYPT}pbkdf2_sha256$1000$salt$" + b64of32 + "="},
		{"bcrypt for Argon2", "{ARGON2}$2a$10$" + bcrypt53},
	})
}

func TestNoOtherSpellingOfSpringsIsRead(t *testing.T) {
	refused(t, []misspelt{
		{"nothing after the id", "{bcrypt}"},
		{"half a hash", "{bcrypt}" + bcrypt53},
		{"MD5 for bcrypt", "{bcrypt}$1$salt$" + crypt22},
		{"bcrypt twice", "{bcrypt}{bcrypt}$2a$10$" + bcrypt53},
		{"capitals", "{BCRYPT}$2a$10$" + bcrypt53},
		{"no closing brace", "{bcrypt$2a$10$" + bcrypt53},
		{"PBKDF2 without salt", "{pbkdf2}" + hexOf32},
		{"PBKDF2 that is too long", "{pbkdf2}" + hexOf32 + hexOf32},
		{"PBKDF2 without the longer salt", "{pbkdf2@SpringSecurity_v5_8}" + hexOf32},
		{"SHA-256 without salt", "{sha256}" + hexOf32},
		{"SHA-256 in capitals", "{sha256}97CDE38028AD898EBC02E690819FA220E88C62E0699403E94FFF291CFFFAF8410849F27605ABCBC0"},
		{"Spring's MD5, which has no salt", "{MD5}5f4dcc3b5aa765d61d8327deb882cf99"},
		{"a digest for Argon2", "{argon2}" + b64of32},
		{"plain text within LDAP's", "{ldap}{noop}x"},
		{"LDAP's twice", "{ldap}{ldap}{SSHA}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1J"},
	})
}

func TestNoOtherSpellingOfASPNETsIsRead(t *testing.T) {
	refused(t, []misspelt{
		{"a letter", "A"},
		{"three bytes", "AAAA"},
		{"version 2 that is too short", "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggE="},
		{"version 2 that is too long", "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJgAAAAAAAAAAAAA="},
		{"version 2 with a character after it", "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJg==\n"},
		{"version 2, as it is not", "AgABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJg=="},
		{"version 3 that is too short", "AQAAAAEAACcQAAAAEAABAgMEBQ=="},
		{"an unknown digest", "AQAAAAMAACcQAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw=="},
		{"no rounds", "AQAAAAEAAAAAAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw=="},
		{"a salt of 15 bytes", "AQAAAAEAACcQAAAADwABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw=="},
		{"a salt past the end", "AQAAAAEAACcQ/////wABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw=="},
		{"a salt up to the end", "AQAAAAEAACcQAAAAMAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw=="},
	})
}

func TestNoOtherSpellingOfKeycloaksIsRead(t *testing.T) {
	secret := `"secretData":{"value":"` + b64of32 + `=","salt":"` + b64of16 + `=="}`
	with := func(data string) string { return "{" + secret + `,"credentialData":` + data + "}" }
	argon2 := func(rounds, more string) string {
		return with(`{"algorithm":"argon2","hashIterations":` + rounds + `,"additionalParameters":` + more + "}")
	}
	for _, good := range []string{
		with(`{"algorithm":"pbkdf2-sha256","hashIterations":1}`),
		with(`"{\"algorithm\":\"pbkdf2-sha256\",\"hashIterations\":1}"`),
		argon2("1", `{"type":["id"],"version":["1.3"],"memory":["64"],"parallelism":["1"]}`),
	} {
		if _, err := Parse(good); err != nil {
			t.Fatalf("%s: %v", good, err)
		}
	}
	refused(t, []misspelt{
		{"half an object", `{"`},
		{"an object of nothing", `{"x":1}`},
		{"empty parts", `{"secretData":"","credentialData":""}`},
		{"parts that are null", `{"secretData":null,"credentialData":null}`},
		{"another kind of credential", `{"type":"otp",` + secret + `,"credentialData":"{}"}`},
		{"no secret", `{"secretData":"{}","credentialData":"{\"algorithm\":\"pbkdf2\",\"hashIterations\":1}"}`},
		{"two objects", with(`{"algorithm":"pbkdf2-sha256","hashIterations":1}`) + "{}"},
		{"no rounds", with(`{"algorithm":"pbkdf2-sha256","hashIterations":0}`)},
		{"rounds below zero", with(`{"algorithm":"pbkdf2-sha256","hashIterations":-1}`)},
		{"rounds as a text", with(`{"algorithm":"pbkdf2-sha256","hashIterations":"1"}`)},
		{"rounds past every integer", with(`{"algorithm":"pbkdf2-sha256","hashIterations":99999999999999999999}`)},
		{"MD5", with(`{"algorithm":"pbkdf2-md5","hashIterations":1}`)},
		{"an unknown algorithm", with(`{"algorithm":"md5","hashIterations":1}`)},
		{"no algorithm", with(`{"hashIterations":1}`)},
		{"Argon2 without its parameters", with(`{"algorithm":"argon2","hashIterations":1}`)},
		{"Argon2 without passes", argon2("0", `{"type":["id"],"version":["1.3"],"memory":["64"],"parallelism":["1"]}`)},
		{"Argon2 of two memories", argon2("1", `{"type":["id"],"version":["1.3"],"memory":["64","65"],"parallelism":["1"]}`)},
		{"argon2d", argon2("1", `{"type":["d"],"version":["1.3"],"memory":["64"],"parallelism":["1"]}`)},
		{"Argon2 1.0", argon2("1", `{"type":["id"],"version":["1.0"],"memory":["64"],"parallelism":["1"]}`)},
		{"Argon2 with a salt of one byte", strings.Replace(argon2("1", `{"type":["id"],"version":["1.3"],"memory":["64"],"parallelism":["1"]}`), b64of16+"==", "YQ==", 1)},
	})
}
