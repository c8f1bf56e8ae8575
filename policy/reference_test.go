package policy

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// reference is a policy decided the slow way, written from interface.md 4.1 to
// 4.3 and apart from the table: every route is tried, ranked and compared.
type reference struct {
	config   Config
	patterns []pattern
}

func newReference(config Config) *reference {
	ref := &reference{config: config}
	for _, r := range config.Routes {
		p, err := parsePattern(r.Path)
		if err != nil {
			panic(err)
		}
		ref.patterns = append(ref.patterns, p)
	}
	return ref
}

// view is how one router reads: what it makes of a request's segment, of a
// literal, and whether it heeds the final slash.
type view struct {
	segment func(raw string) string
	literal func(decoded string) string
	loose   bool
	windows bool
}

func views(router string) []view {
	same := func(s string) string { return s }
	exact := view{segment: decode, literal: same}
	loose := view{segment: decode, literal: same, loose: true}
	lowered := view{segment: func(s string) string { return javaLower(decode(s)) }, literal: javaLower, loose: true}
	raw := view{segment: asciiLower, literal: func(s string) string { return asciiLower(escape(s)) }, loose: true}
	windows := view{segment: func(s string) string { return windowsName(decode(s)) }, literal: windowsName, loose: true, windows: true}
	cut := view{segment: func(s string) string { s, _, _ = strings.Cut(s, ";"); return decode(s) }, literal: same}
	cutLoose := cut
	cutLoose.loose = true
	switch router {
	case "", "any":
		return []view{exact, loose, lowered, raw, windows}
	case "django":
		return []view{exact, loose}
	case "tomcat":
		return []view{cut}
	case "spring":
		return []view{cutLoose}
	case "express":
		return []view{lowered, raw}
	case "iis":
		return []view{windows}
	}
	return []view{exact}
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 32
		}
		return r
	}, s)
}

// javaLower folds ASCII and what else becomes ASCII when its case is changed.
func javaLower(s string) string {
	return strings.Map(func(r rune) rune {
		for ascii := 'a'; ascii <= 'z'; ascii++ {
			if r == ascii || unicode.ToLower(r) == ascii || unicode.ToLower(unicode.ToUpper(r)) == ascii {
				return ascii
			}
		}
		return r
	}, s)
}

func windowsName(s string) string {
	s = strings.Map(func(r rune) rune {
		if plain := []rune(norm.NFKC.String(string(r))); 0xff00 < r && r < 0xff5f && len(plain) == 1 {
			return plain[0]
		}
		return r
	}, strings.TrimRight(stream.ReplaceAllString(s, ""), ". "))
	return strings.Map(func(r rune) rune {
		if up := unicode.ToUpper(r); r >= 0x80 && up >= 0x80 {
			return up
		}
		return r
	}, javaLower(s))
}

// split returns the segments that a view sees, and whether a slash follows.
func (v view) split(text string) (segments []string, slash bool) {
	parts := strings.Split(text[1:], "/")
	last := parts[len(parts)-1]
	if slash = last == ""; slash {
		parts = parts[:len(parts)-1]
	}
	for _, p := range parts {
		s := v.segment(p)
		if v.windows && s == "" && p != "" {
			continue
		}
		segments = append(segments, s)
	}
	if n := len(segments); v.windows && !slash && n > 0 && segments[n-1] == "" { // /a//... is /a/
		segments, slash = segments[:n-1], true
	}
	if len(segments) == 0 {
		slash = true
	}
	return segments, slash
}

// rank is the precedence of a pattern that matches: a letter for each segment
// and the end; the smallest wins. Empty: it does not match.
func (v view) rank(p pattern, segments []string, slash bool) string {
	var rank strings.Builder
	at := 0
	for _, s := range p.segments {
		literal := ""
		if s.literal != "" {
			if literal = v.literal(s.literal); literal == "" {
				continue // a name that Windows takes for nothing
			}
		}
		switch {
		case at == len(segments):
			return ""
		case literal != "" && literal == segments[at]:
			rank.WriteByte('a')
		case s.literal == "" && segments[at] != "":
			rank.WriteByte('b')
		default:
			return ""
		}
		at++
	}
	switch {
	case p.tail == tailRest:
		return rank.String() + "d"
	case at != len(segments) || !v.loose && slash != (p.tail == tailSlash):
		return ""
	}
	return rank.String() + "c"
}

// hostRank orders hosts: exact, longer wildcard, shorter, none.
func hostRank(pattern, host string) (rank int, ok bool) {
	pattern = strings.ToLower(pattern)
	switch {
	case pattern == "":
		return 0, true
	case pattern == host:
		return 1 << 20, true
	case strings.HasPrefix(pattern, "*.") && strings.HasSuffix(host, pattern[1:]) && host != pattern[1:]:
		return len(pattern), true
	}
	return 0, false
}

// reached returns the routes that a view leads to: those of the best rank at
// the most specific host that has any.
func (ref *reference) reached(v view, host, text string) []int {
	segments, slash := v.split(text)
	bestHost, best := -1, ""
	var found []int
	for i, r := range ref.config.Routes {
		h, ok := hostRank(r.Host, host)
		rank := v.rank(ref.patterns[i], segments, slash)
		if !ok || rank == "" {
			continue
		}
		if h > bestHost || h == bestHost && rank < best {
			bestHost, best, found = h, rank, nil
		}
		if h == bestHost && rank == best {
			found = append(found, i)
		}
	}
	return found
}

// groups splits routes by their path: methods choose within one path only.
func (ref *reference) groups(routes []int) [][]int {
	var groups [][]int
	for _, r := range routes {
		i := slices.IndexFunc(groups, func(g []int) bool { return ref.patterns[g[0]].shape() == ref.patterns[r].shape() })
		if i < 0 {
			groups = append(groups, []int{r})
		} else {
			groups[i] = append(groups[i], r)
		}
	}
	return groups
}

// byMethod returns the route of a group for a method, or -1.
func (ref *reference) byMethod(group []int, method string) int {
	for _, m := range []string{method, map[string]string{"HEAD": "GET"}[method]} {
		for _, i := range group {
			if m != "" && (len(ref.config.Routes[i].Methods) == 0 || slices.Contains(ref.config.Routes[i].Methods, m)) {
				return i
			}
		}
	}
	return -1
}

// router returns the profile of a route and whether it heeds _method.
func (ref *reference) router(route int) Upstream {
	for _, u := range ref.config.Upstreams {
		if u.Name == ref.config.Routes[route].Upstream || len(ref.config.Upstreams) == 1 {
			return u
		}
	}
	return Upstream{}
}
