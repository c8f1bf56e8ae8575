package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// rules is a file of alert rules, as far as we use what Prometheus knows.
type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

var (
	shownLabel = regexp.MustCompile(`\$labels\.(\w+)`)
	legend     = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
	duration   = regexp.MustCompile(`^([0-9]+[smhd])*$`)
)

// readRules checks alert rules: each has a name of its own, a severity, and words
// for whoever is woken.
func (c *checker) readRules(text []byte) error {
	var file rules
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			c.what = r.Alert
			if r.Alert == "" || seen[r.Alert] {
				c.complain("the name is empty or taken")
			}
			seen[r.Alert] = true
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" || !duration.MatchString(r.For) {
				c.complain("it lacks a severity, a summary, a description, or a duration under for")
			}
			c.check(r.Expr, labelsShown(shownLabel, r.Annotations["summary"]+r.Annotations["description"]))
		}
	}
	if len(seen) == 0 {
		return fmt.Errorf("there is no rule")
	}
	return nil
}

// dashboard is what of Grafana's model holds expressions.
type dashboard struct {
	Title      string
	UID        string
	Panels     []panel
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

type panel struct {
	ID      int
	Type    string
	Title   string
	Panels  []panel
	Targets []struct{ Expr, LegendFormat string }
}

// readDashboard checks the expressions of a dashboard, with its variables
// replaced as Grafana would.
func (c *checker) readDashboard(text []byte) error {
	var file dashboard
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	if file.Title == "" || file.UID == "" || len(file.Panels) == 0 {
		return fmt.Errorf("it lacks a title, a uid or panels")
	}
	ids := map[int]bool{}
	var walk func(panels []panel)
	walk = func(panels []panel) {
		for _, p := range panels {
			c.what = p.Title
			if ids[p.ID] {
				c.complain("its id %d is another panel's too", p.ID)
			}
			ids[p.ID] = true
			if p.Type != "row" && len(p.Targets) == 0 {
				c.complain("it shows nothing")
			}
			for _, t := range p.Targets {
				c.check(withoutVariables(t.Expr), labelsShown(legend, t.LegendFormat))
			}
			walk(p.Panels)
		}
	}
	walk(file.Panels)
	for _, v := range file.Templating.List {
		c.what = "$" + v.Name
		if inner, ok := strings.CutPrefix(v.Definition, "label_values("); ok {
			metric, label, _ := strings.Cut(strings.TrimSuffix(inner, ")"), ",")
			c.check(withoutVariables(metric), []string{strings.TrimSpace(label)})
		}
	}
	return nil
}

// withoutVariables puts in what a dashboard's variables may stand for.
func withoutVariables(expr string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$job", ".+", "$instance", ".+").Replace(expr)
}

// labelsShown are the labels that a text shows values of.
func labelsShown(form *regexp.Regexp, text string) (names []string) {
	for _, m := range form.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}
