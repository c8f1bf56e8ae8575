package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// forgery says how a token of the corpus is made.
type forgery struct {
	Header         map[string]json.RawMessage
	HeaderVariants []map[string]json.RawMessage `json:"header_variants"`
	Claims         map[string]json.RawMessage
	ClaimsVariants []map[string]json.RawMessage `json:"claims_variants"`
	ClaimsRaw      string                       `json:"claims_raw"`
	Sig            string
	Base, Mutate   string
	Literal        string
}

// forge makes tokens that the gateway never made. It holds the gateway's own
// signing key too, taken from the store with the master key, so that a forgery
// may be wrong in one thing alone and right in all the others.
type forge struct {
	f        *firingRange
	key      *ecdsa.PrivateKey // the gateway's
	retired  *ecdsa.PrivateKey // was the gateway's
	attacker *ecdsa.PrivateKey
	good     string                     // alice's access token
	claims   map[string]json.RawMessage // what it says
	kid      string
}

func newForge(t *testing.T, f *firingRange, retired *ecdsa.PrivateKey) *forge {
	t.Helper()
	attacker, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	fg := &forge{f: f, attacker: attacker, retired: retired, good: f.words["ACCESS_TOKEN_ALICE"]}
	parts := strings.Split(fg.good, ".")
	var header struct{ KID string }
	unpack(t, parts[0], &header)
	unpack(t, parts[1], &fg.claims)
	fg.kid = header.KID
	fg.key = openVault(t, f.dir).signingKey(t, fg.kid)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &attacker.PublicKey, attacker)
	if err != nil {
		t.Fatal(err)
	}
	f.words["KID"] = fg.kid
	f.words["ATTACKER_CERT"] = base64.StdEncoding.EncodeToString(cert)
	return fg
}

func unpack(t *testing.T, part string, v any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatal(err)
	}
}

// TestForgeIsGood signs a token of its own with the gateway's key. Were the
// forge bad at its craft, every forgery would be refused for the wrong reason.
func TestForgeIsGood(t *testing.T) {
	t.Parallel()
	f := newRange(t, "lean")
	header := map[string]json.RawMessage{"alg": json.RawMessage(`"ES256"`), "typ": json.RawMessage(`"at+jwt"`), "kid": quote(f.forge.kid)}
	token := f.forge.sign(header, encode(f.forge.claims), "valid")
	r := f.hosted("gw.test").get("/app/home", bearer(token))
	r.want(t, 200, "a token with the gateway's own key")
	wrong := f.forge.sign(header, encode(f.forge.claims), "attacker key")
	f.hosted("gw.test").get("/app/home", bearer(wrong)).want(t, 401, "the same token with another key")
}

// tokens are all the tokens that a forgery describes.
func (fg *forge) tokens(t *testing.T, j forgery) []string {
	t.Helper()
	switch {
	case j.Literal != "":
		return []string{fg.f.fill(j.Literal)}
	case j.Mutate != "":
		return fg.mutate(t, j.Mutate)
	}
	var made []string
	for _, header := range variants(j.Header, j.HeaderVariants) {
		for _, payload := range fg.payloads(t, j) {
			made = append(made, fg.sign(fg.fillAll(t, header), payload, j.Sig))
		}
	}
	return made
}

// variants lays each variant over the base. Where a variant says null there are
// two readings, null and absent, and both are made.
func variants(base map[string]json.RawMessage, over []map[string]json.RawMessage) []map[string]json.RawMessage {
	if len(over) == 0 {
		over = []map[string]json.RawMessage{nil}
	}
	var all []map[string]json.RawMessage
	for _, variant := range over {
		laid := map[string]json.RawMessage{}
		maps.Copy(laid, base)
		maps.Copy(laid, variant)
		all = append(all, laid)
		without := maps.Clone(laid)
		maps.DeleteFunc(without, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
		if len(without) != len(laid) {
			all = append(all, without)
		}
	}
	return all
}

// payloads are the claims as JSON text: as the corpus has them, and for a token
// whose signature is genuine once more laid over all the claims of a good one,
// so that nothing else is wrong with it.
func (fg *forge) payloads(t *testing.T, j forgery) [][]byte {
	t.Helper()
	if j.ClaimsRaw != "" {
		return [][]byte{fg.rawClaims(t, j.ClaimsRaw)}
	}
	var made [][]byte
	for _, claims := range variants(j.Claims, j.ClaimsVariants) {
		claims = fg.fillAll(t, claims)
		made = append(made, encode(claims))
		if j.Sig != "valid" {
			continue
		}
		whole := maps.Clone(fg.claims)
		if _, strange := claims["roles"]; strange && len(j.ClaimsVariants) > 0 && j.ClaimsVariants[0]["roles"] != nil {
			whole["roles"] = claims["roles"]
			made = append(made, encode(whole))
		}
		for _, name := range []string{"exp", "iat", "iss", "aud"} {
			value, has := claims[name]
			whole := maps.Clone(fg.claims)
			delete(whole, name)
			if has {
				whole[name] = value
			}
			if deviates(j, name) {
				made = append(made, encode(whole))
			}
		}
	}
	return made
}

// deviates says whether the forgery is about this claim.
func deviates(j forgery, name string) bool {
	for _, variant := range j.ClaimsVariants {
		if _, ok := variant[name]; ok {
			return true
		}
	}
	usual := map[string]string{"exp": `"{NOW+600}"`, "iat": `"{NOW}"`, "iss": `"{ISS}"`, "aud": `"{AUD}"`}
	return len(j.ClaimsVariants) == 0 && string(j.Claims[name]) != usual[name]
}

// rawClaims completes the texts of the corpus that break off.
func (fg *forge) rawClaims(t *testing.T, raw string) []byte {
	t.Helper()
	if strings.Contains(raw, "100 000 levels") {
		return []byte(strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000))
	}
	rest := maps.Clone(fg.claims)
	delete(rest, "sub")
	delete(rest, "roles")
	tail := bytes.TrimPrefix(encode(rest), []byte("{"))
	return append([]byte(strings.TrimSuffix(raw, "...}")), tail...)
}

// fillAll puts in what the placeholders in a header or in claims stand for.
func (fg *forge) fillAll(t *testing.T, fields map[string]json.RawMessage) map[string]json.RawMessage {
	t.Helper()
	now := regexp.MustCompile(`^"\{NOW([+-]\d+)?\}"$`)
	filled := map[string]json.RawMessage{}
	for name, raw := range fields {
		text := string(raw)
		if found := now.FindStringSubmatch(text); found != nil {
			offset, _ := strconv.Atoi(found[1])
			text = strconv.FormatInt(time.Now().Unix()+int64(offset), 10)
		}
		if number, ok := strings.CutPrefix(text, `"raw-number:`); ok {
			text = strings.TrimSuffix(number, `"`)
		}
		text = strings.ReplaceAll(text, "{UUID}", rand.Text())
		filled[name] = json.RawMessage(fg.f.fill(text))
	}
	return filled
}

// sign makes a token. The forged header names the gateway's key unless the case
// has a word of its own on that.
func (fg *forge) sign(header map[string]json.RawMessage, payload []byte, how string) string {
	if _, named := header["kid"]; !named && !strings.HasPrefix(how, "HMAC") && how != "empty" {
		header["kid"] = quote(fg.kid)
	}
	if _, typed := header["typ"]; !typed && strings.HasPrefix(how, "valid key") {
		header["typ"] = quote("at+jwt")
	}
	var hmacKey []byte
	if strings.HasPrefix(how, "HMAC") {
		header["alg"] = quote("HS256")
		if strings.HasSuffix(how, "AAAA") {
			hmacKey = []byte("AAAA")
		}
	}
	head := encode(header)
	input := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(payload)
	switch {
	case how == "empty":
		return input + "."
	case how == "over unencoded payload":
		unencoded := base64.RawURLEncoding.EncodeToString(head) + "." + string(payload)
		return input + "." + es256(fg.key, unencoded)
	case strings.HasPrefix(how, "HMAC"):
		mac := hmac.New(sha256.New, hmacKey)
		mac.Write([]byte(input))
		return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	case how == "retired key":
		return input + "." + es256(fg.retired, input)
	case strings.HasPrefix(how, "valid"):
		return input + "." + es256(fg.key, input)
	}
	return input + "." + es256(fg.attacker, input)
}

// es256 is the signature as RFC 7518 section 3.4 writes it: R and S, 32 bytes
// each.
func es256(key *ecdsa.PrivateKey, input string) string {
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return ""
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return base64.RawURLEncoding.EncodeToString(sig)
}

// mutate changes alice's good token.
func (fg *forge) mutate(t *testing.T, how string) []string {
	t.Helper()
	parts := strings.Split(fg.good, ".")
	input, sig := parts[0]+"."+parts[1], parts[2]
	raw, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	switch how {
	case "drop signature keep trailing dot":
		return []string{input + "."}
	case "drop last dot and signature":
		return []string{input}
	case "append .x":
		return []string{fg.good + ".x"}
	case "for each byte i of the decoded signature flip one bit":
		for i := range raw {
			flipped := bytes.Clone(raw)
			flipped[i] ^= 1
			made = append(made, input+"."+base64.RawURLEncoding.EncodeToString(flipped))
		}
	case "change unused trailing bits of the signature":
		// 64 bytes are 86 characters: the last one has four bits to spare.
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		last := strings.IndexByte(alphabet, sig[len(sig)-1])
		for spare := 1; spare < 16; spare++ {
			made = append(made, input+"."+sig[:len(sig)-1]+string(alphabet[last^spare]))
		}
	case "append = padding to each part":
		return []string{fg.good + "==", parts[0] + "=." + parts[1] + "." + sig, parts[0] + "." + parts[1] + "=." + sig, parts[0] + "=." + parts[1] + "=." + sig + "=="}
	case "replace - with + and _ with /":
		changed := strings.NewReplacer("-", "+", "_", "/").Replace(fg.good)
		if changed == fg.good { // this token has neither: make one that does
			changed = input + "." + sig[:len(sig)-1] + "+"
		}
		return []string{changed}
	case "cut 1..n bytes off the end":
		for n := 1; n <= len(sig); n++ {
			made = append(made, fg.good[:len(fg.good)-n])
		}
	case `{"payload":..,"signatures":[..]}`:
		return []string{`{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + sig + `"}]}`}
	default:
		t.Fatalf("no such change of a token: %q", how)
	}
	return made
}

func quote(text string) json.RawMessage {
	raw, _ := json.Marshal(text)
	return raw
}

// encode writes the members as they are: a number that no float holds stays
// what it is.
func encode(members map[string]json.RawMessage) []byte {
	var b bytes.Buffer
	for name, value := range members {
		b.WriteString(",")
		b.Write(quote(name))
		b.WriteString(":")
		b.Write(value)
	}
	return []byte("{" + strings.TrimPrefix(b.String(), ",") + "}")
}
