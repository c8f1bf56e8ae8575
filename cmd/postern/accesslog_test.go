package main

import (
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/posternhq/postern/policy"
)

func readAll(t *testing.T, text string) ([]policy.Observed, accessLog) {
	t.Helper()
	var log accessLog
	got := slices.Collect(log.read(strings.NewReader(text)))
	if log.err != nil {
		t.Fatal(log.err)
	}
	return got, log
}

func TestARequestIsReadFromEveryFormOfAccessLog(t *testing.T) {
	ours := policy.Observed{Host: "a.test:8080", Method: "GET", Path: `/a"b/%20c`, User: "alice smith", Client: "10.0.0.1", Decision: "observe", Status: 200}
	for _, test := range []struct {
		name, line string
		want       policy.Observed
	}{
		{"JSON", `{"time":"2026-11-22T04:00:00Z","level":"INFO","msg":"request","request_id":"x","method":"GET","host":"a.test:8080","path":"/a\"b/%20c","route":"/**","decision":"observe","reason":"no_rule","user":"alice smith","status":200,"duration_ms":1.25,"client":"10.0.0.1","new_key":{"a":[1]}}`, ours},
		{"text", `time=2026-11-22T04:00:00.000Z level=INFO msg=request request_id=x method=GET host=a.test:8080 path="/a\"b/%20c" route=/** decision=observe reason=no_rule user="alice smith" status=200 duration_ms=1.25 client=10.0.0.1 upstream=""`, ours},
		{"combined, logged in", `10.0.0.1 - bob [22/Nov/2026:04:00:00 +0000] "POST /orders?token=s3cret HTTP/1.1" 201 12 "http://a.test/" "Mozilla/5.0 (X11)"`, policy.Observed{Method: "POST", Path: "/orders", User: "bob", Client: "10.0.0.1", Status: 201}},
		{"combined, nobody", `::1 - - [22/Nov/2026:04:00:00 +0000] "GET / HTTP/2.0" 304 -`, policy.Observed{Method: "GET", Path: "/", Client: "::1", Status: 304}},
	} {
		got, log := readAll(t, test.line+"\r\n")
		if len(got) != 1 || !reflect.DeepEqual(got[0], test.want) || log.lines != 1 || log.requests != 1 {
			t.Errorf("%s: got %+v", test.name, got)
		}
	}
}

func TestWhatIsNoRequestForTheApplicationIsSkippedAndCounted(t *testing.T) {
	lines := []string{
		"", "not a line", "{", "[]", `{"msg":"audit","event":"login"}`, `{"msg":"request"}`, `{"msg":"request","path":5}`,
		`{"msg":"request","method":"GET","path":"/auth/login","route":"gateway"}`, // the gateway's own
		`{"msg":"request","method":"GET","path":"http://a.test/x","route":"none"}`,
		"time=x", "time=", `time=x msg="request`, `time=x msg=audit path=/x`, `time=x msg=request path`,
		`1.2.3.4 - - [x] "\x16\x03\x01" 400 12`, `1.2.3.4 - - [x] "GET http://a.test/ HTTP/1.1" 200 1`,
		strings.Repeat("x", 3*maxLogLine) + ` 1.2.3.4 - - [x] "GET /smuggled HTTP/1.1" 200 1`,
		strings.Repeat("x", 2*maxLogLine) + `1.2.3.4 - - [x] "GET /smuggled HTTP/1.1" 200 1`,
	}
	got, log := readAll(t, strings.Join(lines, "\n")+"\n"+`1.2.3.4 - - [x] "GET /last HTTP/1.1" 200 1`)
	if len(got) != 1 || got[0].Path != "/last" || log.requests != 1 || log.lines != len(lines)+1 {
		t.Errorf("got %+v of %d lines", got, log.lines)
	}
}

func TestALogThatEndsInAnErrorIsNotTakenForAWholeOne(t *testing.T) {
	broken := errors.New("disk on fire")
	log := accessLog{}
	text := `1.2.3.4 - - [x] "GET /a HTTP/1.1" 200 1` + "\n"
	got := slices.Collect(log.read(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))))
	if len(got) != 1 || !errors.Is(log.err, broken) {
		t.Errorf("got %v, %v", got, log.err)
	}
}

func TestReadingALogCanBeLeftEarly(t *testing.T) {
	log := accessLog{}
	text := strings.Repeat(`1.2.3.4 - - [x] "GET /a HTTP/1.1" 200 1`+"\n", 10)
	for range log.read(strings.NewReader(text)) {
		break
	}
	if log.requests != 1 {
		t.Errorf("%d requests were read", log.requests)
	}
}

// Whoever can send requests writes into an access log.
func FuzzLogLine(f *testing.F) {
	for _, seed := range []string{`{"msg":"request","path":"/"}`, `time=x msg=request path="/a" user="`, `1.2.3.4 - - [x] "GET /a?b HTTP/1.1" 200 1`, `time=x =" msg=request`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		o, ok := parseLogLine(line)
		if ok && (!strings.HasPrefix(o.Path, "/") || o.Path == "") {
			t.Errorf("%q became %+v", line, o)
		}
		if !ok && !reflect.DeepEqual(o, policy.Observed{}) {
			t.Errorf("%q is no request and left %+v", line, o)
		}
	})
}
