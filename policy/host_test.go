package policy

import (
	"strings"
	"testing"
)

// A host's stricter route must hold for every spelling of the host, and what
// is no host must not fall to the routes of every host, which may be freer.
func TestWhatIsNoHostMatchesNoRoute(t *testing.T) {
	admin := Route{Host: "admin.example.com", Path: "/**", Allow: []Rule{{Role: "admin"}}}
	table := mustCompile(t, testConfig("", anyoneAt("/**"), admin))
	p, _ := ParsePath("/x")
	for _, host := range []string{
		"admin.example.com..", "admin..example.com", ".admin.example.com", ".", "..", ":80",
		"admin.example.com:80:90", "admin.example.com:80.", "admin.example.com:8o", "admin.example.com: 80",
		"admin%2eexample.com", "user@admin.example.com", "admin.example.com/", "admin.example.com\t", " admin.example.com", "adm\u0131n.example.com",
		"[::1", "::1", "[::1]x", "[::1]:80:90", "[::1]:x", "[10.0.0.1]", "[fe80::1%eth0]", "[]", "[::1]]",
		strings.Repeat("a.", 127) + "aa",
	} {
		m := table.Match("GET", host, p)
		if m.Refusal() != ReasonNoRoute {
			t.Errorf("%q: route %d, %q", host, m.Route(), m.Refusal())
		}
		if x := table.Explain("GET", host, p, Caller{}); x.Decision.Effect != Deny || x.Why == "" {
			t.Errorf("%q is explained as %+v", host, x)
		}
	}
	for host, want := range map[string]int{"": 0, "other": 0, "admin.example.com:": 1, "ADMIN.example.com.:65535": 1, strings.Repeat("a.", 126) + "a": 0} {
		if m := table.Match("GET", host, p); m.Route() != want || m.Refusal() != ReasonNone {
			t.Errorf("%q: route %d, %q", host, m.Route(), m.Refusal())
		}
	}
}

func TestOneAddressIsOneHost(t *testing.T) {
	at := func(host string) Route { r := anyoneAt("/**"); r.Host = host; return r }
	for _, pair := range [][2]string{{"[::1]", "[0:0::1]"}, {"[2001:DB8::1]", "[2001:db8:0::1]"}, {"A.example", "a.Example"}} {
		table, findings := Compile(testConfig("", at(pair[0]), at(pair[1])))
		if table != nil || len(findings) != 1 || !strings.Contains(findings[0].Message, "same host") {
			t.Errorf("%v: %v", pair, findings)
		}
	}
}

func TestHostsOfRoutesAreCheckedWithAReason(t *testing.T) {
	for host, says := range map[string]string{
		"*": "leave `host` out", "https://a.example": "without scheme", "a.example/x": "without scheme and path", "a.example.": "final dot",
		"a.*.example": "only at the front", "*a.example": "only at the front", "a..example": "no label", "-a.example": "no label", "a-.example": "no label",
		strings.Repeat("a", 64) + ".example": "no label", strings.Repeat("a.", 130): "253", "bücher.example": "xn--", "a b": "does not belong",
		"[::1": "IPv6 address in brackets", "[10.0.0.1]": "IPv6 address in brackets", "[fe80::1%25eth0]": "IPv6 address in brackets", "*.[::1]": "without scheme and port", "::1": "without scheme and port",
	} {
		r := anyoneAt("/a")
		r.Host = host
		if table, findings := Compile(testConfig("", r)); table != nil || len(findings) != 1 || !strings.Contains(findings[0].Message, says) {
			t.Errorf("%q: %v, want %q", host, findings, says)
		}
	}
}

// FuzzHost: whatever a client sends as host, it is one of the names that the
// grammar of hosts has, in the one form that routes are compared by, or none.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{"a.example", "A.EXAMPLE.:80", "[::1]:80", "[::ffff:10.0.0.1]", "a..b", "a:1:2", "[", "10.0.0.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		var buffer, second [hostMax]byte
		name, ok := requestHost(&buffer, host)
		if !ok || len(name) == 0 {
			return
		}
		again, ok := requestHost(&second, string(name))
		if !ok || string(again) != string(name) {
			t.Fatalf("%q is %q, which is %q, %v", host, name, again, ok)
		}
		if strings.ToLower(string(name)) != string(name) || strings.Contains(string(name), "..") || name[0] == '.' || name[len(name)-1] == '.' {
			t.Fatalf("%q is %q", host, name)
		}
		if parsed, wildcard, err := parseHost(string(name)); err == nil && (wildcard || parsed != string(name)) {
			t.Fatalf("%q is %q to requests and %q to routes", host, name, parsed)
		}
	})
}
