package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/auth"
)

// legacyToken makes the tokens of LegacyToken. It never changes.
type legacyToken struct {
	header string // canonical
	scheme string // before the token: "Bearer " in Authorization
	head   string // of every token: encoded, with its dot
	hash   func() hash.Hash
	secret []byte // empty: no token is made
	ttl    time.Duration
	claims []LegacyClaim
}

// newLegacyToken makes a configuration ready that Validate has passed.
func newLegacyToken(c *LegacyToken) *legacyToken {
	l := &legacyToken{header: textproto.CanonicalMIMEHeaderKey(c.Header), ttl: c.TTL, claims: c.Claims}
	if l.header == "Authorization" {
		l.scheme = "Bearer "
	}
	algorithm := c.Algorithm
	switch algorithm {
	case "HS384":
		l.hash = sha512.New384
	case "HS512":
		l.hash = sha512.New
	default:
		algorithm, l.hash = "HS256", sha256.New
	}
	l.head = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+algorithm+`","typ":"JWT"}`)) + "."
	l.secret, _ = c.secret() // Validate refused what is no base64; nil makes no token
	return l
}

// legacyAlgorithms are the words that LegacyToken.Algorithm may be.
func legacyAlgorithms() []string { return []string{"HS256", "HS384", "HS512"} }

// secret is what the application takes the secret for: the letters, or what
// they are the base64 of, in either alphabet.
func (l *LegacyToken) secret() ([]byte, error) {
	if l.SecretEncoding != "base64" {
		return []byte(l.Secret), nil
	}
	text := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(l.Secret, "="))
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("is no base64, which secret_encoding says it is")
	}
	return b, nil
}

// sign makes the token for a principal, for the header. It is empty for one
// of whom a claim cannot be made in its type: half an identity may be taken
// for another one, no token is refused.
func (l *legacyToken) sign(p *auth.Principal, issued, expires time.Time) (string, error) {
	if len(l.secret) == 0 {
		return "", nil
	}
	claims := map[string]any{"iat": issued.Unix(), "exp": expires.Unix()}
	for i := range l.claims {
		value, err := l.claims[i].of(p)
		if err != nil {
			return "", nil
		}
		if value != nil {
			nest(claims, l.claims[i].Name, value)
		}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("make a legacy token: %w", err)
	}
	text := l.head + base64.RawURLEncoding.EncodeToString(payload)
	mac := hmac.New(l.hash, l.secret)
	mac.Write([]byte(text))
	return l.scheme + text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// nest sets a value under a name whose dots lead into objects. Validate saw to
// it that no name is a value and an object at once.
func nest(claims map[string]any, name string, value any) {
	for {
		outer, inner, nested := strings.Cut(name, ".")
		if !nested {
			claims[name] = value
			return
		}
		below, ok := claims[outer].(map[string]any)
		if !ok {
			below = map[string]any{}
			claims[outer] = below
		}
		claims, name = below, inner
	}
}

// The types of a claim.
const (
	typeText    = "text"
	typeNumber  = "number"
	typeBoolean = "boolean"
	typeList    = "list"
)

// claimTypes are the words that LegacyClaim.Type may be.
func claimTypes() []string { return []string{typeText, typeNumber, typeBoolean, typeList} }

// of is the claim's value for a principal; nil when there is none.
func (c *LegacyClaim) of(p *auth.Principal) (any, error) {
	if c.HasRole != "" {
		return slices.Contains(p.Roles, c.HasRole), nil
	}
	var items []string
	isList := c.Value == valueRoles
	switch {
	case c.Constant != "":
		items = []string{c.Constant}
	case c.Field != "":
		items = p.Fields[c.Field]
	case isList:
		items = p.Roles
	default:
		items = []string{part(p, c.Value)}
	}
	return typed(c.Type, items, isList)
}

// errNotOfType is a value that its claim's type has no form for.
var errNotOfType = errors.New("the value is not of the claim's type")

// typed gives items the form of a type; without one, a list stays a list and
// all else is text. An item that would not be sent in a header is none here
// either, and with no item left there is no value, but for a list.
func typed(kind string, items []string, isList bool) (any, error) {
	exact := kind == typeNumber || kind == typeBoolean
	kept := slices.DeleteFunc(slices.Clone(items), func(item string) bool {
		return item == "" || !exact && headerValue(item) == ""
	})
	if kind == typeList || kind == "" && isList {
		return append([]string{}, kept...), nil // an empty list is [], not null
	}
	if len(kept) == 0 {
		return nil, nil
	}
	switch many := isList || len(kept) > 1; {
	case many && exact:
		return nil, errNotOfType
	case many:
		return join(kept, ","), nil
	case kind == typeNumber:
		return number(kept[0])
	case kind == typeBoolean:
		return boolean(kept[0])
	}
	return kept[0], nil
}

// boolean reads the two words that it may be.
func boolean(text string) (any, error) {
	if text != "true" && text != "false" {
		return nil, errNotOfType
	}
	return text == "true", nil
}

// number reads an integer that is one account alone, see auth.ParseNumber.
func number(text string) (any, error) {
	n, ok := auth.ParseNumber(text)
	if !ok {
		return nil, errNotOfType
	}
	return n, nil
}
