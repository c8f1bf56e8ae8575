package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/policy"
)

// routeRow is a route as `policy list` prints it.
type routeRow struct {
	Methods  []string `json:"methods"` // empty: all
	Host     string   `json:"host"`    // empty: every host
	Path     string   `json:"path"`
	Upstream string   `json:"upstream"`
	Allow    []string `json:"allow"`
	Deny     []string `json:"deny"`
	Observe  bool     `json:"observe"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
}

// policyListCommand lists routes as they are tried, which need not be as they are
// written: the most specific one owns a path wherever it stands.
func policyListCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The routes in the order they are tried: the most specific first",
		Args:  noArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		file, table, err := readPolicy(sys, cmd)
		if err != nil {
			return err
		}
		rows := routeRows(file.Policy().Routes, table)
		columns := []string{"METHODS", "HOST", "PATH", "UPSTREAM", "WHO", "LINE"}
		return printList(sys.stdout, *output, rows, columns, func(r routeRow) []string {
			return []string{orStar(strings.Join(r.Methods, ",")), orStar(r.Host), r.Path, r.Upstream, r.who(), fmt.Sprint(r.Line)}
		})
	}
	return cmd
}

// routeRows lists the routes that the table was compiled from.
func routeRows(routes []policy.Route, table *policy.Table) []routeRow {
	rows, infos := make([]routeRow, 0, len(routes)), table.Routes()
	for _, i := range table.Order() {
		r := &routes[i]
		rows = append(rows, routeRow{
			Methods: nonNil(r.Methods), Host: strings.ToLower(r.Host), Path: r.Path, Upstream: infos[i].Upstream, Observe: infos[i].Observe,
			Allow: ruleTexts(r.Allow), Deny: ruleTexts(r.Deny), File: r.Pos.File, Line: r.Pos.Line,
		})
	}
	return rows
}

// who is what the table says of the rules.
func (r routeRow) who() string {
	text := strings.Join(r.Allow, " | ")
	if len(r.Deny) > 0 {
		text = "never " + strings.Join(r.Deny, " | ") + "; else " + text
	}
	if r.Observe {
		text += " (only observed)"
	}
	return text
}

// ruleTexts are a route's rules as people read them, in the order they are tried.
func ruleTexts(rules []policy.Rule) []string {
	texts := make([]string, len(rules))
	for i := range rules {
		texts[i] = rules[i].String()
	}
	return texts
}

// orStar shows what stands for all.
func orStar(text string) string {
	if text == "" {
		return "*"
	}
	return text
}
