package policy

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// outcomes, the strictest first.
const (
	outBadPath = iota
	outNoRoute
	outMethod
	outDeny
	outChallenge
	outAllow
)

// What restate looks for. Tests ask for it by the million, so it is compiled once.
var (
	wideBytes    = regexp.MustCompile(`(?i)%[c-f][0-9a-f](%[89ab][0-9a-f])+`)
	encodedTwice = regexp.MustCompile(`(?i)%25((?:[0-9a-f]|%3[0-9]|%[46][1-6]){2})`)
	authority    = regexp.MustCompile(`^//[^/]*`)
	semicolon    = regexp.MustCompile(`;[^/]*`)
	stream       = regexp.MustCompile(`::.*`)
	rewrites     = []struct {
		of *regexp.Regexp
		to string
	}{
		{regexp.MustCompile(`(?i)%2f`), "/"},
		{semicolon, ""},
		{regexp.MustCompile(`(?i)(;|%3b)[^/]*`), ""},
		{regexp.MustCompile(`(?i)(;|%3b).*`), ""},
		{regexp.MustCompile(`(?i)%23.*`), ""},
		{regexp.MustCompile(`(?i)%3f.*`), ""},
		{regexp.MustCompile(`/+`), "/"},
	}
)

// restate is what a program may make of a doubtful character, in regular
// expressions: written apart from readings.go on purpose.
func restate(text string) []string {
	narrowed := wideBytes.ReplaceAllStringFunc(text, func(s string) string {
		wide := decode(s) >= "\uff01" && decode(s) <= "\uff5e"
		if plain := norm.NFKC.String(decode(s)); len(plain) == 1 && (wide || strings.ContainsAny(plain, " #$%./:;?\\")) {
			return fmt.Sprintf("%%%02X", plain[0])
		}
		return s
	})
	if p, err := ParsePath(text); err == nil && p.doubts&^(doubtSlash|doubtEmpty) == 0 {
		narrowed = text
	}
	next := []string{narrowed, encodedTwice.ReplaceAllStringFunc(text, func(s string) string { return "%" + decode(s[3:]) })}
	for _, r := range rewrites {
		next = append(next, r.of.ReplaceAllString(text, r.to))
	}
	if strings.HasPrefix(text, "//") {
		next = append(next, cmp.Or(authority.ReplaceAllString(text, ""), "/"))
	}
	return next
}

// decide answers the slow way, for a policy with one upstream whose routes all
// have the same path options.
func (ref *reference) decide(method, host, raw string, caller Caller) int {
	first, err := ParsePath(raw)
	if err != nil {
		return outBadPath
	}
	router := ref.router(0)
	opening := ref.reached(views(router.Router)[0], host, views2text(router.Router, raw))
	if len(opening) == 0 {
		if !first.Plain() {
			return outBadPath
		}
		return outNoRoute
	}
	admitted := doubt(0)
	for _, o := range ref.config.Routes[opening[0]].PathOptions {
		admitted |= 1 << slices.Index(optionNames(), o)
	}
	texts := []string{raw}
	for i := 0; i < len(texts) && len(texts) <= readingsMax; i++ {
		p, err := ParsePath(texts[i])
		if err != nil || p.doubts&^admitted != 0 {
			return outBadPath
		}
		for _, next := range restate(texts[i]) {
			if !slices.Contains(texts, next) {
				texts = append(texts, next)
			}
		}
	}
	if len(texts) > readingsMax {
		return outBadPath
	}
	least := outAllow
	for _, text := range texts {
		for _, v := range views(router.Router) {
			least = min(least, ref.judge(v, method, host, text, caller))
		}
	}
	return least
}

// views2text cuts the parameters for the routers that open so.
func views2text(router, text string) string {
	if router == "tomcat" || router == "spring" {
		return semicolon.ReplaceAllString(text, "")
	}
	return text
}

// judge is the strictest decision of all that one view leads to.
func (ref *reference) judge(v view, method, host, text string, caller Caller) int {
	router := ref.router(0)
	routes := ref.reached(v, host, views2text(router.Router, text))
	if len(routes) == 0 {
		return outNoRoute
	}
	methods := []string{method}
	if method == "POST" && router.MethodOverride {
		methods = []string{"POST", "PUT", "PATCH", "DELETE"}
	}
	least := outAllow
	for _, group := range ref.groups(routes) {
		for _, m := range methods {
			i := ref.byMethod(group, m)
			if i < 0 {
				least = min(least, outMethod)
				continue
			}
			least = min(least, judgeRoute(ref.config.Routes[i], caller))
		}
	}
	return least
}

// judgeRoute knows anyone and role, which is enough for telling routes apart.
func judgeRoute(r Route, caller Caller) int {
	switch {
	case r.Allow[0].Anyone, slices.Contains(caller.Subject.Roles, r.Allow[0].Role):
		return outAllow
	case len(caller.Subject.Roles) == 0:
		return outChallenge
	}
	return outDeny
}

// outcome asks the table.
func outcome(t *Table, method, host, raw string, caller Caller) int {
	p, err := ParsePath(raw)
	if err != nil {
		return outBadPath
	}
	m := t.Match(method, host, p)
	switch m.Refusal() {
	case ReasonBadPath:
		return outBadPath
	case ReasonNoRoute:
		return outNoRoute
	case ReasonMethodNotAllowed:
		return outMethod
	}
	switch m.Decide(caller).Effect {
	case Allow:
		return outAllow
	case Challenge:
		return outChallenge
	}
	return outDeny
}

// drawConfig draws a policy without errors of up to ten routes, over few
// enough words that routes meet.
func drawConfig(t *rapid.T, options []string) Config {
	router := rapid.SampledFrom(routerNames()).Draw(t, "router")
	config := Config{
		Roles:     []string{"r0", "r1", "r2"},
		Upstreams: []Upstream{{Name: "app", Router: router, MethodOverride: rapid.Bool().Draw(t, "override")}},
	}
	segment := rapid.SampledFrom([]string{"a", "b", "a", "b", "A", "a.", "...", "caf%C3%A9", "k", "a::b", "{x}", "*"})
	for range rapid.IntRange(1, 10).Draw(t, "routes") {
		segments := rapid.SliceOfN(segment, 0, 4).Draw(t, "segments")
		text := strings.Join(segments, "/")
		if strings.Count(text, "{x}") > 1 {
			text = strings.Replace(text, "{x}", "{y}", 1)
			text = strings.Replace(text, "{x}", "{z}", 1)
			text = strings.ReplaceAll(text, "/{x}", "/*")
		}
		path := rapid.SampledFrom([]string{"/" + text, strings.TrimSuffix("/"+text, "/") + "/**", strings.TrimSuffix("/"+text, "/") + "/"}).Draw(t, "path")
		r := Route{Path: path, PathOptions: options, Allow: []Rule{{Anyone: true}}}
		r.Host = rapid.SampledFrom([]string{"", "", "a.b.example", "*.b.example", "*.example"}).Draw(t, "host")
		if role := rapid.SampledFrom([]string{"", "r0", "r1", "r2"}).Draw(t, "role"); role != "" {
			r.Allow = []Rule{{Role: role}}
		}
		r.Methods = rapid.SampledFrom([][]string{nil, nil, {"GET"}, {"POST", "PUT"}, {"HEAD", "POST", "PUT", "PATCH", "DELETE"}}).Draw(t, "methods")
		config.Routes = append(config.Routes, r)
		if table, _ := Compile(config); table == nil {
			config.Routes = config.Routes[:len(config.Routes)-1]
		}
	}
	if len(config.Routes) == 0 {
		t.Skip("no valid route drawn")
	}
	return config
}

func drawCaller(t *rapid.T) Caller {
	roles := rapid.SampledFrom([][]string{nil, {"r0"}, {"r1"}, {"r0", "r1"}, {"r0", "r1", "r2"}}).Draw(t, "roles")
	return Caller{Subject: Subject{Roles: roles}}
}

// checkAgainstReference draws a policy and a request and compares.
func checkAgainstReference(words []string, options []string) func(*rapid.T) {
	return func(t *rapid.T) {
		config := drawConfig(t, options)
		table, findings := Compile(config)
		if table == nil {
			t.Fatal(findings)
		}
		raw := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 5).Draw(t, "request"), "/")
		method := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "DELETE"}).Draw(t, "method")
		host := rapid.SampledFrom([]string{"a.b.example", "x.b.example", "y.x.b.example", "b.example", "example", "other"}).Draw(t, "host")
		caller := drawCaller(t)
		got, want := outcome(table, method, host, raw, caller), newReference(config).decide(method, host, raw, caller)
		if got = max(got, outMethod); got != max(want, outMethod) { // which refusal comes first is for other tests
			t.Fatalf("%s %s%s: the table says %d, the reference %d\n%s", method, host, raw, got, want, printRoutes(config))
		}
	}
}

func printRoutes(config Config) string {
	var b strings.Builder
	b.WriteString(config.Upstreams[0].Router + "\n")
	for _, r := range config.Routes {
		b.WriteString(strings.Join([]string{r.Host, r.Path, strings.Join(r.Methods, ","), r.Allow[0].Role, "\n"}, " "))
	}
	return b.String()
}

func plainWords() []string {
	return []string{"a", "b", "a", "b", "c", "A", "%61", "a.", "a%20", "...", "B%2E", "caf%C3%A9", "CAF%c3%a9", "CAF%C3%89", "%E2%84%AA", "%EF%BD%81", "%EF%BC%A2", "a::b", "a.:%3Ac", "a:b::c", "::", "", ""}
}

func doubtfulWords() []string {
	return append(plainWords(), "", ";", "a;b", "a%3bb", "a%2fb", "%2Fa", "a%23b", "a%3Fa", "%2561", "a%252fb", "%25", "%25%36%31", "a%252e", "%253b", "a%EF%BC%9Fb", "%EF%BC%85", "a%CD%BEb", "%EF%BC%83a")
}

func TestTheTreeAnswersAsTheReferenceDoes(t *testing.T) {
	rapid.Check(t, checkAgainstReference(plainWords(), nil))
}

func TestNoReadingOfWhatIsAllowedIsRefused(t *testing.T) {
	rapid.Check(t, checkAgainstReference(doubtfulWords(), optionNames()))
}

func FuzzMatch(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(checkAgainstReference(plainWords(), nil)))
}

func FuzzStrictest(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(checkAgainstReference(doubtfulWords(), optionNames())))
}
