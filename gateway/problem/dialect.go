package problem

import (
	"net/http"
	"strings"
)

// Dialect is how another backend said its refusals: for clients that were
// written for it and look for its words. Header is the field that such a client
// sends its token in, by its canonical name; Authorization stands for a bearer
// token in it.
type Dialect struct {
	Header  string
	Phrases []Phrase // the first that fits is said
}

// Phrase is one refusal in a dialect.
type Phrase struct {
	Code    string // of the problem; empty: any
	Field   string // what is wrong is, among others, this field; empty: any
	Status  int    // zero: the problem's own
	Message string // {error} stands for the first thing that is wrong; empty: what the problem says
	Type    string // the media type of what Render makes
	// Render makes the body. It gets words alone, which may be logged.
	Render func(message string, p Problem) []byte
}

// CarriedBy tells whether a request names the dialect's token field, with or
// without a token in it.
func (d Dialect) CarriedBy(h http.Header) bool {
	values, there := h[d.Header]
	if d.Header != "Authorization" || !there {
		return there
	}
	const scheme = "bearer"
	v := values[0]
	return len(v) >= len(scheme) && strings.EqualFold(v[:len(scheme)], scheme)
}

// Write answers r with p in the dialect. It answers false, and has done nothing,
// where the dialect has no phrase for it, and to a browser that wants a page.
// The fields that p demands are set as Write sets them, but for the challenge
// where the status becomes another than 401.
func (d Dialect) Write(w http.ResponseWriter, r *http.Request, p Problem) bool {
	phrase, ok := d.find(p)
	if !ok || WantsPage(r) {
		return false
	}
	Prepare(w, r, p)
	status := p.Status
	if phrase.Status != 0 {
		status = phrase.Status
	}
	h := w.Header()
	if status != http.StatusUnauthorized {
		h.Del("WWW-Authenticate")
	}
	h.Set("Content-Type", phrase.Type)
	h.Set("X-Content-Type-Options", "nosniff")
	p.Status = status
	write(w, r, status, phrase.Render(phrase.say(p), p))
	return true
}

// find is the first phrase that fits.
func (d Dialect) find(p Problem) (Phrase, bool) {
	for _, phrase := range d.Phrases {
		if phrase.fits(p) {
			return phrase, true
		}
	}
	return Phrase{}, false
}

// fits tells whether a phrase is for a problem: every condition that it has must
// hold, and one without any fits all.
func (f Phrase) fits(p Problem) bool {
	if f.Code != "" && f.Code != p.Code {
		return false
	}
	if f.Field == "" {
		return true
	}
	for _, e := range p.Errors {
		if e.Field == f.Field {
			return true
		}
	}
	return false
}

// say is the message for p.
func (f Phrase) say(p Problem) string {
	wrong := p.Detail
	for _, e := range p.Errors {
		if f.Field == "" || e.Field == f.Field {
			wrong = e.Field + " " + e.Message
			break
		}
	}
	if f.Message == "" {
		return wrong
	}
	return strings.ReplaceAll(f.Message, "{error}", wrong)
}
