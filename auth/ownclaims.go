package auth

import (
	"strings"
	"unicode/utf8"
)

// readClaims reads the payload of an access token. decodeStrict says what a
// payload may be and what it means. It takes most of the time of a first sight,
// so what signToken writes day by day is read by a reader of its own, and
// whatever that one does not know in every detail is left to decodeStrict.
// FuzzOwnClaims holds them to each other.
func readClaims(payload []byte) (claims, error) {
	if c, ok := ownClaims(string(payload)); ok {
		return c, nil
	}
	var c claims
	err := decodeStrict(payload, &c, false)
	return c, err
}

// ownClaims reads a payload that is spelled as claims.payload spells one: the
// members in the order of the struct, no white space, no escapes. Of any other
// ok is false, and that says nothing about it: claims that a frontend has added
// and a quote in somebody's name are other spellings too, and so is nbf, which
// is never set by us.
//
// The strings of the answer are parts of text, which is shorter than the token
// that is kept beside them.
func ownClaims(text string) (c claims, ok bool) {
	r := ownReader{rest: text}
	c.Issuer = r.text(`{"iss":"`)
	c.Subject = r.text(`,"sub":"`)
	if r.next(`,"aud":[`) {
		c.Audience = r.list(`,"aud":[`)
	} else {
		c.Audience = audience{r.text(`,"aud":"`)}
	}
	c.Expires = r.number(`,"exp":`)
	c.Issued = r.number(`,"iat":`)
	c.ID = r.text(`,"jti":"`)
	c.Session = r.text(`,"sid":"`)
	c.Roles = r.list(`,"roles":[`)
	c.Username = r.text(`,"username":"`)
	if r.next(`,"name":"`) {
		c.Name = r.text(`,"name":"`)
	}
	if r.next(`,"email":"`) {
		c.Email = r.text(`,"email":"`)
	}
	c.AuthTime = r.number(`,"auth_time":`)
	c.Version = r.number(`,"ver":`)
	if r.next(`,"fields":{`) {
		c.Fields = r.lists(`,"fields":{`)
	}
	if !r.skip(`}`) || r.rest != "" {
		return claims{}, false
	}
	return c, true
}

// ownReader goes through a payload once. Its methods take what must stand
// before a value, the member's name and how the value opens. At the first thing
// that it does not know it is lost, and stays so: what it answers from then on
// is void.
type ownReader struct {
	rest string
	lost bool
}

// next reports whether this comes next.
func (r *ownReader) next(text string) bool { return strings.HasPrefix(r.rest, text) }

// skip passes what must come next, and reports whether it was there.
func (r *ownReader) skip(text string) bool {
	rest, ok := strings.CutPrefix(r.rest, text)
	r.rest, r.lost = rest, r.lost || !ok
	return !r.lost
}

// text reads a string that stands for itself: without escapes, and in UTF-8, for
// which encoding/json puts something else where it is not.
func (r *ownReader) text(before string) string {
	if !r.skip(before) {
		return ""
	}
	ascii := true
	for i := range len(r.rest) {
		switch b := r.rest[i]; {
		case b == '"':
			text := r.rest[:i]
			r.rest, r.lost = r.rest[i+1:], !ascii && !utf8.ValidString(text)
			return text
		case b < ' ' || b == '\\':
			r.lost = true
			return ""
		case b >= utf8.RuneSelf:
			ascii = false
		}
	}
	r.lost = true // it has no end
	return ""
}

// maxDigits is how many digits an int64 holds, whatever they are.
const maxDigits = 18

// number reads an integer that is not negative, in its one spelling. A fraction
// or an exponent is not what must come next, so it is lost at the one after.
func (r *ownReader) number(before string) int64 {
	if !r.skip(before) {
		return 0
	}
	n, digits := int64(0), 0
	for digits < min(len(r.rest), maxDigits) && '0' <= r.rest[digits] && r.rest[digits] <= '9' {
		n = 10*n + int64(r.rest[digits]-'0')
		digits++
	}
	r.lost = digits == 0 || digits > 1 && r.rest[0] == '0'
	r.rest = r.rest[digits:] // a digit too many is not what must come next either
	return n
}

// list reads a list of strings. An empty one is not nil.
func (r *ownReader) list(before string) []string {
	list := []string{}
	if !r.skip(before) || r.next(`]`) {
		r.skip(`]`)
		return list
	}
	for open := `"`; len(list) == 0 || r.next(`,`) && !r.lost; open = `,"` {
		list = append(list, r.text(open))
	}
	r.skip(`]`)
	return list
}

// lists reads an object of lists that has at least one. Its names are such as
// unambiguous takes: ASCII, no two the same but for the case of their letters,
// and not too many.
func (r *ownReader) lists(before string) map[string][]string {
	lists := map[string][]string{}
	r.skip(before)
	for open := `"`; !r.lost && (len(lists) == 0 || r.next(`,`)); open = `,"` {
		name := r.text(open)
		r.lost = r.lost || !plainName([]byte(name), false) || len(lists) == maxMembers
		for other := range lists {
			r.lost = r.lost || strings.EqualFold(other, name)
		}
		lists[name] = r.list(`:[`)
	}
	r.skip(`}`)
	return lists
}
