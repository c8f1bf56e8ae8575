package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// named are the tests that a text names: `gateway.TestThis`.
var named = regexp.MustCompile("`([a-z0-9/]+\\.(?:Test|Fuzz)\\w+)`")

// TestSecurityPageNamesTestsThatExist reads SECURITY.md: each of the twenty
// rules has tests that hold it, and each test that it names is one.
func TestSecurityPageNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	page, tests := read(t, "SECURITY.md"), witnesses(t)
	for _, found := range named.FindAllStringSubmatch(page, -1) {
		if _, exists := tests[found[1]]; !exists {
			t.Errorf("SECURITY.md names %s, and there is no such test", found[1])
		}
	}
	held := map[int]int{}
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		if rule, err := strconv.Atoi(strings.TrimSpace(cells[1])); err == nil {
			held[rule] = len(named.FindAllString(cells[3], -1))
		}
	}
	for rule := 1; rule <= 20; rule++ {
		if held[rule] == 0 {
			t.Errorf("rule %d has no test in SECURITY.md", rule)
		}
	}
	for _, part := range []string{"## Reporting", "## Threat model", "## Out of scope", "## History of reviews"} {
		if !strings.Contains(page, "\n"+part+"\n") {
			t.Errorf("SECURITY.md has no part %q", part)
		}
	}
}

// TestEveryFuzzTargetIsListed: a parser without a line in SECURITY.md is one
// that nobody counted.
func TestEveryFuzzTargetIsListed(t *testing.T) {
	t.Parallel()
	page := read(t, "SECURITY.md")
	for name := range witnesses(t) {
		if strings.Contains(name, ".Fuzz") && !strings.Contains(page, "`"+name+"`") {
			t.Errorf("SECURITY.md does not list %s: say in its table of parsers what it reads", name)
		}
	}
}
