package legacyhash

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// Numbers are read as programs write them, and what no int holds is too much
// and not a small number that was left over.
func TestNumbersAreReadAsTheyAreWritten(t *testing.T) {
	for _, test := range []struct {
		text      string
		low, high int
		want      int
		err       error
	}{
		{"1", 1, 10, 1, nil},
		{"10", 1, 10, 10, nil},
		{"0", 0, 10, 0, nil},
		{"11", 1, 10, 0, ErrCostly},
		{"0", 1, 10, 0, ErrMalformed},
		{"", 0, 10, 0, ErrMalformed},
		{"01", 0, 10, 0, ErrMalformed},
		{"00", 0, 10, 0, ErrMalformed},
		{"+1", 0, 10, 0, ErrMalformed},
		{"-1", 0, 10, 0, ErrMalformed},
		{" 1", 0, 10, 0, ErrMalformed},
		{"1 ", 0, 10, 0, ErrMalformed},
		{"1_0", 0, 10, 0, ErrMalformed},
		{"0x1", 0, 10, 0, ErrMalformed},
		{"1.0", 0, 10, 0, ErrMalformed},
		{"١", 0, 10, 0, ErrMalformed}, // a digit elsewhere
		{"9223372036854775807", 0, 10, 0, ErrCostly},
		{"9223372036854775808", 0, 10, 0, ErrCostly},
		{"18446744073709551617", 0, 10, 0, ErrCostly},
		{strings.Repeat("9", 400), 0, 10, 0, ErrCostly},
	} {
		if n, err := number(test.text, test.low, test.high); n != test.want || !errors.Is(err, test.err) {
			t.Errorf("%.30q from %d to %d: %d, %v", test.text, test.low, test.high, n, err)
		}
	}
}

func TestBase64HasOneSpelling(t *testing.T) {
	for _, test := range []struct {
		enc       *base64.Encoding
		text      string
		low, high int
		want      string
		good      bool
	}{
		{base64.StdEncoding, "c2FsdA==", 1, 8, "salt", true},
		{base64.StdEncoding, "", 0, 8, "", true},
		{base64.StdEncoding, "", 1, 8, "", false},
		{base64.StdEncoding, "c2FsdA", 1, 8, "", false},
		{base64.StdEncoding, "c2FsdA==", 5, 8, "", false},
		{base64.StdEncoding, "c2FsdA==", 1, 3, "", false},
		{base64.StdEncoding, "c2FsdB==", 1, 8, "", false}, // stray bits
		{base64.StdEncoding, "c2Fs\ndA==", 1, 8, "", false},
		{base64.StdEncoding, "c2Fs\rdA==", 1, 8, "", false},
		{base64.StdEncoding, "c2FsdA==\n", 1, 8, "", false},
		{base64.StdEncoding, "c2FsdA==c2FsdA==", 1, 8, "", false},
		{base64.RawStdEncoding, "c2FsdA", 1, 8, "salt", true},
		{base64.RawStdEncoding, "c2FsdA==", 1, 8, "", false},
		{base64.RawStdEncoding, "c2FsdB", 1, 8, "", false},
		{adaptedBase64(), "./8", 1, 8, "\xfb\xff", true},
		{adaptedBase64(), "+/8", 1, 8, "", false},
		{adaptedBase64(), "./8=", 1, 8, "", false},
	} {
		data, err := decode(test.enc, test.text, test.low, test.high)
		if string(data) != test.want || (err == nil) != test.good {
			t.Errorf("%q: %q, %v", test.text, data, err)
		}
	}
}

func TestHexHasOneSpelling(t *testing.T) {
	for text, want := range map[string]string{"73616c74": "salt", "73616C74": "", "7361": "", "73616c7": "", "73616c7g": "", "": "", "73616c7473616c7400": "", " 73616c74": ""} {
		if data, err := decodeHex(text, 4, 8); string(data) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, data, err)
		}
	}
}

func TestASaltThatIsTextIsPrintable(t *testing.T) {
	for text, good := range map[string]bool{
		"salt": true, "!#%&'()*+,-./:;<=>?@[]^_`{|}~": true, "s": true, strings.Repeat("s", maxSalt): true,
		"": false, " ": false, "sa lt": false, "salt\n": false, "s\x00t": false, "s\x7ft": false, "sält": false, "\xff": false, strings.Repeat("s", maxSalt+1): false,
	} {
		salt, err := textSalt(text)
		if (err == nil) != good || (good && string(salt) != text) {
			t.Errorf("%.20q: %q, %v", text, salt, err)
		}
	}
}

// scrypt's three numbers are bounded one by one and together; none of the
// products that are taken leaves an int.
func TestScryptsCostsAreBoundedTogether(t *testing.T) {
	for _, test := range []struct {
		c    scryptCost
		want error
	}{
		{scryptCost{2, 1, 1}, nil},
		{scryptCost{1 << 17, 8, 1}, nil},
		{scryptCost{1 << 18, 8, 1}, nil},
		{scryptCost{1 << 21, 1, 1}, nil},
		{scryptCost{1 << 16, 64, 1}, ErrCostly}, // 512 MiB
		{scryptCost{1 << 18, 8, 3}, ErrCostly},
		{scryptCost{1 << 22, 1, 1}, ErrCostly},
		{scryptCost{1 << 62, 64, 64}, ErrCostly},
		{scryptCost{2, 1 << 40, 1}, ErrCostly},
		{scryptCost{2, 1, 1 << 40}, ErrCostly},
		{scryptCost{1, 8, 1}, ErrMalformed},
		{scryptCost{0, 8, 1}, ErrMalformed},
		{scryptCost{-4, 8, 1}, ErrMalformed},
		{scryptCost{3, 8, 1}, ErrMalformed},
		{scryptCost{4, 0, 1}, ErrMalformed},
		{scryptCost{4, 8, 0}, ErrMalformed},
	} {
		if err := test.c.fault(); !errors.Is(err, test.want) {
			t.Errorf("%+v: %v, want %v", test.c, err, test.want)
		}
		if _, err := test.c.hash("x", []byte("salt"), make([]byte, 32)); !errors.Is(err, test.want) {
			t.Errorf("%+v: a hash and %v, want %v", test.c, err, test.want)
		}
	}
	if (scryptCost{3, 8, 1}).key("x", []byte("salt"), 32) != nil {
		t.Error("a key of parameters that do not go together")
	}
}

// An error of the computation is a wrong password, never the right one: an
// empty digest, as it would leave behind, equals none that is kept.
func TestNothingEqualsADigestThatWasNotComputed(t *testing.T) {
	if equal(make([]byte, 16), nil) || equal([]byte("a"), []byte("ab")) || !equal([]byte("ab"), []byte("ab")) {
		t.Error("digests are compared wrongly")
	}
	h, err := pbkdf2Hash{prf: "sha256", rounds: 1, salt: []byte("salt"), digest: make([]byte, 32)}.hash("x")
	if err != nil || h.Matches("") || h.Matches("x") {
		t.Errorf("a digest of zeros passes: %v", err)
	}
	for _, prf := range []string{"", "md5", "SHA256", "sha3"} {
		if h, err := (pbkdf2Hash{prf: prf, rounds: 1, salt: []byte("salt"), digest: make([]byte, 32)}).hash("x"); !errors.Is(err, ErrMalformed) || h.check != nil {
			t.Errorf("%q: %v", prf, err)
		}
	}
}

// The letters of crypt(3) put the low bits first.
func TestCryptsLettersAreLowBitsFirst(t *testing.T) {
	for data, want := range map[string]string{"": "", "\x00": "..", "\x01": "/.", "\xff": "z1", "\x00\x00\x01": "..E.", "\xff\xff": "zzD", "\xff\xff\xff": "zzzz"} {
		if got := string(crypt64([]byte(data))); got != want {
			t.Errorf("%q: %s, want %s", data, got, want)
		}
	}
	for text, want := range map[string]int{".": 0, "/": 1, "z": 63, "./": 64, "6....": 8, "/....": 1, "zzzzz": 1<<30 - 1} {
		if got := crypt64Number(text); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

// The orders of the SHA hashes name every byte of the digest once.
func TestCryptWritesEveryByteOfTheDigest(t *testing.T) {
	for name, order := range map[string][]byte{"sha256": sha256CryptOrder(), "sha512": sha512CryptOrder()} {
		if size := digestNamed(name)().Size(); len(order) != size {
			t.Errorf("%s: %d bytes of %d", name, len(order), size)
		}
		seen := map[byte]bool{}
		for _, at := range order {
			seen[at] = true
		}
		if len(seen) != len(order) {
			t.Errorf("%s: %d of %d are different", name, len(seen), len(order))
		}
		for at := range seen {
			if int(at) >= len(order) {
				t.Errorf("%s: a byte %d", name, at)
			}
		}
	}
	if got := stretch([]byte("abc"), 7); string(got) != "abcabca" {
		t.Errorf("stretched to %s", got)
	}
	if got := stretch([]byte("abc"), 0); len(got) != 0 {
		t.Errorf("stretched to %s", got)
	}
}

// Passwords of every length go through the loops of crypt(3), which take one
// bit or one block of the length at a time.
func TestCryptTakesPasswordsOfEveryLength(t *testing.T) {
	seen := map[string]int{}
	for n := range 140 {
		password := []byte(strings.Repeat("p", n))
		for _, letters := range [][]byte{
			md5Crypt("$1$", []byte("salt"), password),
			md5Crypt("$apr1$", []byte("salt"), password),
			shaCrypt{new: digestNamed("sha256"), order: sha256CryptOrder(), rounds: 8, salt: []byte("salt")}.letters(password),
			shaCrypt{new: digestNamed("sha512"), order: sha512CryptOrder(), rounds: 8, salt: []byte("salt")}.letters(password),
		} {
			if before, twice := seen[string(letters)]; twice {
				t.Fatalf("%d and %d letters have one hash", before, n)
			}
			seen[string(letters)] = n
		}
	}
	if len(seen) != 4*140 {
		t.Errorf("%d hashes", len(seen))
	}
}

func TestPHPsTrimCutsWhatPHPCuts(t *testing.T) {
	for text, want := range map[string]string{
		"x": "x", " x ": "x", "\t\n\r\v\x00x\x00\v\r\n\t": "x", "x y": "x y", "": "", "  ": "",
		"\u00a0x": "\u00a0x", "\fx": "\fx", // neither is cut there
	} {
		if got := trimPHP(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}
