package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestABodyIsOneJSONObjectAndNothingElse(t *testing.T) {
	for _, bad := range []string{`{}{}`, `{} x`, `{}]`, `[]`, `"x"`, `1`, `null`, `{`, `{"a"`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{'a':1}`,
		`{"a":1 "b":2}`, `{"a":1}` + "\x00", "\xef\xbb\xbf{}", `{"a":"` + "\xff" + `"}`, `{"a":01}`, `// {}`, ` `,
		`{"a":{"b":1,"b":2}}`, `{"a":[{"b":1,"b":1}]}`, `{"a":1,"\u0061":2}`, strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20),
		strings.Repeat("[", 60000)} {
		if in, err := readJSON([]byte(bad)); err == nil {
			t.Errorf("%.40q is read as %v", bad, in.members)
		}
	}
	for _, good := range []string{`{}`, " {\n}\t", `{"a":null,"A":1,"b":[1,{"c":true}],"d":{"d":{"d":"x"}}}`} {
		if _, err := readJSON([]byte(good)); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestAFormIsReadStrictly(t *testing.T) {
	for _, bad := range []string{"a=1;b=2", "a=%zz", "a=1&a=2", "a=1&a=1", "a&a"} {
		if in, err := readForm(bad); err == nil {
			t.Errorf("%q is read as %v", bad, in.members)
		}
	}
	in, err := readForm("username=al%20ice&password=a%2Bb+c&rd=")
	if err != nil || in.text("username") != "al ice" || in.text("password") != "a+b c" || in.text("rd") != "" || !in.form {
		t.Errorf("%v %v", in, err)
	}
}

func TestABodyThatBreaksOffIsABadRequest(t *testing.T) {
	r := httptest.NewRequest("POST", "/auth/login", io.MultiReader(strings.NewReader(`{"username":`), broken{}))
	r.Header.Set("Content-Type", "application/json")
	var refused refusal
	if _, err := read(httptest.NewRecorder(), r); !errors.As(err, &refused) || refused.Status != 400 || strings.Contains(refused.Detail, "cable") {
		t.Errorf("%v %+v", err, refused)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("cable cut at 10.0.0.1") }

func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"username":"alice","password":"x"}`, `{"a":1,"a":2}`, `{"a":{"b":[1,2,{"c":null}]}}`, `{} {}`,
		`{"a":"\ud800"}`, `{"a":1e999}`, "{\"\x80\":1}", `{"é":"\u00e9"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in, err := readJSON(text)
		if err != nil {
			var refused refusal
			if !errors.As(err, &refused) || refused.Status != 400 {
				t.Fatalf("%q: %v is no refusal", text, err)
			}
			return
		}
		// What is accepted, encoding/json reads the same way.
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want map[string]any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("%q is accepted, but: %v", text, err)
		}
		if len(want) != len(in.members) || (len(want) > 0 && !reflect.DeepEqual(want, in.members)) {
			t.Fatalf("%q is read as %v, want %v", text, in.members, want)
		}
	})
}

func FuzzReadForm(f *testing.F) {
	f.Add("username=alice&password=x&rd=/")
	f.Add("a=1&a=2")
	f.Add("a=%2")
	f.Fuzz(func(t *testing.T, text string) {
		in, err := readForm(text)
		if err == nil && strings.Count(text, "&") < len(in.members)-1 {
			t.Fatalf("%q has %d fields", text, len(in.members))
		}
	})
}
