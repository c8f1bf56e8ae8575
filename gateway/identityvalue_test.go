package gateway

import (
	"bufio"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

func TestAValueThatIsNotASCIIIsWrittenAsStated(t *testing.T) {
	for _, test := range []struct{ encoding, value, want string }{
		{"", "Jürgen", "Jürgen"}, {"raw", "Jürgen = 100 %", "Jürgen = 100 %"},
		{"rfc2047", "Jürgen", "=?utf-8?b?SsO8cmdlbg==?="}, {"rfc2047", "Jane Doe", "Jane Doe"}, {"rfc2047", "=?utf-8?q?root?=", "=?utf-8?b?PT91dGYtOD9xP3Jvb3Q/PQ==?="},
		{"quoted-printable", "Jürgen", "J=C3=BCrgen"}, {"quoted-printable", "a=b", "a=3Db"}, {"quoted-printable", "Jane Doe", "Jane Doe"},
		{"percent", "Jürgen", "J%C3%BCrgen"}, {"percent", "100%", "100%25"}, {"percent", "a+b c", "a+b c"},
		{"percent", "山田", "%E5%B1%B1%E7%94%B0"},
	} {
		h := newIdentityHeader(Header{Name: "X-Name", Value: "name", Encoding: test.encoding}, ",")
		if got := h.of(&auth.Principal{Name: test.value}); got != test.want {
			t.Errorf("%s of %q is %q, want %q", test.encoding, test.value, got, test.want)
		}
	}
}

// decode reads a value as an application does that knows the encoding.
func decode(t *testing.T, encoding, v string) string {
	t.Helper()
	var err error
	switch encoding {
	case encodingRFC2047:
		v, err = new(mime.WordDecoder).DecodeHeader(v)
	case encodingQuotedPrintable:
		var b []byte
		line := bufio.NewReaderSize(strings.NewReader(v), len(v)+1) // quotedprintable has room for 4 KiB of one
		b, err = io.ReadAll(quotedprintable.NewReader(line))
		v = string(b)
	case encodingPercent:
		v, err = url.PathUnescape(v)
	}
	if err != nil {
		t.Fatalf("%s: %q does not decode: %v", encoding, v, err)
	}
	return v
}

// FuzzHeaderValue: whatever an account is called, a header is one line, and
// says that very name to whoever decodes it as stated.
func FuzzHeaderValue(f *testing.F) {
	for _, seed := range []string{"alice", "Jürgen Müller", "a\r\nX-Auth-Roles: admin", "=?utf-8?q?a?=", "100%", "a=", "\xff", "山田太郎", " root", strings.Repeat("ü", 99), strings.Repeat("ü", 999), "a,b|c d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, encoding := range encodings() {
			h := newIdentityHeader(Header{Name: "X-Name", Value: "name", Encoding: encoding}, ",")
			sent := h.of(&auth.Principal{Name: value})
			if strings.ContainsAny(sent, "\r\n\x00") || headerValue(sent) != sent {
				t.Fatalf("%s: %q is sent as %q", encoding, value, sent)
			}
			if encoding != encodingRaw && !isASCII(sent) {
				t.Fatalf("%s: %q is sent as %q", encoding, value, sent)
			}
			if sent == "" {
				continue // refused: a control character, a space around it, no UTF-8
			}
			if got := decode(t, encoding, sent); got != value {
				t.Fatalf("%s: %q is sent as %q, and read as %q", encoding, value, sent, got)
			}
		}
	})
}

// FuzzRoles: no list of roles reads as another.
func FuzzRoles(f *testing.F) {
	f.Add("user", "admin", "a,b")
	f.Add("a|b", " ", "")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		held := []string{a, b, c}
		for _, separator := range []string{",", "|", " ", ", ", ";"} {
			for _, encoding := range encodings() {
				h := newIdentityHeader(Header{Name: "X-Roles", Value: valueRoles, Separator: separator, Encoding: encoding}, ",")
				sent := decode(t, encoding, h.of(&auth.Principal{Roles: held}))
				for _, read := range strings.Split(sent, separator[:1]) {
					if read = strings.TrimPrefix(read, separator[1:]); read != "" && !slices.Contains(held, read) {
						t.Fatalf("%q joined with %q reads as %q", held, separator, read)
					}
				}
			}
		}
	})
}

func TestAProfileFieldIsTold(t *testing.T) {
	for _, test := range []struct {
		header Header
		values []string
		want   string
	}{
		{Header{Field: "tenant"}, []string{"acme"}, "acme"},
		{Header{Field: "tenant"}, []string{"Acme, Inc."}, "Acme, Inc."},
		{Header{Field: "tenant"}, []string{"acme", "b,c", "umbrella"}, "acme,umbrella"},
		{Header{Field: "tenant", Separator: "|"}, []string{"acme", "b|c", "umbrella"}, "acme|umbrella"},
		{Header{Field: "tenant", Separator: "|"}, []string{"a|b"}, ""},
		{Header{Field: "tenant", Encoding: "percent"}, []string{"Käse"}, "K%C3%A4se"},
		{Header{Field: "tenant"}, []string{"a\nb"}, ""},
		{Header{Field: "tenant"}, nil, ""},
		{Header{Field: "other"}, []string{"acme"}, ""},
	} {
		h := newIdentityHeader(test.header, ",")
		if got := h.of(&auth.Principal{Fields: map[string][]string{"tenant": test.values}}); got != test.want {
			t.Errorf("%+v of %q is %q, want %q", test.header, test.values, got, test.want)
		}
	}
}

func TestASeparatorWithASpaceCountsAsItsSign(t *testing.T) {
	h := newIdentityHeader(Header{Value: valueRoles, Separator: ", "}, ",")
	if got := h.of(&auth.Principal{Roles: []string{"site admin", "a,b", "user"}}); got != "site admin, user" {
		t.Errorf("got %q", got)
	}
}

func TestAnAbsentValueRemovesTheHeader(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.gateway.Identity.Headers = []Header{{Name: "X-Tenant", Field: "tenant"}, {Name: "X-Auth-User", Value: "username"}}
		c.auth.Profile.Fields = []auth.ProfileField{{Name: "tenant"}}
	})
	saw := s.get("/app/x", bearer(s.token("alice")), "X-Tenant: evil", "x_tenant: evil").saw(t)
	if got, there := saw.header["X-Tenant"]; there || saw.header.Get("X-Auth-User") != "alice" || strings.Contains(s.app.raw(), "evil") {
		t.Errorf("X-Tenant %q", got)
	}
	account, err := s.service.FindAccount(t.Context(), "alice")
	must(t, err)
	_, err = s.service.SetAccount(t.Context(), account.ID, auth.AccountChange{Fields: map[string][]string{"tenant": {"Käse"}}}, auth.Actor{By: "test"})
	must(t, err)
	saw = s.get("/app/x", bearer(s.token("alice")), "X-Tenant: evil").saw(t)
	if got := values(saw.header, "X-Tenant"); !slices.Equal(got, []string{"Käse"}) {
		t.Errorf("X-Tenant %q", got)
	}
}

// TestNoPresetsHeaderArrivesFromAClient sends the headers of every preset in
// every spelling, with none of them in use.
func TestNoPresetsHeaderArrivesFromAClient(t *testing.T) {
	s := newStack(t)
	var lines []string
	for _, p := range presets() {
		for _, h := range p.headers {
			for _, name := range spellings(h.Name) {
				lines = append(lines, name+": mallory")
			}
		}
	}
	slices.Sort(lines)
	for chunk := range slices.Chunk(slices.Compact(lines), 50) { // the gateway takes a hundred
		saw := s.get("/public/x", chunk...).saw(t)
		for name, v := range saw.header {
			if slices.Contains(v, "mallory") {
				t.Errorf("%s arrived", name)
			}
		}
	}
	if strings.Contains(s.app.raw(), "mallory") {
		t.Error("the raw bytes tell of mallory")
	}
}

// spellings are those of a name that some application takes for it.
func spellings(name string) []string {
	return []string{name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."),
		strings.Replace(name, "-", "_", 1), strings.ToUpper(strings.ReplaceAll(name, "-", "_")), strings.ReplaceAll(name, "-", "~")}
}

func TestPresetsSayWhatTheirApplicationsRead(t *testing.T) {
	p := &auth.Principal{ID: "7", Username: "alice", Email: "alice@a.test", Name: "Alice A.", Session: "s", Roles: []string{"user", "a,b", "c|d", "admin"}}
	for name, want := range map[string]http.Header{
		"authelia": {"Remote-User": {"alice"}, "Remote-Groups": {"user,c|d,admin"}, "Remote-Name": {"Alice A."}, "Remote-Email": {"alice@a.test"}},
		"authentik": {"X-Authentik-Username": {"alice"}, "X-Authentik-Groups": {"user|a,b|admin"}, "X-Authentik-Email": {"alice@a.test"},
			"X-Authentik-Name": {"Alice A."}, "X-Authentik-Uid": {"7"}},
		"oauth2-proxy": {"X-Forwarded-User": {"7"}, "X-Forwarded-Groups": {"user,c|d,admin"}, "X-Forwarded-Email": {"alice@a.test"}, "X-Forwarded-Preferred-Username": {"alice"},
			"X-Auth-Request-User": {"7"}, "X-Auth-Request-Groups": {"user,c|d,admin"}, "X-Auth-Request-Email": {"alice@a.test"}, "X-Auth-Request-Preferred-Username": {"alice"}},
		"gatekeeper": {"X-Auth-Subject": {"7"}, "X-Auth-Userid": {"alice"}, "X-Auth-Username": {"alice"}, "X-Auth-Email": {"alice@a.test"},
			"X-Auth-Roles": {"user,c|d,admin"}, "X-Auth-Groups": {"user,c|d,admin"}},
		"grafana":     {"X-Webauth-User": {"alice"}, "X-Webauth-Name": {"Alice A."}, "X-Webauth-Email": {"alice@a.test"}, "X-Webauth-Groups": {"user,c|d,admin"}},
		"gitea":       {"X-Webauth-User": {"alice"}, "X-Webauth-Email": {"alice@a.test"}, "X-Webauth-Fullname": {"Alice A."}},
		"jenkins":     {"X-Forwarded-User": {"alice"}, "X-Forwarded-Groups": {"user|a,b|admin"}, "X-Forwarded-Mail": {"alice@a.test"}, "X-Forwarded-Displayname": {"Alice A."}},
		"opensearch":  {"X-Proxy-User": {"alice"}, "X-Proxy-Roles": {"user,c|d,admin"}},
		"sonarqube":   {"X-Forwarded-Login": {"alice"}, "X-Forwarded-Name": {"Alice A."}, "X-Forwarded-Email": {"alice@a.test"}, "X-Forwarded-Groups": {"user,c|d,admin"}},
		"cloudbeaver": {"X-User": {"alice"}, "X-Role": {"user|a,b|admin"}},
		"netbox":      {"Remote-User": {"alice"}, "Remote-User-Group": {"user|a,b|admin"}, "Remote-User-Email": {"alice@a.test"}},
		"radicale":    {"X-Remote-User": {"alice"}},
		"olivetin":    {"X-Username": {"alice"}, "X-Usergroup": {"user a,b c|d admin"}},
	} {
		h := http.Header{}
		newIdentity(Identity{Presets: []string{name}}).set(h, p, minted{})
		if len(h) != len(want) {
			t.Errorf("%s: %v", name, h)
		}
		for header, value := range want {
			if !slices.Equal(h[header], value) {
				t.Errorf("%s: %s %q, want %q", name, header, h[header], value)
			}
		}
	}
}

func TestOfTwoPresetsTheFirstCounts(t *testing.T) {
	p := &auth.Principal{ID: "7", Username: "alice", Roles: []string{"user", "admin"}}
	for groups, order := range map[string][]string{"user|admin": {"jenkins", "sonarqube"}, "user,admin": {"sonarqube", "jenkins"}} {
		h := http.Header{}
		newIdentity(Identity{Presets: order}).set(h, p, minted{})
		if h.Get("X-Forwarded-Groups") != groups {
			t.Errorf("%v: %v", order, h)
		}
	}
	h := http.Header{}
	newIdentity(Identity{Headers: []Header{{Name: "x-forwarded-groups", Value: "roles", Separator: ";"}}, Presets: []string{"jenkins"}}).set(h, p, minted{})
	if h.Get("X-Forwarded-Groups") != "user;admin" {
		t.Errorf("the file does not count before a preset: %v", h)
	}
}

func TestBasicAuthorizationIsWrittenForPlainNamesAlone(t *testing.T) {
	for name, want := range map[string]string{
		"alice": "Basic YWxpY2U6czNjcmV0", "a b": "Basic YSBiOnMzY3JldA==", "al:ice": "", "jürgen": "", "": "", "a\nb": "", " a": "",
	} {
		if got := basicAuthorization(name, "s3cret"); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestBasicAuthorizationReplacesTheClients(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.Identity.Basic = Basic{Enabled: true, Password: "s3cret"} })
	token := s.token("alice")
	for _, test := range []struct {
		path, line string
		want       []string
	}{
		{"/app/x", bearer(token), []string{"Basic YWxpY2U6czNjcmV0"}},
		{"/app/x", cookie(token), []string{"Basic YWxpY2U6czNjcmV0"}},
		{"/public/x", bearer(token), []string{"Basic YWxpY2U6czNjcmV0"}},
		{"/public/x", "Authorization: Basic cm9vdDpzM2NyZXQ=", nil},
		{"/public/x", bearer("a.foreign.token"), nil},
	} {
		if got := values(s.get(test.path, test.line).saw(t).header, "Authorization"); !slices.Equal(got, test.want) {
			t.Errorf("%s with %s: Authorization %q", test.path, test.line, got)
		}
	}
}
