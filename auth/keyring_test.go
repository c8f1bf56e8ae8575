package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// A name that began with - would be taken for a flag by the commands that it is
// copied into: one session in sixty-four could not be revoked.
func TestNoNameBeginsAsAFlagDoes(t *testing.T) {
	for first := range 256 {
		name, err := randomName(bytes.NewReader(append([]byte{byte(first)}, make([]byte, 15)...)), 16)
		raw, decoded := base64.RawURLEncoding.DecodeString(name)
		if err != nil || decoded != nil || len(raw) != 16 || strings.HasPrefix(name, "-") {
			t.Errorf("%d: %q, %v, %v", first, name, err, decoded)
		}
	}
}

// TK-21
func TestARetiredKeyVerifiesNothing(t *testing.T) {
	f := newForge(t, "ES256")
	raw := f.sign(f.header(), f.good())
	old := *f.current.Load()
	keys := []openedKey{
		{SealedKey{ID: "kid-1", Use: useSign + "ES256", Generation: 1, Retired: f.now}, old.ring.access.current.signKey},
		{SealedKey{ID: "kid-2", Use: useSign + "ES256", Generation: 2}, readKey(t, f.alg, "kid-2", keyMaterial(t, f.alg))},
		{SealedKey{ID: "mac-1", Use: useRefresh, Generation: 1}, old.ring.refresh.current.signKey},
	}
	use := func(now time.Time) *keyring {
		ring, err := newKeyring(old.config, keys, now)
		if err != nil {
			t.Fatal(err)
		}
		st := old
		st.ring, st.cache = ring, newTokenCache()
		f.current.Store(&st)
		return ring
	}
	ring := use(f.now)
	f.refused(raw)
	if ring.access.current.id != "kid-2" || strings.Contains(string(ring.jwks), "kid-1") {
		t.Errorf("signs with %s, publishes %s", ring.access.current.id, ring.jwks)
	}
	if _, err := newKeyring(old.config, keys[:1], f.now.Add(time.Hour)); err == nil {
		t.Error("a ring of nothing")
	}
}

func TestAKeyServesItsAlgorithmAlone(t *testing.T) {
	material := map[string][]byte{}
	for _, a := range algorithms() {
		material[a.name] = keyMaterial(t, a)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if material["1024 bits"], err = x509.MarshalPKCS8PrivateKey(short); err != nil {
		t.Fatal(err)
	}
	material["nothing"] = nil
	kind := func(name string) string {
		return strings.NewReplacer("PS", "RS", "384", "", "512", "", "256", "").Replace(name)
	}
	for _, a := range algorithms() {
		for of, m := range material {
			fits := of == a.name || kind(of) == kind(a.name) && kind(a.name) == "RS" ||
				a.secret > 0 && len(m) >= a.secret // any secret that is long enough
			if _, err := a.parse("kid", m); (err == nil) != fits {
				t.Errorf("%s takes a key of %s: %v", a.name, of, err)
			}
		}
	}
}

func FuzzParseRefresh(f *testing.F) {
	ring := forgeRing(f, algorithms()[0])
	good, err := ring.refreshToken(Session{ID: "AAAAAAAAAAAAAAAAAAAAAA", Counter: 12, Generation: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("AAAAAAAAAAAAAAAAAAAAAA.1.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("...")
	f.Fuzz(func(t *testing.T, raw string) {
		token, mac, ok := parseRefresh(raw)
		if ok && token.text()+"."+base64.RawURLEncoding.EncodeToString(mac) != raw {
			t.Errorf("%q has a second spelling, %q", raw, token.text())
		}
		if ok && ring.sealed(token, mac) && raw != good {
			t.Errorf("%q, which nobody made, is genuine", raw)
		}
	})
}

func TestARefreshTokenOfAKeyThatIsGoneIsRefused(t *testing.T) {
	ring := forgeRing(t, algorithms()[0])
	if _, err := ring.refreshToken(Session{ID: "AAAAAAAAAAAAAAAAAAAAAA", Counter: 1, Generation: 2}); err == nil {
		t.Error("sealed with no key")
	}
	if _, ok := ring.refreshMAC(2, "x"); ok {
		t.Error("a MAC of no key")
	}
}

// The whole life of a key beside the next one: published before it signs,
// signing, good for what it has signed, recognised, and gone.
func TestTheKeysOfAUseFollowEachOther(t *testing.T) {
	made := time.Unix(1_800_000_000, 0)
	use := keyUse{name: useRefresh, algorithm: refreshAlgorithm(), proves: 15 * time.Minute, known: 30 * day}
	key := func(id string, generation int64, created time.Duration) openedKey {
		return openedKey{SealedKey{ID: id, Use: useRefresh, Generation: generation, Created: made.Add(created)}, signKey{id: id}}
	}
	two := []openedKey{key("one", 1, 0), key("two", 2, time.Hour)}
	hour := time.Hour + keyActivation
	for name, test := range map[string]struct {
		keys                               []openedKey
		now                                time.Duration
		current, published, known, forgets string
	}{
		"at the first start there is nothing to wait with": {two[:1], 0, "one", "one", "one", ""},
		"a clock that was set back":                        {two[:1], -time.Hour, "one", "one", "one", ""},
		"the new one is published and does not sign":       {two, hour - 1, "one", "one two", "one two", ""},
		"the new one signs":                                {two, hour, "two", "one two", "one two", ""},
		"until the last token has expired":                 {two, hour + 15*time.Minute + keyLag - 1, "two", "one two", "one two", ""},
		"only to tell that it has":                         {two, hour + 15*time.Minute + keyLag, "two", "two", "one two", ""},
		"as long as a session lives":                       {two, hour + 30*day + keyLag - 1, "two", "two", "one two", ""},
		"and no longer":                                    {two, hour + 30*day + keyLag, "two", "two", "two", "one"},
		"two rotations at once": {
			[]openedKey{two[0], two[1], key("three", 3, time.Hour+time.Millisecond)}, hour, "two", "one three two", "one three two", ""},
		"the newest was made by a clock that is ahead": {
			[]openedKey{two[0], key("ahead", 2, day)}, 2 * time.Hour, "one", "ahead one", "ahead one", ""},
		"the one between was": {
			[]openedKey{two[0], key("ahead", 2, day), key("three", 3, time.Hour)}, hour + 16*time.Minute, "three", "three", "ahead one three", ""},
		"of another use": {append(two[:1:1], openedKey{SealedKey{ID: "x", Use: "other", Generation: 9}, signKey{id: "x"}}), day, "one", "one", "one", ""},
	} {
		c := newChain(use, test.keys, made.Add(test.now))
		var published []string
		for _, k := range c.published() {
			published = append(published, k.id)
		}
		slices.Sort(published)
		known := strings.Join(slices.Sorted(maps.Keys(c.known)), " ")
		if c.current.id != test.current || strings.Join(published, " ") != test.published || known != test.known || strings.Join(c.gone, " ") != test.forgets {
			t.Errorf("%s: signs with %s, publishes %s, knows %s, forgets %s", name, c.current.id, published, known, c.gone)
		}
	}
}

// A key that was superseded may have been stolen: who has it can write any date
// into a token, but not make it good.
func TestNoTokenOutlivesItsKey(t *testing.T) {
	f := newForge(t, "ES256")
	old := *f.current.Load()
	raw := f.sign(f.header(), f.good())
	next := openedKey{SealedKey{ID: "kid-2", Use: useSign + "ES256", Generation: 2, Created: f.now.Add(-time.Hour)}, readKey(t, f.alg, "kid-2", keyMaterial(t, f.alg))}
	ring, err := newKeyring(old.config, append(slices.Clone(old.ring.keys), next), f.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Verify(raw); err != nil {
		t.Errorf("before the rotation: %v", err)
	}
	old.ring, old.cache = ring, newTokenCache()
	f.current.Store(&old)
	p, err := f.Verify(raw)
	if !errors.Is(err, ErrTokenExpired) || p.Session != "s1" {
		t.Errorf("a fresh token under an old key: %v, of session %q", err, p.Session)
	}
}

// A use that is added later must not open a door: its keys are published beside
// the others and prove no access token.
func TestAKeyOfAnotherUseProvesNoAccessToken(t *testing.T) {
	f := newForge(t, "ES256")
	st := *f.current.Load()
	other := openedKey{SealedKey{ID: "kid-9", Use: "other:ES256", Generation: 1}, readKey(t, f.alg, "kid-9", keyMaterial(t, f.alg))}
	ring, err := newKeyring(st.config, append(slices.Clone(st.ring.keys), other), f.now)
	if err != nil {
		t.Fatal(err)
	}
	if !ring.alike(st.ring) {
		t.Error("a key without a use is in the ring")
	}
	c := newChain(keyUse{name: "other:ES256", algorithm: f.alg, published: true}, ring.keys, f.now)
	text, err := jwkSet(ring.access, c)
	if err != nil || !strings.Contains(string(text), "kid-9") || !strings.Contains(string(text), "kid-1") {
		t.Errorf("published: %s %v", text, err)
	}
	signing := *ring // signs with the other key
	signing.access.current = c.current
	st.ring = &signing
	f.current.Store(&st)
	raw := f.sign(with(f.header(), "kid", "kid-9"), f.good())
	f.refused(raw)
}
