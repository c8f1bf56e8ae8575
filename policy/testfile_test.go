package policy

import (
	"strings"
	"testing"
	"time"
)

func TestRequestsOfTestsAreRead(t *testing.T) {
	for text, want := range map[string]Request{
		"GET /":                                    {"GET", "", "/"},
		"GET /a/b?x=1?y":                           {"GET", "", "/a/b"},
		"GET //a":                                  {"GET", "", "//a"},
		"GET /a/../b":                              {"GET", "", "/a/../b"},
		"GET /a#b":                                 {"GET", "", "/a#b"},
		"M-SEARCH /x":                              {"M-SEARCH", "", "/x"},
		"POST https://shop.example.com/a?b":        {"POST", "shop.example.com", "/a"},
		"GET HTTP://Shop.example.com:8080":         {"GET", "Shop.example.com:8080", "/"},
		"GET https://shop.example.com?x=/y":        {"GET", "shop.example.com", "/"},
		"GET https://shop.example.com.:443/a//b":   {"GET", "shop.example.com.:443", "/a//b"},
		"GET http://[::1]:8080/a":                  {"GET", "[::1]:8080", "/a"},
		"DELETE https://a.example/x?u=http://b/c#": {"DELETE", "a.example", "/x"},
	} {
		got, err := ParseRequest(text)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}

func TestMalformedRequestsSayWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"":                            `"" is no method`,
		"/a":                          `"/a" is no method`,
		"GET":                         "write GET /path",
		"GET ":                        "write GET /path",
		"get /a":                      "write GET",
		"GET  /a":                     "a space",
		"GET /a b":                    "%20",
		"GET /a HTTP/1.1":             "METHOD and target only",
		"GET /a\n":                    "control character",
		"GET admin":                   "is /admin meant?",
		"GET ftp://a/b":               "http://",
		"GET https://":                "no host",
		"GET http\u017f://a.example/": "is /http\u017f:",
		"GET https:///a":              "no host",
		"GET https://*.example/":      "no host",
		"GET https://u@a.example/":    "no host",
		"GET https://a b/":            "a space",
		"TRACE /a":                    "refuses it",
		"CONNECT a.example:443":       "refuses it",
		"GET https://a.example\\@b":   "no host",
	} {
		_, err := ParseRequest(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", text, err, want)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{"GET /", "GET https://a.example:1/b?c", "get x", "GET /%", "GET http://[::1]", "M-SEARCH *"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRequest(text)
		if err != nil {
			if (r != Request{}) {
				t.Errorf("%q fails and gives %+v", text, r)
			}
			return
		}
		if !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, "? \t\r\n") || strings.ContainsAny(r.Host, "/@ ") || checkMethod(r.Method) != nil {
			t.Fatalf("%q: %+v", text, r)
		}
		again := r.Method + " " + r.Path
		if r.Host != "" {
			again = r.Method + " http://" + r.Host + r.Path
		}
		if second, err := ParseRequest(again); err != nil || second != r {
			t.Errorf("%q is %+v, and that is %+v, %v", text, r, second, err)
		}
	})
}

// testedPolicy is what the tests below are run on.
func testedPolicy(t *testing.T) *Table {
	return mustCompile(t, testConfig("any",
		Route{Pos: Pos{File: "p.yaml", Line: 1, Column: 5}, Path: "/public/**", Allow: []Rule{{Anyone: true}}},
		Route{Path: "/admin/**", Allow: []Rule{{Pos: Pos{File: "p.yaml", Line: 7, Column: 12}, Role: "admin"}}},
		Route{Path: "/api/users/{id}", Methods: []string{"GET", "PUT"}, Allow: []Rule{{Role: "admin"}, {Self: &SelfRule{Name: "id"}}}},
		Route{Path: "/api/names/{name}", Allow: []Rule{{Self: &SelfRule{Name: "name", Is: "username"}}, {Self: &SelfRule{Name: "name", Is: "email"}}}},
		Route{Path: "/t/{tenant}/**", Allow: []Rule{{Field: &FieldRule{Name: "tenant", Equals: "{tenant}"}}}},
		Route{Path: "/intern", Allow: []Rule{{CIDR: []string{"10.0.0.0/8"}}}},
		Route{Path: "/outside", Allow: []Rule{{Anyone: true}}, Deny: []Rule{{CIDR: []string{"10.0.0.0/8"}}}},
		Route{Path: "/machine", Allow: []Rule{{ClientCert: &ClientCert{"backup"}}}},
		Route{Path: "/vault", Allow: []Rule{compactRules(t, "role:admin+max_age:10m")[0]}},
		Route{Path: "/legacy", Mode: "observe", Allow: []Rule{{Role: "admin"}}},
		Route{Path: "/app/**", Allow: []Rule{{Authenticated: true}}},
		Route{Host: "shop.example.com", Path: "/cart", Allow: []Rule{{Authenticated: true}}}))
}

func TestTestsGetWhatTheClientGets(t *testing.T) {
	user, admin := &TestCaller{Roles: []string{"user"}}, &TestCaller{Roles: []string{"admin"}}
	for _, test := range []struct {
		request string
		as      *TestCaller
		got     string
		why     string
	}{
		{"GET /public/x", nil, "allow", "route /public/**: anyone at p.yaml:1:5"},
		{"GET /admin/reports", nil, "unauthenticated", "route /admin/**: unauthenticated"},
		{"GET /admin/reports", user, "forbidden", "route /admin/**: no_rule"},
		{"GET /admin/reports", admin, "allow", "route /admin/**: rule at p.yaml:7:12"},
		{"GET /nowhere", admin, "no_route", "no route has this path"},
		{"DELETE /api/users/42", admin, "method_not_allowed", "the path has only GET, HEAD, PUT"},
		{"GET /admin/../public", nil, "bad_path", "the path has a dot segment"},
		{"GET /admin/a%2fb", admin, "bad_path", "the path has a character that the route does not admit in path_options"},
		{"GET /api/users/42", &TestCaller{User: "bob", ID: "42", Roles: []string{"user"}}, "allow", "route /api/users/{id}: rule"},
		{"GET /api/users/42", &TestCaller{User: "bob", ID: "43"}, "forbidden", "route /api/users/{id}: no_rule"},
		{"GET /api/users/42", user, "forbidden", "route /api/users/{id}: no_rule"},
		{"GET /api/names/bob", &TestCaller{User: "bob"}, "allow", "route /api/names/{name}: rule"},
		{"GET /api/names/b@example.com", &TestCaller{Email: "b@example.com"}, "allow", "route /api/names/{name}: rule"},
		{"GET /api/names/b@example.com", &TestCaller{User: "c"}, "forbidden", "route /api/names/{name}: no_rule"},
		{"GET /t/acme/x", &TestCaller{Fields: []TestField{{"tenant", "other"}, {"tenant", "acme"}}}, "allow", "route /t/{tenant}/**: rule"},
		{"GET /t/acme/x", &TestCaller{Fields: []TestField{{"team", "acme"}}}, "forbidden", "route /t/{tenant}/**: no_rule"},
		{"GET /intern", nil, "forbidden", "route /intern: no_rule"},
		{"GET /intern", &TestCaller{Client: "10.1.2.3"}, "allow", "route /intern: rule"},
		{"GET /app/x", &TestCaller{Client: "10.1.2.3"}, "unauthenticated", "route /app/**: unauthenticated"},
		{"GET /app/x", &TestCaller{Roles: []string{}}, "allow", "route /app/**: rule"},
		{"GET /outside", nil, "allow", "route /outside: anyone"},
		{"GET /outside", &TestCaller{Client: "10.1.2.3"}, "forbidden", "route /outside: deny_rule"},
		{"GET /machine", nil, "forbidden", "route /machine: no_rule"},
		{"GET /machine", admin, "forbidden", "route /machine: no_rule"},
		{"GET /machine", &TestCaller{Cert: "backup"}, "allow", "route /machine: rule"},
		{"GET /machine", &TestCaller{Cert: "CN=backup,O=Example"}, "allow", "route /machine: rule"},
		{"GET /machine", &TestCaller{Cert: "O=backup"}, "forbidden", "route /machine: no_rule"},
		{"GET /vault", admin, "allow", "route /vault: rule"},
		{"GET /vault", &TestCaller{Roles: []string{"admin"}, Age: 10 * time.Minute}, "allow", "route /vault: rule"},
		{"GET /vault", &TestCaller{Roles: []string{"admin"}, Age: 11 * time.Minute}, "unauthenticated", "route /vault: reauthentication_required (at most 10m0s old)"},
		{"GET /legacy", nil, "allow", "route /legacy: unauthenticated; let through because the route only observes"},
		{"GET https://shop.example.com/cart?x=1", user, "allow", "route shop.example.com/cart: rule"},
		{"GET https://www.example.com/cart", user, "no_route", "no route has this path"},
		{"GET /cart", user, "no_route", "no route has this path"},
	} {
		results := testedPolicy(t).RunTests([]Test{{Request: test.request, As: test.as, Expect: test.got}, {Request: test.request, As: test.as, Expect: "x"}})
		if r := results[0]; r.Got != test.got || !strings.HasPrefix(r.Why, test.why) || !r.Pass {
			t.Errorf("%s as %+v: got %s, %s", test.request, test.as, r.Got, r.Why)
		}
		if results[1].Pass {
			t.Errorf("%s passes with a word that is none", test.request)
		}
	}
}

func TestAMalformedTestNeverPasses(t *testing.T) {
	for _, test := range []Test{
		{},
		{Request: "GET public/x", Expect: "allow"},
		{Request: "GET /public/x", Expect: ""},
		{Request: "GET /public/x", Expect: "Allow"},
		{Request: "GET /public/x", As: &TestCaller{Client: "10.0.0.0/8"}, Expect: "allow"},
		{Request: "", Expect: ""},
	} {
		if r := testedPolicy(t).RunTests([]Test{test})[0]; r.Pass || r.Why == "" {
			t.Errorf("%+v: %+v", test, r)
		}
		if findings := CheckTests([]Test{test}, testConfig("any")); len(findings) == 0 {
			t.Errorf("%+v: nothing is found wrong", test)
		}
	}
}

func TestEveryFaultOfATestIsReportedAtItsPlace(t *testing.T) {
	at := func(line int) Pos { return Pos{"t.yaml", line, 5} }
	findings := CheckTests([]Test{
		{Pos: at(9), Request: "GET admin", As: &TestCaller{Roles: []string{"usr", "nobody"}, Client: "here"}, Expect: "forbiden"},
		{Pos: at(2), Request: "GET /a", As: &TestCaller{}, Expect: "403"},
		{Pos: at(3), Request: "GET /a", As: &TestCaller{Age: -time.Second}, Expect: "reauthentication_required"},
		{Pos: at(4), Request: "GET /a", As: &TestCaller{Fields: []TestField{{"tenent", "x"}}}, Expect: "allow"},
		{Pos: at(5), Request: "GET /a", As: &TestCaller{Roles: []string{}, Client: "::1"}, Expect: "allow"},
	}, testConfig("any"))
	var b strings.Builder
	for _, f := range findings {
		b.WriteString(f.String() + "\n")
	}
	const words = "it is allow, unauthenticated, forbidden, no_route, method_not_allowed, bad_path"
	want := `t.yaml:2:5: ` + "`as` is empty; leave it out for nobody, or write { roles: [] } for somebody without a role" + `
t.yaml:2:5: expect: unknown word "403" (did you mean "forbidden"?); ` + words + `
t.yaml:3:5: age -1s: nobody gives a password in the future
t.yaml:3:5: expect: unknown word "reauthentication_required" (did you mean "unauthenticated"?); ` + words + `
t.yaml:4:5: unknown field "tenent" (did you mean "tenant"?); auth.profile.fields has them
t.yaml:9:5: client "here" is no address such as 10.1.2.3 or fd00::1
t.yaml:9:5: expect: unknown word "forbiden" (did you mean "forbidden"?); ` + words + `
t.yaml:9:5: target "admin" begins neither with a slash nor with http:// or https://; is /admin meant?
t.yaml:9:5: unknown role "nobody"; the roles are user, mod, admin (auth.roles)
t.yaml:9:5: unknown role "usr" (did you mean "user"?); the roles are user, mod, admin (auth.roles)
`
	if b.String() != want {
		t.Errorf("got:\n%s", b.String())
	}
}

func TestWordsOfOtherPeopleAreUnderstood(t *testing.T) {
	for word, want := range map[string]string{
		"200": "allow", "OK": "allow", "401": "unauthenticated", "deny": "forbidden", "404": "no_route", "405": "method_not_allowed", "400": "bad_path", "no-route": "no_route",
	} {
		if got := suggestExpect(word); !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("%s: %s", word, got)
		}
	}
}
