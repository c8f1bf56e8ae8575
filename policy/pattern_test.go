package policy

import (
	"strings"
	"testing"
)

func TestPatternsSayWhereTheyAreWrong(t *testing.T) {
	for _, test := range []struct{ path, at, says string }{
		{"public/**", "at 0", "begins with a slash"},
		{"", "at 0", "begins with a slash"},
		{"/a/../b", "at 3", "dot segment"},
		{"/a/%2e%2e/b", "at 3", "is written ."},
		{"/x?y", "at 2", "no query"},
		{"/x#y", "at 2", "no fragment"},
		{"/a%2fb", "at 2", "%2F"},
		{"/a%2Fb", "at 1", "no encoded slash"},
		{"/**/**", "at 1", "only at the end"},
		{"/a/**/b", "at 3", "only at the end"},
		{"/a/**/", "at 3", "only at the end"},
		{"/pub*", "at 4", "whole segment"},
		{"/a/b**", "at 4", "whole segment"},
		{"/a//b", "at 3", "empty segment"},
		{"//", "at 1", "empty segment"},
		{"/{id}/{id}", "at 6", "twice"},
		{"/{id}.json", "at 1", "whole segment"},
		{"/{}", "at 1", "whole segment"},
		{"/{a-b}", "at 1", "whole segment"},
		{"/{id...}", "at 1", "whole segment"},
		{"/{id:[0-9]+}", "at 1", "whole segment"},
		{"/a{", "at 1", "whole segment"},
		{"/%61dmin", "at 1", "is written a"},
		{"/caf%c3%a9", "at 4", "%C3"},
		{"/a;b", "at 1", "no semicolon"},
		{"/100%25", "at 1", "percent"},
		{"/a%zz", "at 2", "broken"},
		{"/a b", "at 2", "%20"},
		{`/a\d`, "at 2", "no regular expression"},
		{"/(a|b)", "at 3", "no regular expression"},
		{"/[a]", "at 1", "no regular expression"},
		{"/caf\xe9", "at 1", "UTF-8"},
		{"/a%00", "at 1", "control"},
		{"/" + strings.Repeat("a", 256), "at 1", "255"},
	} {
		_, err := parsePattern(test.path)
		if err == nil || !strings.Contains(err.Error(), test.at+":") || !strings.Contains(err.Error(), test.says) {
			t.Errorf("parsePattern(%.40q) = %v, want %q, %q", test.path, err, test.at, test.says)
		}
	}
}

func TestPatternsAreReadIntoSegments(t *testing.T) {
	for _, test := range []struct {
		path, shape string
		tail        tail
	}{
		{"/", "/", tailSlash},
		{"/**", "/**", tailRest},
		{"/a/{id}/*/b", "/a/*/*/b", tailEnd},
		{"/a/", "/a/", tailSlash},
		{"/a/**", "/a/**", tailRest},
		{"/café", "/caf%C3%A9", tailEnd},
		{"/caf%C3%A9", "/caf%C3%A9", tailEnd},
		{"/a%20b", "/a%20b", tailEnd},
		{"/.well-known/x.", "/.well-known/x.", tailEnd},
	} {
		p, err := parsePattern(test.path)
		if err != nil || p.shape() != test.shape || p.tail != test.tail {
			t.Errorf("parsePattern(%q) = %q, tail %d, %v; want %q, tail %d", test.path, p.shape(), p.tail, err, test.shape, test.tail)
		}
	}
}

func TestHostsSayWhatIsWrong(t *testing.T) {
	for _, test := range []struct{ host, says string }{
		{"app.example.com:8080", "port"}, {"http://a.example", "scheme"}, {"a/b", "path"}, {"*", "leave `host` out"}, {"*.", "leave `host` out"},
		{"a.*.example.com", "only at the front"}, {"*a.example.com", "only at the front"}, {"a.example.com.", "final dot"},
		{"müller.example", "xn--"}, {"a..b", "no label"}, {"-a.example", "no label"}, {"a b", "does not belong"}, {"[::1", "IPv6"},
		{strings.Repeat("a.", 127) + "a", "253"},
	} {
		if _, _, err := parseHost(test.host); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("parseHost(%q) = %v, want %q", test.host, err, test.says)
		}
	}
	for _, host := range []string{"a", "APP.example.com", "*.example.com", "127.0.0.1", "[::1]", "under_score.example", "xn--mller-kva.example"} {
		if _, _, err := parseHost(host); err != nil {
			t.Errorf("parseHost(%q) = %v", host, err)
		}
	}
}

func FuzzParsePattern(f *testing.F) {
	for _, seed := range []string{"/a/{id}/*/**", "/", "/caf%C3%A9/", "/a//b", "/{a}{b}", "/**/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePattern(text)
		if err != nil {
			return
		}
		again, err := parsePattern(p.shape())
		if err != nil || again.shape() != p.shape() {
			t.Fatalf("the shape %q of %q reads as %q, %v", p.shape(), text, again.shape(), err)
		}
	})
}
