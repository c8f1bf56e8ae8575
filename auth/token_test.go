package auth

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// forge is a Service without a store: keys, a clock that stands still and a
// configuration are all that Verify needs. It signs whatever a test wants.
type forge struct {
	*Service
	t   testing.TB
	alg algorithm
	now time.Time
}

const forgeIssuer = "http://gw.test"

func newForge(t testing.TB, alg string) *forge {
	t.Helper()
	f := &forge{t: t, now: time.Unix(1_800_000_000, 0)}
	f.alg, _ = algorithmByName(alg)
	f.Service = &Service{now: func() time.Time { return f.now }, view: newRevocations(), rand: rand.Reader}
	f.keysRead.Store(math.MaxInt64) // never again: there is no store
	f.current.Store(&state{config: forgeConfig(f.alg), ring: forgeRing(t, f.alg), cache: newTokenCache()})
	return f
}

func forgeRing(t testing.TB, alg algorithm) *keyring {
	t.Helper()
	material := keyMaterial(t, alg)
	keys := []openedKey{
		{SealedKey{ID: "kid-1", Use: useSign + alg.name, Generation: 1}, readKey(t, alg, "kid-1", material)},
		{SealedKey{ID: "mac-1", Use: useRefresh, Generation: 1}, readKey(t, refreshAlgorithm(), "mac-1", bytes.Repeat([]byte{7}, 32))},
	}
	ring, err := newKeyring(forgeConfig(alg), keys, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func forgeConfig(alg algorithm) Config {
	conf := DefaultConfig()
	conf.Issuer = forgeIssuer
	conf.AccessToken.Algorithm = alg.name
	return conf
}

func readKey(t testing.TB, alg algorithm, id string, material []byte) signKey {
	t.Helper()
	k, err := alg.parse(id, material)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// rsaMaterial is one RSA key for all tests: making one takes a second.
var rsaMaterial = sync.OnceValues(func() ([]byte, error) {
	rs, _ := algorithmByName("RS256")
	return rs.generate(rand.Reader)
})

// keyMaterial is a key of an algorithm, a new one unless it is RSA.
func keyMaterial(t testing.TB, alg algorithm) []byte {
	t.Helper()
	made := func() ([]byte, error) { return alg.generate(rand.Reader) }
	if alg.secret == 0 && alg.curve == nil && alg.name != "EdDSA" {
		made = rsaMaterial
	}
	b, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// good are the claims of a token that verifies.
func (f *forge) good() map[string]any {
	return map[string]any{
		"iss": forgeIssuer, "sub": "a1", "aud": "postern", "iat": f.now.Unix(), "exp": f.now.Unix() + 600,
		"jti": "j", "sid": "s1", "roles": []string{"user"}, "username": "alice", "auth_time": f.now.Unix(), "ver": 1,
	}
}

func (f *forge) header() map[string]any {
	return map[string]any{"alg": f.alg.name, "kid": "kid-1", "typ": "at+jwt"}
}

// sign makes a token of any header and payload with the gateway's own key.
func (f *forge) sign(header, payload any) string {
	f.t.Helper()
	text := encodePart(f.t, header) + "." + encodePart(f.t, payload)
	sig, err := f.alg.method.Sign(text, f.current.Load().ring.access.current.private)
	if err != nil {
		f.t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// encodePart is a part of a token: a string as it is, anything else as JSON.
func encodePart(t testing.TB, part any) string {
	t.Helper()
	text, ok := part.(string)
	if !ok {
		b, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// with is a map with members set; nil removes one.
func with(m map[string]any, pairs ...any) map[string]any {
	m = maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

func without(m map[string]any, name string) map[string]any {
	m = maps.Clone(m)
	delete(m, name)
	return m
}

// refused fails the test when a token is accepted, or when a refusal tells more
// than a refusal may.
func (f *forge) refused(raw string) {
	f.t.Helper()
	p, err := f.Verify(raw)
	if !errors.Is(err, ErrTokenInvalid) && !errors.Is(err, ErrTokenMalformed) {
		f.t.Errorf("%.200s: got %v, want it refused", raw, err)
	}
	if p.ID != "" || p.Roles != nil {
		f.t.Errorf("%.200s: a refusal names %+v", raw, p)
	}
}

func TestEveryAlgorithmSignsWhatItVerifies(t *testing.T) {
	for _, name := range algorithmNames() {
		t.Run(name, func(t *testing.T) {
			f := newForge(t, name)
			raw := f.sign(f.header(), f.good())
			for range 2 { // cold, then from the cache
				p, err := f.Verify(raw)
				if err != nil || p.Username != "alice" || p.Roles[0] != "user" {
					t.Fatalf("%v %+v", err, p)
				}
			}
			text, sig := splitSignature(t, raw)
			sig[len(sig)/2] ^= 1
			f.refused(text + "." + base64.RawURLEncoding.EncodeToString(sig))
		})
	}
}

// The forged tokens of the security corpus, by their ids there.
func TestForgedTokensAreRefused(t *testing.T) {
	f := newForge(t, "ES256")
	attacker := newForge(t, "ES256")
	head, good := f.header(), f.good()
	unsigned := func(header any) string { return encodePart(t, header) + "." + encodePart(t, good) + "." }
	hmacOver := func(header any, secret []byte) string {
		hs, _ := algorithmByName("HS256")
		text := encodePart(t, header) + "." + encodePart(t, good)
		sig, err := hs.method.Sign(text, secret)
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(sig)
	}
	token := f.sign(head, good)
	parts := strings.Split(token, ".")
	jwks := f.JWKS()
	deep := strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000)
	claimsText, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]string{
		"TK-01 alg none":        {unsigned(with(head, "alg", "none"))},
		"TK-02 alg NONE":        {unsigned(with(head, "alg", "NONE"))},
		"TK-03 alg nOnE":        {unsigned(with(head, "alg", "nOnE"))},
		"TK-05 alg missing":     {unsigned(without(head, "alg")), f.sign(without(head, "alg"), good)},
		"TK-06 alg of odd type": {f.sign(with(head, "alg", ""), good), f.sign(with(head, "alg", 1), good), f.sign(with(head, "alg", []string{"none", "ES256"}), good), f.sign(with(head, "alg", nil), good)},
		"TK-07 no signature":    {parts[0] + "." + parts[1] + "."},
		"TK-08 two parts":       {parts[0] + "." + parts[1]},
		"TK-09 four parts":      {token + ".x", token + ".", "." + token},
		"TK-10 dots":            {strings.Repeat(".", 900_000), strings.Repeat("A", maxToken) + ".A.A", "..", ""},
		"TK-12 the public key as an HMAC secret (CVE-2015-9235)": {hmacOver(with(head, "alg", "HS256"), jwks), hmacOver(head, jwks)},
		"TK-15 attacker's key": {attacker.sign(head, good)},
		"TK-16 embedded jwk (CVE-2018-0114)": {
			attacker.sign(with(head, "jwk", json.RawMessage(attacker.JWKS())), good), f.sign(with(head, "jwk", map[string]string{}), good)},
		"TK-17 jku, x5u":        {attacker.sign(with(head, "jku", "http://127.0.0.1:1/jwks"), good), f.sign(with(head, "jku", "x"), good), f.sign(with(head, "x5u", "x"), good)},
		"TK-18 x5c":             {attacker.sign(with(head, "x5c", []string{"MII"}), good), f.sign(with(head, "x5c", []string{}), good), f.sign(with(head, "x5t", ""), good)},
		"TK-19 kid traversal":   {hmacOver(with(head, "alg", "HS256", "kid", "../../../../dev/null"), nil), f.sign(with(head, "kid", "/etc/passwd"), good)},
		"TK-20 kid injection":   {f.sign(with(head, "kid", "x' UNION SELECT 'AAAA"), good), f.sign(with(head, "kid", nil), good), f.sign(with(head, "kid", 1), good), f.sign(with(head, "kid", []string{"kid-1"}), good), f.sign(without(head, "kid"), good), f.sign(with(head, "kid", "KID-1"), good)},
		"TK-22 crit":            {f.sign(with(head, "crit", []string{"exp"}), good), f.sign(with(head, "crit", []string{}), good)},
		"TK-23 b64 false":       {f.sign(with(head, "crit", []string{"b64"}, "b64", false), good), f.sign(with(head, "b64", true), good)},
		"TK-25 zip":             {f.sign(with(head, "zip", "DEF"), good)},
		"TK-27 padding":         {parts[0] + "=." + parts[1] + "=." + parts[2] + "=", token + "=", token + "=="},
		"TK-29 line ends":       {token + "\n", token[:len(token)-5] + "\n" + token[len(token)-5:], " " + token, token + "\r\n", token + "\x00"},
		"TK-31 JSON":            {`{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`},
		"TK-34 exp 0":           {f.sign(head, with(good, "exp", 0)), f.sign(head, without(good, "exp"))},
		"TK-35 exp of odd type": {f.sign(head, with(good, "exp", "9999999999")), f.sign(head, with(good, "exp", nil)), f.sign(head, with(good, "exp", []int{9})), f.sign(head, with(good, "exp", json.RawMessage("1e400"))), f.sign(head, with(good, "exp", -1)), f.sign(head, with(good, "exp", "foo")), f.sign(head, with(good, "exp", 9.9e18))},
		"TK-36 not before":      {f.sign(head, with(good, "nbf", f.now.Unix()+60)), f.sign(head, with(good, "nbf", "x"))},
		"TK-37 iat ahead":       {f.sign(head, with(good, "iat", f.now.Unix()+3600)), f.sign(head, with(good, "iat", f.now.Unix()+1)), f.sign(head, without(good, "iat"))},
		"TK-38 iss":             {f.sign(head, with(good, "iss", "https://evil")), f.sign(head, with(good, "iss", nil)), f.sign(head, with(good, "iss", []string{forgeIssuer})), f.sign(head, with(good, "iss", forgeIssuer+"/")), f.sign(head, with(good, "iss", strings.ToUpper(forgeIssuer)))},
		"TK-39 aud":             {f.sign(head, with(good, "aud", "other")), f.sign(head, with(good, "aud", nil)), f.sign(head, with(good, "aud", []string{})), f.sign(head, with(good, "aud", []string{"other"})), f.sign(head, with(good, "aud", "")), f.sign(head, with(good, "aud", 1)), f.sign(head, with(good, "aud", "POSTERN"))},
		"TK-43 typ":             {f.sign(with(head, "typ", "JWT"), good), f.sign(with(head, "typ", "rt+jwt"), good), f.sign(with(head, "typ", nil), good), f.sign(without(head, "typ"), good), f.sign(with(head, "typ", "application/jwt"), good)},
		"TK-46 claims twice": {
			f.sign(head, strings.TrimSuffix(string(claimsText), "}")+`,"sub":"root"}`),
			f.sign(head, `{"roles":["admin"],`+string(claimsText)[1:]),
			f.sign(`{"alg":"none",`+jsonText(t, head)[1:], good)},
		"TK-47 claims by case": {
			f.sign(head, with(good, "ROLES", []string{"admin"})), f.sign(head, with(good, "Sub", "root")),
			f.sign(head, with(good, "iſs", "x")), f.sign(head, with(without(good, "sub"), "SUB", "root"))},
		"TK-49 sub":          {f.sign(head, with(good, "sub", "")), f.sign(head, with(good, "sub", 1)), f.sign(head, with(good, "sub", nil)), f.sign(head, with(good, "sub", "alice\r\nX-Auth-Roles: admin")), f.sign(head, with(good, "sub", "alice\x00"))},
		"TK-50 roles":        {f.sign(head, with(good, "roles", "admin")), f.sign(head, with(good, "roles", map[string]bool{"admin": true})), f.sign(head, with(good, "roles", [][]string{{"admin"}})), f.sign(head, with(good, "roles", nil)), f.sign(head, with(good, "roles", []any{"user", 1}))},
		"TK-51 other claims": {f.sign(head, without(good, "sid")), f.sign(head, with(good, "sid", "")), f.sign(head, with(good, "sid", 7)), f.sign(head, with(good, "ver", "1")), f.sign(head, without(good, "ver")), f.sign(head, with(good, "username", "")), f.sign(head, with(good, "name", "a\nb")), f.sign(head, with(good, "fields", "x"))},
		"TK-48 names with escapes": {
			f.sign(head, strings.Replace(string(claimsText), `"roles"`, `"r\u006fles"`, 1)),
			f.sign(head, strings.TrimSuffix(string(claimsText), "}")+`,"r\u006fles":["admin"]}`),
			f.sign(head, strings.TrimSuffix(string(claimsText), "}")+`,"fields":{"a":["1"],"A":["2"]}}`),
			f.sign(head, strings.TrimSuffix(string(claimsText), "}")+`,"roles" : ["admin"]}`),
			f.sign(head, strings.TrimSuffix(string(claimsText), "}")+",\n\"roles\"\t\n:[\"admin\"]}")},
		"TK-53 deep nesting":   {f.sign(head, deep), f.sign(head, with(good, "a", json.RawMessage("[[[[[1]]]]]"))), f.sign(deep, good)},
		"TK-54 not an object":  {f.sign(head, "[]"), f.sign(head, `"x"`), f.sign(head, "null"), f.sign(head, ""), f.sign(head, string(claimsText)+"{}"), f.sign(head, string(claimsText)+" "), f.sign("null", good), f.sign("[]", good)},
		"TK-41 refresh tokens": {"AAAAAAAAAAAAAAAAAAAAAA.1.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
	}
	for name, tokens := range cases {
		t.Run(name, func(t *testing.T) {
			f := *f
			f.t = t
			for _, raw := range tokens {
				f.refused(raw)
			}
		})
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A header is a stranger's text: comparing its names must not become work.
func TestAHeaderOfManyNamesIsCheap(t *testing.T) {
	var names []string
	for i := range 2 * maxMembers {
		names = append(names, fmt.Sprintf(`"a%d":1`, i))
	}
	text := []byte("{" + strings.Join(names, ",") + "}")
	if unambiguous(text) {
		t.Error("as many members as one likes")
	}
	if !unambiguous([]byte("{" + strings.Join(names[:maxMembers], ",") + "}")) {
		t.Error("too few members")
	}
}

// The names that unambiguous finds are those that encoding/json finds.
func FuzzUnambiguous(f *testing.F) {
	f.Add(`{"a":{"b":["c:",{"d":"\":"}]},"e" : 1}`)
	f.Add(`{"a":1,"A":2}`)
	f.Add(`1E700`)
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) || !unambiguous([]byte(text)) {
			return
		}
		var walk func(v any, dec *json.Decoder)
		walk = func(v any, dec *json.Decoder) {
			seen := map[string]bool{}
			for (v == json.Delim('{') || v == json.Delim('[')) && dec.More() {
				if v == json.Delim('{') {
					name, err := dec.Token()
					if folded := Fold(fmt.Sprint(name)); err != nil || seen[folded] {
						t.Fatalf("%q has %q twice (%v)", text, name, err)
					} else {
						seen[folded] = true
					}
				}
				inner, err := dec.Token()
				if err != nil {
					t.Fatal(err)
				}
				walk(inner, dec)
			}
			if v == json.Delim('{') || v == json.Delim('[') {
				if _, err := dec.Token(); err != nil {
					t.Fatal(err)
				}
			}
		}
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber() // 1E700 is JSON, and no float64
		first, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		walk(first, dec)
	})
}

// What differs from the good token by nothing but the tested claim must be
// accepted, or the tables above prove nothing.
func TestHarmlessVariantsAreAccepted(t *testing.T) {
	f := newForge(t, "ES256")
	head, good := f.header(), f.good()
	for name, raw := range map[string]string{
		"several audiences":  f.sign(head, with(good, "aud", []string{"other", "postern"})),
		"iat this second":    f.sign(head, with(good, "iat", f.now.Unix())),
		"nbf this second":    f.sign(head, with(good, "nbf", f.now.Unix())),
		"no roles":           f.sign(head, with(good, "roles", []string{})),
		"an unknown claim":   f.sign(head, with(good, "later", map[string]any{"A": []int{1}})),
		"long media type":    f.sign(with(head, "typ", "application/at+jwt"), good),
		"media type by case": f.sign(with(head, "typ", "AT+JWT"), good),
		"fields by case":     f.sign(head, with(good, "fields", map[string][]string{"Phone": {"1"}})),
	} {
		if _, err := f.Verify(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTK24EveryFlippedBitOfASignatureIsRefused(t *testing.T) {
	for _, alg := range []string{"ES256", "HS256", "EdDSA"} {
		f := newForge(t, alg)
		text, sig := splitSignature(t, f.sign(f.header(), f.good()))
		for i := range sig {
			sig[i] ^= 1 << (i % 8)
			f.refused(text + "." + base64.RawURLEncoding.EncodeToString(sig))
			sig[i] ^= 1 << (i % 8)
		}
	}
}

func splitSignature(t *testing.T, raw string) (string, []byte) {
	t.Helper()
	i := strings.LastIndexByte(raw, '.')
	sig, err := base64.RawURLEncoding.DecodeString(raw[i+1:])
	if err != nil {
		t.Fatal(err)
	}
	return raw[:i], sig
}

func TestTK26StrayBitsInTheLastCharacterAreRefused(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	f := newForge(t, "ES256")
	raw := f.sign(f.header(), f.good())
	last := strings.IndexByte(alphabet, raw[len(raw)-1])
	for i := range 16 { // 64 bytes leave four bits over
		if other := last&^15 | i; other != last {
			f.refused(raw[:len(raw)-1] + string(alphabet[other]))
		}
	}
}

func TestTK28TheOtherBase64AlphabetIsRefused(t *testing.T) {
	f := newForge(t, "ES256")
	for {
		raw := f.sign(f.header(), f.good())
		swapped := strings.NewReplacer("-", "+", "_", "/").Replace(raw)
		if swapped != raw {
			f.refused(swapped)
			return
		}
	}
}

func TestTK30TruncatedSignaturesAreRefused(t *testing.T) {
	f := newForge(t, "HS256")
	raw := f.sign(f.header(), f.good())
	text, sig := splitSignature(t, raw)
	for n := range sig {
		f.refused(text + "." + base64.RawURLEncoding.EncodeToString(sig[:n]))
	}
	for n := len(text); n < len(raw); n++ {
		f.refused(raw[:n])
	}
}

// CVE-2022-21449: a verifier that forgets to check for zero takes r = s = 0 for
// a signature of anything.
func TestCVE202221449ZeroSignaturesAreRefused(t *testing.T) {
	f := newForge(t, "ES256")
	text, _ := splitSignature(t, f.sign(f.header(), f.good()))
	order := f.alg.curve.Params().N
	for _, v := range []*big.Int{big.NewInt(0), big.NewInt(1), order, new(big.Int).Sub(order, big.NewInt(1))} {
		half := v.FillBytes(make([]byte, 32))
		f.refused(text + "." + base64.RawURLEncoding.EncodeToString(append(half, half...)))
	}
}

func TestExpiryIsToldOnlyOfGenuineTokens(t *testing.T) {
	f := newForge(t, "ES256")
	good := f.good()
	raw := f.sign(f.header(), good)
	forged := newForge(t, "ES256").sign(f.header(), good)
	wrongAudience := f.sign(f.header(), with(good, "aud", "other"))
	if _, err := f.Verify(raw); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(10*time.Minute - time.Second)
	if _, err := f.Verify(raw); err != nil {
		t.Errorf("in its last second: %v", err)
	}
	f.now = f.now.Add(time.Second)
	f.view.apply(Revocation{Kind: RevokeSessionTokens, ID: "s1", Until: f.now.Add(time.Hour)})
	p, err := f.Verify(raw)
	if !errors.Is(err, ErrTokenExpired) || p.Session != "s1" {
		t.Errorf("expired: %v %+v; want the session it belonged to", err, p)
	}
	f.refused(forged)
	f.refused(wrongAudience)
}

// A revocation is remembered for one lifetime of an access token. One that was
// issued with a longer lifetime, before a restart, must not outlive that.
func TestALoweredLifetimeBindsTokensIssuedBefore(t *testing.T) {
	f := newForge(t, "HS256")
	raw := f.sign(f.header(), with(f.good(), "exp", f.now.Unix()+86400))
	f.now = f.now.Add(f.current.Load().config.AccessToken.TTL)
	if _, err := f.Verify(raw); !errors.Is(err, ErrTokenExpired) {
		t.Errorf("got %v", err)
	}
}

// Who knows the time is answered for that time, cached or not, and like anybody
// who does not; and nobody who was not proven is there.
func TestProveIsVerifyAtATime(t *testing.T) {
	f := newForge(t, "HS256")
	raw, now := f.sign(f.header(), f.good()), f.now
	for range 2 {
		p, err := f.Prove(raw, now)
		if v, wrong := f.Verify(raw); err != nil || wrong != nil || !reflect.DeepEqual(*p, v) {
			t.Fatalf("%+v %v, want %+v %v", p, err, v, wrong)
		}
	}
	if p, err := f.Prove(raw, now.Add(24*time.Hour)); !errors.Is(err, ErrTokenExpired) || p == nil || p.ID != "a1" {
		t.Errorf("a day later: %+v %v", p, err)
	}
	if p, err := f.Prove(raw, now); err != nil || p.ID != "a1" {
		t.Errorf("and now again: %+v %v", p, err)
	}
	for _, bad := range []string{"", "x", raw + "x", raw[:len(raw)-2]} {
		if p, err := f.Prove(bad, now); err == nil || p != nil {
			t.Errorf("%q: %+v %v", bad, p, err)
		}
	}
}

func TestRevocationIsHeededByCachedTokens(t *testing.T) {
	f := newForge(t, "HS256")
	raw := f.sign(f.header(), f.good())
	if _, err := f.Verify(raw); err != nil {
		t.Fatal(err)
	}
	f.view.apply(Revocation{Kind: RevokeAccountTokens, ID: "a1", Version: 2, Until: f.now.Add(time.Hour)})
	if p, err := f.Verify(raw); !errors.Is(err, ErrTokenOutdated) || !errors.Is(err, ErrTokenRevoked) || p.ID != "a1" {
		t.Errorf("a changed account: %v %+v", err, p)
	}
	newer := f.sign(f.header(), with(f.good(), "ver", 2))
	if _, err := f.Verify(newer); err != nil {
		t.Errorf("a token of the new version: %v", err)
	}
	f.view.apply(Revocation{Kind: RevokeSessionTokens, ID: "s1", Until: f.now.Add(time.Hour)})
	if _, err := f.Verify(newer); !errors.Is(err, ErrTokenRevoked) || errors.Is(err, ErrTokenOutdated) {
		t.Errorf("an ended session: %v", err)
	}
}

// TestATokenIsNotProvenTwiceAtOnce: who comes with the same token meanwhile gets
// what the first finds, and nobody what was found of another.
func TestATokenIsNotProvenTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForge(t, "ES256")
		raw, other := f.sign(f.header(), f.good()), f.sign(f.header(), with(f.good(), "sub", "a2"))
		cache, first := f.current.Load().cache, &Principal{ID: "found by the first", Expires: f.now.Add(time.Minute)}
		goOn := make(chan struct{})
		go func() { _, _, _ = cache.proving.Do(raw, func() (any, error) { <-goOn; return first, nil }) }()
		synctest.Wait() // it is at it
		for range 8 {
			go func() {
				if p, err := f.Verify(raw); err != nil || p.ID != first.ID {
					t.Errorf("%+v, %v", p, err)
				}
			}()
		}
		synctest.Wait() // all of them wait
		if p, err := f.Verify(other); err != nil || p.ID != "a2" {
			t.Errorf("another token: %+v, %v", p, err)
		}
		close(goOn)
		synctest.Wait()
	})
}

func TestTheCacheIsBoundedAndHoldsNoRefusal(t *testing.T) {
	c := newTokenCache()
	for i := range 2 * cacheShards * cacheShard {
		c.put(fmt.Sprintf("token-%d", i), &Principal{ID: "x"})
	}
	total := 0
	for i := range c.shards {
		total += len(c.shards[i].entries)
	}
	if total > cacheShards*cacheShard || total < cacheShards*cacheShard/2 {
		t.Errorf("%d entries", total)
	}
	f := newForge(t, "HS256")
	f.refused(f.sign(f.header(), with(f.good(), "iss", "other")))
	expired := f.sign(f.header(), with(f.good(), "exp", f.now.Unix()-1))
	if _, err := f.Verify(expired); !errors.Is(err, ErrTokenExpired) {
		t.Error(err)
	}
	for i := range f.current.Load().cache.shards {
		if n := len(f.current.Load().cache.shards[i].entries); n > 0 {
			t.Error("a refusal is in the cache")
		}
	}
}

// SE-25: a cache whose key is not the whole token lets one in as another.
func TestSE25ACollisionOfHashesIsNoHit(t *testing.T) {
	c := newTokenCache()
	c.put("alice", &Principal{ID: "alice"})
	for i := range c.shards {
		for sum, e := range c.shards[i].entries {
			e.raw = "bob"
			c.shards[i].entries[sum] = e
		}
	}
	if p, ok := c.get("alice"); ok {
		t.Errorf("got %+v", p)
	}
}

func TestIssuedReadsLeniently(t *testing.T) {
	f := newForge(t, "ES256")
	raw := f.sign(f.header(), f.good())
	parts := strings.Split(raw, ".")
	refresh, err := f.current.Load().ring.refreshToken(Session{ID: "AAAAAAAAAAAAAAAAAAAAAA", Counter: 1, Generation: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, ours := range []string{
		raw, raw + "x", parts[0] + "." + parts[1], parts[0] + "." + parts[1] + ".", raw + ".more",
		parts[0] + "." + parts[1] + "=." + parts[2], strings.NewReplacer("-", "+", "_", "/").Replace(raw),
		"." + encodePart(t, `{"iss":"other","ISS":"`+forgeIssuer+`"}`) + ".", refresh,
	} {
		if !f.Issued(ours) {
			t.Errorf("%.80s passes for somebody else's", ours)
		}
	}
	for _, foreign := range []string{
		"", "abc", "a.b.c", "ghp_0123456789", f.sign(f.header(), with(f.good(), "iss", "https://other.test")),
		encodePart(t, "{}") + "." + encodePart(t, `{"aud":"`+forgeIssuer+`"}`) + ".x", "." + encodePart(t, `[1]`) + ".",
		refresh[:len(refresh)-1] + "!",
	} {
		if f.Issued(foreign) {
			t.Errorf("%.80s passes for ours", foreign)
		}
	}
}

func TestATokenThatWouldBeTooLongIsNotIssued(t *testing.T) {
	f := newForge(t, "RS256")
	var c claims
	c.Fields = map[string][]string{"x": {strings.Repeat("x", maxToken)}}
	if _, err := f.current.Load().ring.signToken(c); err == nil {
		t.Error("issued")
	}
	// The bounds on an account's parts make that impossible: the worst account
	// has characters that JSON doubles everywhere.
	worst := func(n int) string { return strings.Repeat(`"`, n) }
	c = claims{
		Issuer: forgeIssuer, Subject: worst(maxID), Audience: audience{"postern"}, ID: worst(22), Session: worst(22),
		Username: worst(maxEmail), Email: worst(maxEmail), Name: worst(maxName), Expires: 1 << 40, Issued: 1 << 40, AuthTime: 1 << 40, Version: 1 << 50,
		Fields: map[string][]string{"x": {worst(maxFields)}}, Roles: []string{worst(maxRoles)},
	}
	if _, err := f.current.Load().ring.signToken(c); err != nil {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	forge := newForge(f, "HS256")
	good := forge.sign(forge.header(), forge.good())
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add("..")
	f.Add(encodePart(f, `{"alg":"none"}`) + "." + encodePart(f, `{"sub":"root"}`) + ".")
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := forge.Verify(raw)
		if err == nil && raw != good {
			t.Errorf("accepted %q, which nobody signed, for %+v", raw, p)
		}
		forge.Issued(raw)
	})
}
