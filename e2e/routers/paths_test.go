package routers

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// nasty lists the spellings by hand, over what the attacks of twenty years did
// to proxies: each line is a way in which two programs read one path.
func nasty() []string {
	return []string{
		// As they are, and with case and a trailing slash.
		"/", "/exact", "/exact/", "/EXACT", "/EXACT/", "/Exact", "/admin", "/admin/", "/ADMIN", "/Admin/x", "/aDmIn/", "/admin/x/y/",
		"/Panel", "/panel", "/PANEL/", "/panel/x", "/Panel/x", "/items/secret", "/items/SECRET", "/items/secret/", "/items/Secret/",
		"/items/42", "/items/42/", "/items/4/2", "/items/", "/items", "/ITEMS/secret", "/users", "/users/", "/users/42", "/users/42/",
		"/USERS/42", "/users/42/keys", "/users/42/keys/", "/users/Bob", "/users/bob", "/closed", "/closed/", "/CLOSED", "/Closed/", "/closed//",
		"/open", "/open/", "/open/staff", "/open/Staff", "/open/staff/", "/open/STAFF/x", "/Open/staff/x", "/open/stafff",
		"/files/report.txt", "/files/Report.TXT", "/files/REPORT.txt", "/files/report.txt/", "/FILES/report.txt", "/files/deep/report.txt", "/files/deep/", "/files/",
		"/files/a.txt", "/files/a.txt/", "/files", "/nowhere", "/admins", "/admi", "/adminx/y", "/exactly",
		// Encoded letters.
		"/%61dmin/x", "/%41dmin", "/adm%69n", "/admi%6E/x", "/admi%6e/", "/e%78act", "/items/%73ecret", "/items/secre%74", "/items/%53ecret", "/users/%34%32", "/users/4%32/keys",
		"/files/%72eport.txt", "/files/report%2etxt", "/files/report%2Etxt", "/open/%73taff", "/open%2Fstaff", "/%50anel", "/%70anel", "/close%64/", "/files/deep/%72eport.txt",
		"/my%20page", "/my%20page/", "/MY%20PAGE", "/m%79%20page", "/my+page", "/my%2520page", "/my%09page", "/my%c2%a0page", "/%6dy%20page",
		"/caf%C3%A9", "/caf%c3%a9", "/caf%C3%a9/", "/CAF%C3%A9", "/caf%C3%89", "/cafe%CC%81", "/caf%C3%83%C2%A9", "/caf%E9", "/caf%25C3%25A9", "/%63af%C3%A9", "/caf\xc3\xa9",
		// Encoded slashes, once and twice.
		"/admin%2fx", "/admin%2Fx", "/%2fadmin/x", "/%2Fadmin", "/admin%2f", "/open%2fstaff", "/open/x%2fy", "/open%2Fstaff%2Fx", "/items%2fsecret", "/items%2Fsecret%2F",
		"/items/a%2fb", "/items/a%2Fb", "/items/secret%2f", "/items/%2fsecret", "/users/42%2fkeys", "/users/4%2F2", "/users%2f42", "/users/%2f42", "/closed%2f", "/closed%2F",
		"/files%2freport.txt", "/files/deep%2freport.txt", "/files/deep%2Freport.txt", "/files/%2freport.txt", "/admin%252fx", "/items%252fsecret", "/files/deep%252freport.txt", "/open%25252fstaff",
		"/users/42%252fkeys", "/open%5cstaff", "/admin\\x", "/admin%5Cx", "/%5cadmin", "/open/%255cstaff",
		// Empty segments.
		"//admin", "//admin/x", "///admin/x", "/admin//x", "/open//staff", "/open///staff/x", "//open/staff", "/items//secret", "//items/secret", "/users//42", "//users/42",
		"/users/42//keys", "/closed//", "//closed/", "/files//report.txt", "//files/report.txt", "/files///deep//report.txt", "//host/admin/x", "//app/items/secret", "//exact", "/exact//", "/admin//", "//", "///",
		// Parameters.
		"/admin;x=y", "/admin;x=y/z", "/admin;/x", "/;x/admin/x", "/;/admin", "/open;x/staff", "/open/;x/staff", "/open/staff;jsessionid=1", "/items/secret;x", "/items/secret;", "/items;x/secret", "/items/4;2", "/items/;x",
		"/users/42;admin=true", "/users/42;/keys", "/users/;42", "/users;42", "/users/42;a,b", "/closed/;x", "/closed;/", "/closed;x/", "/files/report.txt;x", "/files;x/report.txt", "/exact;", "/exact;x=/admin", "/;",
		"/admin%3bx", "/admin%3Bx=y/z", "/items/secret%3b", "/items/secret%3Bx", "/users/42%3bx", "/open/staff%3bx", "/closed/%3b", "/files/report.txt%3b", "/admin%253bx", "/items/secret%253bx", "/items/a;b%2fc;d", "/open;a%2fstaff;b",
		"/open/..;/admin/x", "/open/..;x=y/staff", "/open/.;/staff", "/open/%2e%2e;/admin", "/..;/admin", "/items/..;/admin/x", "/open;/..;/admin", "/open/;..;/staff", "/open/;/../admin",
		// Dots, spaces and what stands for them.
		"/open/../admin/x", "/open/./staff", "/./admin", "/open/%2e%2e/admin", "/open/.%2e/admin", "/open/%2E./admin", "/open/%252e%252e/admin", "/open/%25252e%25252e/admin", "/open/..%2fadmin", "/open/..%5cadmin", "/open/...", "/open/.../staff", "/open/..x/staff",
		"/admin.", "/admin..", "/admin./x", "/admin%2e", "/admin%20", "/admin%20/x", "/items/secret.", "/items/secret%20", "/items/secret%2e%20", "/items/secret...", "/files/report.txt.", "/files/report.txt%20", "/files/report.txt%20.", "/open/staff.", "/open/staff%20/x", "/%20admin/x", "/closed./", "/closed%20/",
		"/items/secret%00", "/items/secret%00.txt", "/admin%00/x", "/admin%0a", "/items/secret%0a", "/items/secret%0d%0a", "/admin%09", "/admin%7f", "/items/secret%01", "/admin/x%0d%0aX:%20y",
		"/items/secret::$DATA", "/files/report.txt::$DATA", "/files/report.txt%3a%3a$DATA", "/files/REPORT~1.TXT", "/items/secret:", "/items/secret*", "/files/report.tx*",
		// Queries and fragments inside.
		"/admin%3fx", "/admin%3Fx", "/admin%23x", "/items/secret%3f", "/items/secret%23", "/items/secret%23/../42", "/open/staff%3fx", "/open/x%3f/staff", "/open/x%23/staff", "/users/42%3fx=y", "/users/42%23x", "/closed/%3f", "/closed/%23", "/files/report.txt%3fx", "/files/report.txt%23x",
		"/admin%253fx", "/items/secret%2523", "/admin#x", "/open/x#/../staff", "/open%23/../staff",
		// Percent signs.
		"/%2561dmin/x", "/%2541dmin", "/admi%256e", "/items/secre%2574", "/items/50%25", "/items/%25", "/users/%2534%2532", "/users/42%25", "/open/%2573taff", "/%252561dmin", "/%25%36%31dmin", "/%2%35%361dmin", "/admin%", "/admin%2", "/admin%zz", "/%u0061dmin", "/%u0061dmin/x", "/items/%%73ecret", "/items/%25%73ecret", "/users/%", "/files/%2572eport.txt",
		// Letters that fold into others.
		"/item%C5%BF/secret", "/item%c5%bf/42", "/items/%C5%BFecret", "/u%C5%BFers/42", "/clo%C5%BFed/", "/open/%c5%bftaff", "/adm%C4%B0n/x", "/adm%C4%B1n", "/%C4%B0tems/secret", "/%C4%B1tems/secret", "/users/%E2%84%AA", "/users/k", "/users/K",
		"/%EF%BD%81dmin/x", "/%EF%BC%A1dmin", "/items/%EF%BD%93ecret", "/open%EF%BC%8Fstaff", "/admin%EF%BC%8Fx", "/open/%EF%BC%8E%EF%BC%8E/admin", "/open/%E2%80%A5/admin", "/%E2%93%90dmin", "/admin%C2%AD/x", "/adm%E2%80%8Bin", "/admin%E2%80%AE", "/items/secret%EF%BB%BF", "/admin%CC%81", "/%F0%9D%90%9Admin", "/admin%E2%88%95x",
		// Overlong and broken UTF-8.
		"/%c1%a1dmin", "/open%c0%afstaff", "/open/%c0%ae%c0%ae/admin", "/%e0%81%a1dmin", "/admin%e0%80%afx", "/admin%f0%80%80%afx", "/items/secret%80", "/admin%ff", "/items/%ed%a0%80", "/items/%c3", "/caf%C3", "/caf%C3/%A9", "/%f4%90%80%80",
		// Other punctuation that some program gives a meaning.
		"/admin,x", "/admin&x", "/admin=x", "/admin@x", "/admin:80", "/admin!", "/admin'", "/admin(x)", "/admin$", "/admin~", "/~admin", "/admin+", "/admin%2b", "/admin%26x", "/admin%3dx", "/admin%7c", "/admin|x", "/admin^", "/admin`x`", "/admin{x}", "/admin%7bx%7d", "/admin<x>", "/admin\"x", "/admin[x]", "/admin.json", "/admin.do", "/items/secret.json", "/items/secret.html", "/exact.json", "/exact.jsp", "/admin/x.jsp", "/admin%2ejson",
		"/users/a%20b", "/users/a+b", "/users/a%2Bb", "/users/a@b.example", "/users/a%40b.example", "/users/%C3%A9", "/users/e%CC%81", "/users/%E2%82%AC/x", "/users/%F0%9F%98%80", "/users/a,b", "/users/a:b", "/users/..a", "/users/a..", "/users/a.", "/users/a%20", "/users/-", "/users/%2d", "/users/~", "/users/%7E", "/users/null", "/users/a&b=c", "/users/a'b", "/users/%22a%22", "/users/%3Ca%3E", "/users/%5Ba%5D", "/users/a%7Cb", "/users/a*b", "/users/{id}", "/users/:id",
		"/WEB-INF/web.xml", "/web-inf/web.xml", "/WEB-INF/answer.jsp", "/files/WEB-INF/web.xml", "/META-INF/", "/answer.jsp",
	}
}

// corpusPaths returns the paths of the attack corpus, moved onto the places.
func corpusPaths(t testing.TB) []string {
	t.Helper()
	data, err := os.ReadFile("../testdata/corpus.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Class   string
		Request string `json:"raw_request"`
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	onto := strings.NewReplacer("/public", "/open", "/app/", "/items/", "/api/users", "/users", "{REPEAT:../:2000}", strings.Repeat("../", 50))
	var paths []string
	for _, c := range cases {
		_, target, _ := strings.Cut(c.Request, " ")
		target, _, found := strings.Cut(target, " ")
		if c.Class != "path-confusion" && c.Class != "control" || !found {
			continue
		}
		path, _, _ := strings.Cut(onto.Replace(target), "?")
		paths = append(paths, path)
	}
	if len(paths) < 40 {
		t.Fatalf("only %d paths in the corpus", len(paths))
	}
	return paths
}

// tokens are what the generator puts into a path.
func tokens() []string {
	return []string{
		"/", "//", "%2f", "%2F", "%252f", "%25", "%2525", ";", ";x=y", ";jsessionid=1", "%3b", "%3Bx", "..;/", "%23", "%3f", "%3Fx", "%253f", "%2523", "%253b",
		".", "%2e", "%20", "%2e%20", "..", "%5c", "%00", "%0a", "%c5%bf", "%c4%b0", "%c4%b1", "%e2%84%aa", "%ef%bc%8f", "%ef%bd%81", "%cc%81", "%C3%A9", "%c3%89",
		"%c0%af", "%ff", "+", "%2b", "*", "~", ":", "@", ",", "&", "=", "!", "%7e", "%c2%a0", "x", "X", "42", "secret", "admin", "staff", "/admin", "/secret", "/staff", ".json",
	}
}

// generated returns n paths made of a place's and a few changes; the same ones
// every time.
func generated(n int) []string {
	random := rand.New(rand.NewPCG(3, 4003))
	bases := []string{
		"/", "/exact", "/Panel", "/Panel/x", "/admin", "/admin/x", "/items/secret", "/items/42", "/users", "/users/42", "/users/Bob/keys", "/users/a%20b",
		"/closed/", "/closed", "/my%20page", "/caf%C3%A9", "/open/staff", "/open/staff/x", "/open/x/y", "/files/report.txt", "/files/deep/report.txt", "/files/a.txt", "/x/y",
	}
	paths := make([]string, n)
	for i := range paths {
		path := bases[random.IntN(len(bases))]
		for range 1 + random.IntN(3) {
			path = mutate(random, path)
		}
		paths[i] = path
	}
	return paths
}

// mutate changes one place of a path.
func mutate(random *rand.Rand, path string) string {
	at := 1 + random.IntN(len(path))
	switch kind := random.IntN(10); {
	case kind < 4: // a token, anywhere, or behind a segment
		if kind == 0 {
			at = len(path)
		} else if slash := strings.IndexByte(path[at:], '/'); kind == 1 && slash >= 0 {
			at += slash
		}
		all := tokens()
		return path[:at] + all[random.IntN(len(all))] + path[at:]
	case at == len(path):
		return path + "/"
	case kind < 6: // the other case
		return path[:at] + string(path[at]^0x20*isLetter(path[at])) + path[at+1:]
	case kind == 6:
		return path[:at] + strings.ToUpper(path[at:])
	case kind == 7: // once more, that other layer of encoding
		return path[:at] + fmt.Sprintf("%%25%02x", path[at]) + path[at+1:]
	}
	return path[:at] + fmt.Sprintf([]string{"%%%02x", "%%%02X"}[random.IntN(2)], path[at]) + path[at+1:]
}

// isLetter is 1 for an ASCII letter, else 0.
func isLetter(c byte) byte {
	if c |= 0x20; 'a' <= c && c <= 'z' {
		return 1
	}
	return 0
}
