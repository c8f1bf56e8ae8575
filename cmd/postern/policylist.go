package main

import (
	"cmp"
	"fmt"
	"slices"
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

func policyListCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The routes in the order they are tried: the most specific first",
		Args:  cobra.NoArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		file, table, err := readPolicy(sys, cmd)
		if err != nil {
			return err
		}
		rows := routeRows(file.Policy().Routes, table.Routes())
		columns := []string{"METHODS", "HOST", "PATH", "UPSTREAM", "WHO", "LINE"}
		return printList(sys.stdout, *output, rows, columns, func(r routeRow) []string {
			return []string{orStar(strings.Join(r.Methods, ",")), orStar(r.Host), r.Path, r.Upstream, r.who(), fmt.Sprint(r.Line)}
		})
	}
	return cmd
}

// routeRows lists the routes in the order of their precedence. infos are the
// same routes, compiled.
func routeRows(routes []policy.Route, infos []policy.RouteInfo) []routeRow {
	rows := make([]routeRow, len(routes))
	for i, r := range routes {
		rows[i] = routeRow{
			Methods: nonNil(r.Methods), Host: strings.ToLower(r.Host), Path: r.Path, Upstream: infos[i].Upstream, Observe: infos[i].Observe,
			Allow: ruleTexts(r.Allow), Deny: ruleTexts(r.Deny), File: r.Pos.File, Line: r.Pos.Line,
		}
	}
	slices.SortStableFunc(rows, byPrecedence)
	return rows
}

// who is what the table says of the rules.
func (r routeRow) who() string {
	text := strings.Join(r.Allow, " | ")
	if len(r.Deny) > 0 {
		text = "never " + strings.Join(r.Deny, " | ") + "; else " + text
	}
	if r.Observe {
		text += " (observed only)"
	}
	return text
}

// byPrecedence orders as interface.md 4.1 says. What no path can tell apart is
// ordered by its letters, for the reader.
func byPrecedence(a, b routeRow) int {
	if c := byHost(a.Host, b.Host); c != 0 {
		return c
	}
	left, right := segmentRanks(a.Path), segmentRanks(b.Path)
	if c := slices.CompareFunc(left, right, func(x, y segmentRank) int {
		return cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(x.literal, y.literal))
	}); c != 0 {
		return c
	}
	return cmp.Compare(a.Line, b.Line)
}

// byHost puts exact hosts before wildcards, long wildcards before shorter
// ones, and routes of every host last.
func byHost(a, b string) int {
	return cmp.Or(cmp.Compare(hostRank(a), hostRank(b)), cmp.Compare(strings.Count(b, "."), strings.Count(a, ".")), cmp.Compare(a, b))
}

func hostRank(host string) int {
	switch {
	case host == "":
		return 2
	case strings.HasPrefix(host, "*."):
		return 1
	}
	return 0
}

// segmentRank is what decides at one place of a path: literal before {name} or
// *, before the end, before **.
type segmentRank struct {
	rank    int
	literal string
}

func segmentRanks(path string) []segmentRank {
	var ranks []segmentRank
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		switch {
		case segment == "**":
			return append(ranks, segmentRank{rank: 4})
		case segment == "*" || strings.HasPrefix(segment, "{"):
			ranks = append(ranks, segmentRank{rank: 1})
		case segment == "": // the slash at the end, one longer than the end without
			return append(ranks, segmentRank{rank: 2})
		default:
			ranks = append(ranks, segmentRank{literal: segment})
		}
	}
	return append(ranks, segmentRank{rank: 3})
}

// ruleTexts writes rules as they stand in a file.
func ruleTexts(rules []policy.Rule) []string {
	texts := make([]string, len(rules))
	for i := range rules {
		texts[i] = ruleText(&rules[i])
	}
	return texts
}

func ruleText(r *policy.Rule) string {
	switch {
	case r.Anyone:
		return "anyone"
	case r.Authenticated:
		return "authenticated"
	}
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+": "+value)
		}
	}
	add("role", r.Role)
	add("any_role", listText(r.AnyRole))
	add("all_roles", listText(r.AllRoles))
	add("user", r.User)
	add("any_user", listText(r.AnyUser))
	if r.Self != nil {
		add("self", selfText(r.Self))
	}
	if r.Field != nil {
		add("field", fmt.Sprintf("%s is %s", r.Field.Name, r.Field.Equals))
	}
	add("methods", listText(r.Methods))
	add("cidr", listText(r.CIDR))
	add("max_age", r.MaxAge)
	return strings.Join(parts, ", ")
}

func listText(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// selfText is the short form where that says all.
func selfText(s *policy.SelfRule) string {
	if s.Is == "" || s.Is == "id" {
		return s.Name
	}
	return fmt.Sprintf("%s is %s", s.Name, s.Is)
}

func orStar(text string) string {
	if text == "" {
		return "*"
	}
	return text
}

// nonNil is for JSON, where an empty list is [] and never null.
func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
