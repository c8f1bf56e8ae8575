package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// profile is how the application behind reads a path: the values of `router:`.
type profile uint8

const (
	profileAny profile = iota
	profileExact
	profileDjango
	profileTomcat
	profileSpring
	profileExpress
	profileIIS
	profileCount
)

// profileOf returns the profile of that name; any is the default.
func profileOf(name string) (p profile, ok bool) {
	if name == "" {
		return profileAny, true
	}
	for p, known := range routerNames() {
		if known == name {
			return profile(p), true
		}
	}
	return profileAny, false
}

// routerNames lists the profiles in the order of their constants.
func routerNames() []string {
	return []string{"any", "exact", "django", "tomcat", "spring", "express", "iis"}
}

// form is one way to read a path and the patterns: the text is changed, then
// segments are compared under a folding, and the final slash matters or not.
type form struct {
	change change
	fold   fold
	loose  bool
}

// profileForms says how each profile reads. The first form of a profile is the
// one that chooses the route.
//
//	exact    segments decoded, and compared as they are
//	django   the same, and then with the final slash the other way: its router
//	         heeds it, django.views.static.serve behind <path:path> does not
//	tomcat   parameters cut
//	spring   parameters cut, a final slash does not matter (before Spring 6)
//	express  ASCII case and a final slash do not matter; literals compared
//	         decoded, and undecoded as well (path-to-regexp sees the raw path)
//	iis      case, a final slash, and dots and spaces behind a name do not matter
//	any      all of these; cutting parameters is a doubt's reading already
func profileForms(p profile) []form {
	exact := form{}
	loose := form{loose: true}
	express := form{fold: foldLower, loose: true}
	undecoded := form{fold: foldUndecoded, loose: true}
	iis := form{change: changeTrim, fold: foldWindows, loose: true}
	switch p {
	case profileAny:
		return []form{exact, loose, express, undecoded, iis}
	case profileDjango:
		return []form{exact, loose}
	case profileTomcat:
		return []form{{change: changeCut}}
	case profileSpring:
		return []form{{change: changeCut, loose: true}}
	case profileExpress:
		return []form{express, undecoded}
	case profileIIS:
		return []form{iis}
	}
	return []form{exact}
}

// opener is a form that chooses the route, for the profiles that open with it.
type opener struct {
	form     form
	profiles [profileCount]bool
}

// addOpener notes that a profile is in use.
func addOpener(list []opener, p profile) []opener {
	first := profileForms(p)[0]
	for i := range list {
		if list[i].form == first {
			list[i].profiles[p] = true
			return list
		}
	}
	o := opener{form: first}
	o.profiles[p] = true
	return append(list, o)
}

// reduce replaces a form by the cheapest one that reads this path alike in
// this table. An ordinary path in an ordinary table (neither has capitals,
// escapes, or names that end in a dot) is read once, whatever the profile.
func (t *Table) reduce(f form, p Path) form {
	if f.change == changeCut && p.doubts&doubtSemicolon == 0 || f.change == changeTrim && p.traits&traitTrim == 0 {
		f.change = changeNone
	}
	if p.traits&traitEscape == 0 && t.fixed[f.fold] && t.fixed[foldLower] && f.fold != foldExact {
		f.fold = foldLower
		if p.traits&traitUpper == 0 {
			f.fold = foldExact
		}
	}
	if f.loose && f.change == changeNone && !t.slashes && p.raw[len(p.raw)-1] != '/' {
		f.loose = false
	}
	return f
}

// single reports whether every form reads the path alike in this table.
func (t *Table) single(p Path) bool {
	return t.ordinary && p.traits|trait(p.doubts) == 0 && p.raw[len(p.raw)-1] != '/'
}

// hasForm reports whether the form is in the list.
func hasForm(list []form, f form) bool {
	for _, known := range list {
		if known == f {
			return true
		}
	}
	return false
}

// look searches the table under a form that was reduced.
func (t *Table) look(s *site, p Path, f *found) bool {
	f.text = f.form.change.apply(p.raw)
	f.plain = f.form.fold == foldExact && p.traits&traitEscape == 0
	return f.find(s)
}

// readings returns every path that a program may make of this one where it
// takes a doubtful character for more than a character: the closure of the
// path under the steps below, itself first. It fails when one of them is no
// path, or has a doubt that the route does not admit: a second decoding that
// uncovers a dot segment, parameters whose cutting leaves an empty segment.
//
// It is a closure and not a list of combinations so that the order in which a
// program takes the steps does not matter.
func readings(p Path, admitted doubt) (all []Path, ok bool) {
	if len(p.raw) > doubtfulMax {
		return nil, false
	}
	all = []Path{p}
	for i := 0; i < len(all); i++ {
		if all[i].doubts&^admitted != 0 {
			return nil, false
		}
		for _, step := range stepsOf(all[i].doubts) {
			next, err := ParsePath(step(all[i].raw))
			if err != nil {
				return nil, false
			}
			if !hasPath(all, next) {
				all = append(all, next)
			}
		}
		if len(all) > readingsMax {
			return nil, false
		}
	}
	return all, true
}

// readingsMax bounds the work for one path. Honest paths have three or four
// readings; %252525... has one more with every 25.
const readingsMax = 64

// doubtfulMax is how long a path with a doubt may be, in bytes: it is read
// up to readingsMax times.
const doubtfulMax = 2048

// hasPath reports whether the path is in the list.
func hasPath(list []Path, p Path) bool {
	for i := range list {
		if list[i].raw == p.raw {
			return true
		}
	}
	return false
}

// stepsOf returns what programs do with the doubtful characters of a path.
func stepsOf(d doubt) []func(string) string {
	var steps []func(string) string
	add := func(of doubt, these ...func(string) string) {
		if d&of != 0 {
			steps = append(steps, these...)
		}
	}
	add(doubtSlash, decodeSlash)
	add(doubtPercent, decodeAgain)
	add(doubtHash, cutFrom('#'))
	add(doubtQuestion, cutFrom('?'))
	add(doubtSemicolon, cutParameters, cutAllParameters, cutFrom(';'))
	add(doubtEmpty, mergeSlashes, cutAuthority)
	add(doubtPercent|doubtHash|doubtQuestion|doubtSemicolon, narrowAll)
	return steps
}

// narrowAll takes characters for what NFKC makes of them: a fullwidth question
// mark for a plain one.
func narrowAll(text string) string {
	var b strings.Builder
	for at := 0; at < len(text); {
		char, size := encodedRune(text[at:])
		if c := narrow(char); c != 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteString(text[at : at+size])
		}
		at += size
	}
	return b.String()
}

// encodedRune returns the character that the text begins with, decoded, and the
// length of its spelling.
func encodedRune(text string) (r rune, size int) {
	var buffer [utf8.UTFMax]byte
	n, ends := 0, [utf8.UTFMax]int{}
	for n < len(buffer) && size < len(text) {
		b, length := unit(text, size)
		size += length
		buffer[n], ends[n] = b, size
		n++
	}
	r, n = utf8.DecodeRune(buffer[:n])
	return r, ends[n-1]
}

// decodeSlash takes encoded slashes for separators.
func decodeSlash(text string) string {
	return strings.NewReplacer("%2f", "/", "%2F", "/").Replace(text)
}

// decodeAgain resolves the outer layer of a double encoding: %2541 becomes
// %41, however its digits are spelled (%25%34%31). A percent sign with no
// digits behind it stays what it is.
func decodeAgain(text string) string {
	out := make([]byte, 0, len(text))
	for at := 0; at < len(text); {
		high, low, size := doubled(text, at)
		if size > 0 {
			out = append(out, '%', high, low)
			at += size
			continue
		}
		out = append(out, text[at])
		at++
	}
	return string(out)
}

// doubled returns the two digits that follow an encoded percent sign, and how
// long the three are; size 0: none do.
func doubled(text string, at int) (high, low byte, size int) {
	if !strings.HasPrefix(text[at:], "%25") || at+3 >= len(text) {
		return 0, 0, 0
	}
	high, n := unit(text, at+3)
	if at+3+n >= len(text) {
		return 0, 0, 0
	}
	low, m := unit(text, at+3+n)
	if unhex(high) > 15 || unhex(low) > 15 {
		return 0, 0, 0
	}
	return high, low, 3 + n + m
}

// cutFrom ends the path where the character first stands, raw or encoded.
func cutFrom(c byte) func(string) string {
	return func(text string) string {
		for at := 0; at < len(text); {
			b, size := unit(text, at)
			if b == c {
				return text[:at]
			}
			at += size
		}
		return text
	}
}

// cutParameters drops what follows a raw semicolon in each segment, as servlet
// containers do before they decode.
func cutParameters(text string) string {
	return eachSegment(text, func(segment string) string {
		name, _, _ := strings.Cut(segment, ";")
		return name
	})
}

// cutAllParameters does so after decoding: encoded semicolons count.
func cutAllParameters(text string) string { return eachSegment(text, cutFrom(';')) }

// mergeSlashes makes one slash of several.
func mergeSlashes(text string) string {
	for strings.Contains(text, "//") {
		text = strings.ReplaceAll(text, "//", "/")
	}
	return text
}

// cutAuthority reads //name/path as a URL without a scheme: the name is a host.
func cutAuthority(text string) string {
	if !strings.HasPrefix(text, "//") {
		return text
	}
	if rest := text[segmentEnd(text, 1):]; rest != "" {
		return rest
	}
	return "/"
}

// eachSegment changes every segment of a path.
func eachSegment(text string, change func(string) string) string {
	segments := strings.Split(text, "/")
	for i, s := range segments {
		segments[i] = change(s)
	}
	return strings.Join(segments, "/")
}
