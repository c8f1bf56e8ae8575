package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/posternhq/postern/gateway/problem"
)

// Limits of a request body: no endpoint needs more.
const (
	maxBody  = 64 << 10
	maxDepth = 8 // of nested JSON
)

// input is what a request's body says: the members of a JSON object, or the
// fields of a form, by name.
type input struct {
	members map[string]any // string, json.Number, bool, nil, []any, map[string]any
	form    bool           // it came from an HTML form, or a program that speaks like one
	absent  bool           // there was no body
}

// refusal is an error that is the answer.
type refusal struct{ problem.Problem }

// Error is the code, for a log; the detail is for the client.
func (e refusal) Error() string { return e.Code }

// refuse makes a refusal of a code, with its own detail where the general one
// says too little.
func refuse(code, detail string) error {
	p := problem.Of(code)
	if detail != "" {
		p.Detail = detail
	}
	return refusal{p}
}

// read reads a body: a JSON object, a form, or nothing. It answers a refusal
// for a body that is too large, of another type, or malformed.
func read(w http.ResponseWriter, r *http.Request) (input, error) {
	if r.ContentLength > maxBody { // before a byte of it is read
		return input{}, refuse(problem.TooLarge, "")
	}
	// The type is judged even of an empty body: what a cross-site form can send
	// stays out whatever is in it.
	media, err := mediaType(r.Header)
	if err != nil {
		return input{}, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return input{}, refuse(problem.TooLarge, "")
	case err != nil:
		return input{}, refuse(problem.BadRequest, "The body ended before it was complete.")
	case len(body) == 0:
		return input{form: media == formType, absent: true}, nil
	case media == "":
		return input{}, refuse(problem.UnsupportedMediaType, "")
	case media == formType:
		return readForm(string(body))
	}
	return readJSON(body)
}

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// mediaType answers jsonType, formType, or "" when the request names none. A
// page elsewhere can send text/plain and multipart without a preflight, which
// is one reason more to refuse them.
func mediaType(h http.Header) (string, error) {
	types := h.Values("Content-Type")
	if len(h.Values("Content-Encoding")) > 0 || len(types) > 1 {
		return "", refuse(problem.UnsupportedMediaType, "")
	}
	if len(types) == 0 {
		return "", nil
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil || (media != jsonType && media != formType) {
		return "", refuse(problem.UnsupportedMediaType, "")
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return "", refuse(problem.UnsupportedMediaType, "")
	}
	return media, nil
}

// readForm parses a form. A repeated field is refused: whoever reads the first
// and whoever reads the last would see two different logins.
//
// JSON under a form's type is the slip of every first try with curl -d; taken
// as a form it would be one long field, and the answer a riddle.
func readForm(body string) (input, error) {
	if strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "{") {
		return input{}, refuse(problem.BadRequest, "The body looks like JSON, but Content-Type names a form. Send Content-Type: application/json.")
	}
	values, err := url.ParseQuery(body)
	if err != nil {
		return input{}, refuse(problem.BadRequest, "The form is malformed.")
	}
	in := input{members: make(map[string]any, len(values)), form: true}
	for name, v := range values {
		if len(v) > 1 {
			return input{}, refuse(problem.BadRequest, "A field of the form is there twice.")
		}
		in.members[name] = v[0]
	}
	return in, nil
}

// readJSON parses exactly one object. encoding/json alone would take the last
// of two members with one name, match names in any case, mend broken UTF-8 and
// stop at what follows (LG-17).
func readJSON(body []byte) (input, error) {
	if !utf8.Valid(body) {
		return input{}, refuse(problem.BadRequest, "The body is not UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	value, err := readValue(d, maxDepth)
	if err != nil {
		return input{}, refuse(problem.BadRequest, "The body is not well-formed JSON, or has a member twice.")
	}
	members, ok := value.(map[string]any)
	if _, err := d.Token(); !ok || err != io.EOF {
		return input{}, refuse(problem.BadRequest, "The body must be one JSON object and nothing else.")
	}
	return input{members: members}, nil
}

// readValue reads the next value of d, no deeper than depth.
func readValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	switch {
	case !ok:
		return t, nil
	case depth == 0:
		return nil, errors.New("nested too deep")
	case delim == '{':
		return readMembers(d, depth-1)
	}
	items := []any{}
	for d.More() {
		item, err := readValue(d, depth-1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err = d.Token()
	return items, err
}

// readMembers reads the rest of an object whose brace has been read.
func readMembers(d *json.Decoder, depth int) (map[string]any, error) {
	members := map[string]any{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, ok := name.(string)
		if _, twice := members[key]; !ok || twice {
			return nil, fmt.Errorf("member %q again", key)
		}
		if members[key], err = readValue(d, depth); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return members, err
}

// text answers a member that is a string; "" when it is absent or something
// else, which check has ruled out.
func (in input) text(name string) string {
	s, _ := in.members[name].(string)
	return s
}

// check refuses members that are no strings where strings are meant. An
// unknown member is ignored.
func (in input) check(names ...string) error {
	for _, name := range names {
		if v, there := in.members[name]; there {
			if _, ok := v.(string); !ok {
				return refuseField(name, "must be a string")
			}
		}
	}
	return nil
}

// need refuses a body that lacks members, and names all of them at once.
func (in input) need(names ...string) error {
	p := problem.Of(problem.Invalid)
	for _, name := range names {
		if in.text(name) == "" {
			p.Errors = append(p.Errors, problem.FieldError{Field: name, Message: "is missing"})
		}
	}
	if p.Errors == nil {
		return nil
	}
	return refusal{p}
}

// refuseField refuses a body for one member of it.
func refuseField(name, message string) error {
	p := problem.Of(problem.BadRequest)
	p.Detail = "The body's member " + name + " " + message + "."
	p.Errors = []problem.FieldError{{Field: name, Message: message}}
	return refusal{p}
}
