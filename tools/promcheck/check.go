package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// checker holds expressions against a scrape.
type checker struct {
	parse       parser.Parser
	known       scrape
	where, what string // the file, and what in it is being looked at
	complaints  []string
}

// complain notes a fault and goes on, so that one run shows them all.
func (c *checker) complain(format string, args ...any) {
	c.complaints = append(c.complaints, fmt.Sprintf("%s: %s: %s", c.where, c.what, fmt.Sprintf(format, args...)))
}

// check parses an expression, and looks for all that it names. Its result must
// have the labels that are shown.
func (c *checker) check(expr string, shown []string) {
	e, err := c.parse.ParseExpr(expr)
	if err != nil {
		c.complain("%v: %s", err, expr)
		return
	}
	result := c.labelsOf(e)
	for _, name := range shown {
		if !result[name] {
			c.complain("it shows the label %s, and the result has only %v: %s", name, slices.Sorted(maps.Keys(result)), expr)
		}
	}
}

// set is a set of label names.
type set map[string]bool

// setOf makes a set that its caller may change.
func setOf(names ...string) set {
	s := set{}
	for _, n := range names {
		s[n] = true
	}
	return s
}

// labelsOf are the labels that the result of an expression may have.
func (c *checker) labelsOf(node parser.Expr) set {
	switch e := node.(type) {
	case *parser.VectorSelector:
		return c.selector(e)
	case *parser.MatrixSelector:
		return c.labelsOf(e.VectorSelector)
	case *parser.SubqueryExpr:
		return c.labelsOf(e.Expr)
	case *parser.ParenExpr:
		return c.labelsOf(e.Expr)
	case *parser.UnaryExpr:
		return c.labelsOf(e.Expr)
	case *parser.StepInvariantExpr:
		return c.labelsOf(e.Expr)
	case *parser.AggregateExpr:
		return c.aggregate(e)
	case *parser.BinaryExpr:
		return c.binary(e)
	case *parser.Call:
		return c.call(e)
	}
	return set{} // a number, a text
}

// selector looks a metric up, its labels, and whether any value matches.
func (c *checker) selector(e *parser.VectorSelector) set {
	have, known := c.known[e.Name]
	if !known {
		c.complain("there is no metric %s", e.Name)
		return set{}
	}
	result := setOf("job", "instance")
	for name := range have {
		if name != model.MetricNameLabel {
			result[name] = true
		}
	}
	for _, m := range e.LabelMatchers {
		switch {
		case m.Name == model.MetricNameLabel || m.Name == "job" || m.Name == "instance":
		case have[m.Name] == nil:
			c.complain("%s has no label %s", e.Name, m.Name)
		case !anyMatches(m, have[m.Name]):
			c.complain("no %s has a label that matches %s", e.Name, m)
		}
	}
	return result
}

// anyMatches tells whether a matcher would find anything. One that finds nothing
// is a graph that stays empty, or an alert that never comes.
func anyMatches(m *labels.Matcher, values map[string]bool) bool {
	for v := range values {
		if m.Matches(v) {
			return true
		}
	}
	return false
}

// aggregate groups by labels that there must be.
func (c *checker) aggregate(e *parser.AggregateExpr) set {
	inner := c.labelsOf(e.Expr)
	for _, name := range e.Grouping {
		if !inner[name] {
			c.complain("it groups by %s, which %s has not", name, e.Expr)
		}
		if e.Without {
			delete(inner, name)
		}
	}
	if e.Without || e.Op == parser.TOPK || e.Op == parser.BOTTOMK {
		return inner
	}
	return setOf(e.Grouping...)
}

// binary is what is left of two sides. Where labels would pair nothing, the
// expression would never answer.
func (c *checker) binary(e *parser.BinaryExpr) set {
	left, right := c.labelsOf(e.LHS), c.labelsOf(e.RHS)
	switch {
	case e.LHS.Type() == parser.ValueTypeScalar:
		return right
	case e.RHS.Type() == parser.ValueTypeScalar || e.VectorMatching == nil:
		return left
	}
	match := e.VectorMatching
	for _, name := range match.MatchingLabels {
		if !left[name] || match.On && !right[name] {
			c.complain("both sides are matched by %s, which one of them has not: %s", name, e)
		}
	}
	if !match.On && match.Card == parser.CardOneToOne {
		c.paired(e, left, right)
	}
	if match.On && match.Card == parser.CardOneToOne && !e.Op.IsComparisonOperator() {
		return setOf(match.MatchingLabels...)
	}
	for _, name := range match.Include {
		left[name] = true
	}
	return left
}

// paired complains of a label that only the left side has: then nothing matches.
func (c *checker) paired(e *parser.BinaryExpr, left, right set) {
	for name := range left {
		if !right[name] && !slices.Contains(e.VectorMatching.MatchingLabels, name) {
			c.complain("the left side has the label %s and the right side has not, so that nothing matches: %s", name, e)
		}
	}
}

// call keeps the labels of what it is about, but for those that it uses up.
func (c *checker) call(e *parser.Call) set {
	result := set{}
	for _, arg := range e.Args {
		if t := arg.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			result = c.labelsOf(arg)
		}
	}
	switch e.Func.Name {
	case "histogram_quantile":
		if !result["le"] {
			c.complain("there is no le to take a quantile of: %s", e)
		}
		delete(result, "le")
	case "absent", "absent_over_time", "scalar", "vector", "time":
		return setOf("job") // by its matchers; only the job is used so
	}
	return result
}
