package policy

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestPathsThatNoRouteCanAdmitAreRefused(t *testing.T) {
	for _, test := range []struct{ name, raw string }{
		{"PC-003 encoded dot segments", "/public/%2e%2e/admin/panel"},
		{"PC-005 mixed dots", "/public/.%2e/admin/panel"},
		{"PC-006 mixed dots the other way", "/public/%2e./admin/panel"},
		{"upper-case hex", "/public/%2E%2E/admin"},
		{"PC-023 inner dot segment", "/admin/./panel"},
		{"PC-024 encoded single dot", "/admin/%2e/panel"},
		{"PC-025 trailing dot segment", "/admin/."},
		{"trailing dot dot", "/admin/.."},
		{"PC-028 climbing above the root", "/public/x/../../../admin/panel"},
		{"PC-029 into the open prefix", "/admin/../public/x"},
		{"PC-104 two thousand", "/public/" + strings.Repeat("../", 2000) + "admin/panel"},
		{"PC-034 parameter on dot-dot", "/app/..;/admin/panel"},
		{"PC-035 parameter with a value", "/public/..;a=b/admin/panel"},
		{"PC-039 encoded dots and a parameter", "/public/%2e%2e;/admin/panel"},
		{"encoded semicolon behind dots", "/public/..%3b/admin"},
		{"single dot with a parameter", "/admin/.;/panel"},
		{"dots before an encoded slash", "/public/..%2fadmin"},
		{"dots behind an encoded slash", "/public/x%2f../admin"},
		{"dots before an encoded hash", "/public/..%23/admin"},
		{"dots before an encoded question mark", "/public/..%3f/admin"},
		{"dots with a space that Windows drops", "/public/..%20/admin"},
		{"dots around a space", "/public/.%20./admin"},
		{"fullwidth dots", "/public/%EF%BC%8E%EF%BC%8E/admin"},
		{"a fullwidth and a plain dot", "/public/.%EF%BC%8E/admin"},
		{"one two-dot leader", "/public/%E2%80%A5/admin"},
		{"PC-032 encoded backslash", "/admin%5cpanel"},
		{"PC-033 raw backslash", `\admin\panel`},
		{"backslash inside", `/public/..\admin`},
		{"fullwidth slash", "/public/..%EF%BC%8Fadmin"},
		{"fullwidth backslash", "/public%EF%BC%BCadmin"},
		{"PC-044 encoded tab", "/admin%09/panel"},
		{"PC-048 NUL inside dots", "/public/.%00./admin/panel"},
		{"PC-049 NUL suffix", "/admin/panel%00.html"},
		{"PC-088 encoded CRLF", "/public/x%0d%0aSet-Cookie:%20a=b"},
		{"raw control", "/public/\x01"},
		{"raw DEL", "/public/\x7f"},
		{"encoded DEL", "/public/%7f"},
		{"C1 control", "/public/%C2%85"},
		{"line separator", "/public/%E2%80%A8"},
		{"raw space", "/public/a b"},
		{"PC-051 overlong dots", "/public/%c0%ae%c0%ae/admin/panel"},
		{"PC-052 overlong slash", "/public/..%c0%afadmin/panel"},
		{"three byte overlong dot", "/public/%e0%80%ae/admin"},
		{"surrogate", "/public/%ed%a0%80"},
		{"beyond Unicode", "/public/%f4%90%80%80"},
		{"lone continuation", "/public/%80"},
		{"sequence cut by a slash", "/public/%c3/x"},
		{"sequence cut by an encoded slash", "/public/%c3%2fx"},
		{"sequence cut by the end", "/public/%c3"},
		{"sequence cut by a letter", "/public/%c3a"},
		{"sequence cut by a semicolon", "/public/%c3;x"},
		{"latin-1", "/public/%e9"},
		{"raw bytes outside ASCII", "/public/caf\xc3\xa9"},
		{"PC-057 dangling percent", "/public/%"},
		{"PC-058 truncated escape", "/public/%f"},
		{"PC-059 non-hex escape", "/public/%zz/../admin"},
		{"PC-060 percent u", "/public/%u002e%u002e/admin"},
		{"CVE-2010-2731 a stream of NTFS", "/secret.txt::$DATA"},
		{"CVE-2010-2731 the index of a folder", "/admin:$i30:$INDEX_ALLOCATION/x"},
		{"a stream, encoded", "/secret.txt:%3a%24DATA"},
		{"a stream in fullwidth letters", "/secret.txt%EF%BC%9A%EF%BC%84DATA"},
		{"percent u under a second decoding", "/%25u0061dmin/x"},
		{"the same with its letters encoded", "/%25%75%30%30%36%31dmin"},
		{"percent U under a second decoding", "/%25U0061dmin/x"},
		{"three slashes", "///admin"},
		{"three slashes inside", "/public///admin"},
		{"one vertical two-dot leader", "/public/%EF%B8%B0/admin"},
		{"dots and a space that NFKC makes plain", "/public/..%C2%A0/admin"},
		{"dots around what file systems drop", "/public/.%E2%80%8B./admin"},
		{"account of, with a slash in it", "/public%E2%84%80admin"},
		{"PC-062 raw fragment", "/public/x#/../../admin/panel"},
		{"raw query", "/public/x?y"},
		{"PC-075 no leading slash", "admin/panel"},
		{"PC-076 relative", "../../../../etc/passwd"},
		{"PC-077 asterisk form", "*"},
		{"absolute form", "http://gw.test/admin"},
		{"empty", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if p, err := ParsePath(test.raw); err == nil {
				t.Errorf("ParsePath(%q) = %q, want an error", test.raw, p)
			} else if p.String() != "" {
				t.Errorf("ParsePath(%q) failed and returned %q", test.raw, p)
			}
		})
	}
}

func TestPathsOfHonestClientsPassByteForByte(t *testing.T) {
	for _, raw := range []string{
		"/", "/a", "/a/", "/public/caf%C3%A9", "/public/caf%c3%a9", "/public/a%20b", "/public/file.tar.gz",
		"/public/..foo/bar..", "/public/...", "/public/a+b&c=d@e:f,g!$*()", "/~user", "/a|b", "/a[1]", "/a^b", `/a"b`,
		"/public/.well-known", "/public/%E6%97%A5%E6%9C%AC", "/public/%F0%9F%98%80", "/public/x.", "/public/x%20", "/%41",
		"/public/%C2%A0", "/pod/Moose::Role", "/ip/2001:db8::1", "/$:/x", "/%C2%A5100", "/%EF%BD%81%EF%BC%81", "/public/" + strings.Repeat("a", 9000), strings.Repeat("/a", 4000),
	} {
		p, err := ParsePath(raw)
		if err != nil {
			t.Errorf("ParsePath(%.60q): %v", raw, err)
			continue
		}
		if p.String() != raw || !p.Plain() {
			t.Errorf("ParsePath(%.60q) = %.60q, plain %v", raw, p, p.Plain())
		}
	}
}

func TestDoubtfulCharactersAreNotedInEverySpelling(t *testing.T) {
	for _, test := range []struct {
		raw  string
		want doubt
	}{
		{"/a%2fb", doubtSlash}, {"/a%2Fb", doubtSlash}, {"/a%25b", doubtPercent}, {"/%2561dmin", doubtPercent},
		{"/a%23b", doubtHash}, {"/a%3fb", doubtQuestion}, {"/a%3Fb", doubtQuestion},
		{"/a;b", doubtSemicolon}, {"/a%3bb", doubtSemicolon}, {"/a%3Bb", doubtSemicolon}, {"/;/admin", doubtSemicolon},
		{"//", doubtEmpty}, {"//a", doubtEmpty}, {"/a//b", doubtEmpty}, {"/a//", doubtEmpty}, {"/a%EF%BC%9Fb", doubtQuestion}, {"/a%EF%BC%83", doubtHash},
		{"/%EF%BC%85zz", doubtPercent}, {"/a%CD%BE", doubtSemicolon}, {"/100%25used", doubtPercent},
		{"//a;b%2f", doubtEmpty | doubtSemicolon | doubtSlash}, {"/a%252e", doubtPercent}, {"/%2f", doubtSlash},
	} {
		p, err := ParsePath(test.raw)
		if err != nil || p.doubts != test.want || p.Plain() {
			t.Errorf("ParsePath(%q): doubts %06b, plain %v, error %v, want %06b", test.raw, p.doubts, p.Plain(), err, test.want)
		}
	}
}

// What NFKC makes of a character is what a program that normalises reads.
func TestNoCharacterHidesASeparatorFromNFKC(t *testing.T) {
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		plain := norm.NFKC.String(string(r))
		p, err := ParsePath("/a" + escape(string(r)) + "b")
		_, dots := ParsePath("/" + escape(string(r)))
		switch {
		case strings.ContainsAny(plain, `/\`) && err == nil:
			t.Errorf("%U is %q and is accepted", r, plain)
		case (plain == "." || plain == "..") && dots == nil:
			t.Errorf("%U is %q and is accepted as a name", r, plain)
		case strings.ContainsAny(plain, "?#%;") && err == nil && p.Plain():
			t.Errorf("%U is %q and is no doubt", r, plain)
		case plain == " ":
			if _, err := ParsePath("/.." + escape(string(r))); err == nil {
				t.Errorf("%U is a space and is accepted behind dots", r)
			}
		}
	}
}

func TestErrorsOfPathsDoNotRepeatThePath(t *testing.T) {
	_, err := ParsePath("/secret-token/%zz")
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestParsingAPathDoesNotAllocate(t *testing.T) {
	for _, raw := range []string{"/api/users/42", "/public/caf%C3%A9/%E6%97%A5", "/a;b%2f//c"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = ParsePath(raw) }); n != 0 {
			t.Errorf("ParsePath(%q) allocates %v times", raw, n)
		}
	}
}

// FuzzParsePath checks what is accepted against checks that were written
// apart from the scanner, on the decoded text.
func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{"/", "/a/%2e%2e/b", "/%c0%ae", "/a;b/%25", "//x", "/..;/", "/%EF%BC%8E", "/a%20/.%20", "/a%2f%2e%2e", "/%u0041", "/a::$DATA", "/%25u0041", "///a", "/%EF%BC%9F"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := ParsePath(raw)
		if err != nil {
			if p != (Path{}) {
				t.Fatalf("an error came with %+v", p)
			}
			return
		}
		if p.String() != raw {
			t.Fatalf("String() = %q, want %q", p, raw)
		}
		decoded := decode(raw)
		if raw[0] != '/' || !utf8.ValidString(decoded) || strings.ContainsAny(raw, "?# \\") || strings.Contains(decoded, `\`) {
			t.Fatalf("accepted %q", raw)
		}
		for _, r := range decoded {
			if r < ' ' || 0x7f <= r && r < 0xa0 {
				t.Fatalf("accepted %q with control %U", raw, r)
			}
		}
		for _, segment := range strings.FieldsFunc(decoded, func(r rune) bool { return r == '/' }) {
			name, _, _ := strings.Cut(segment, ";")
			if name = strings.TrimRight(name, " "); name == "." || name == ".." {
				t.Fatalf("accepted %q with a dot segment", raw)
			}
		}
		if p.Plain() != !(strings.ContainsAny(norm.NFKC.String(decoded), ";%?#") || strings.Contains(raw, "//") ||
			strings.Count(decoded, "/") != strings.Count(raw, "/")) {
			t.Fatalf("Plain(%q) = %v", raw, p.Plain())
		}
	})
}
