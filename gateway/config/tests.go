package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/posternhq/postern/policy"
)

// LoadTests reads a file that holds tests of a policy and nothing else, as
// strictly as gateway.yaml is read. conf says which roles and fields a test
// may name. The tests are nil when any finding is an error.
func LoadTests(path string, data []byte, conf policy.Config) ([]policy.Test, []Finding) {
	var file struct {
		Tests []policy.Test `yaml:"tests"`
	}
	d := newDecoder(path)
	root := reflect.ValueOf(&file).Elem()
	if tree := d.parse(data); tree != nil {
		d.value(shapeOf(root.Type()), tree, root, "")
	}
	if len(d.findings) == 0 {
		if len(file.Tests) == 0 {
			d.find(policy.Pos{File: path}, "tests: there is none")
		}
		for _, f := range policy.CheckTests(file.Tests, conf) {
			d.findings = append(d.findings, ofPolicy(f))
		}
	}
	return outcome(file.Tests, d.findings)
}

// RunTests runs tests on a compiled policy. There is one finding for each that
// fails, at its place, and none when all pass.
func RunTests(table *policy.Table, tests []policy.Test) []Finding {
	var failed []Finding
	for _, r := range table.RunTests(tests) {
		if !r.Pass {
			failed = append(failed, at(r.Test.Pos, "test failed: %s as %s: expected %s, got %s (%s)", r.Test.Request, caller(r.Test.As), r.Test.Expect, r.Got, r.Why))
		}
	}
	return failed
}

// caller names who a test asks as.
func caller(c *policy.TestCaller) string {
	if c == nil {
		return "nobody"
	}
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	add("user", c.User)
	add("id", c.ID)
	add("email", c.Email)
	if c.Roles != nil {
		add("roles", fmt.Sprint(c.Roles))
	}
	for _, f := range c.Fields {
		add("field", f.Name+"="+f.Equals)
	}
	add("client", c.Client)
	if c.Age > 0 {
		add("age", c.Age.String())
	}
	if len(parts) == 0 {
		return "nobody"
	}
	return strings.Join(parts, ", ")
}
