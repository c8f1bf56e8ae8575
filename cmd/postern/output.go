package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// outputForm is how a listing is printed: table or json.
type outputForm string

func (o *outputForm) String() string { return string(*o) }

// Type names the values in the help text.
func (o *outputForm) Type() string { return "table|json" }

// Set takes the flag's value; anything else than the two is wrong usage.
func (o *outputForm) Set(value string) error {
	if value != "table" && value != "json" {
		return errors.New("must be table or json")
	}
	*o = outputForm(value)
	return nil
}

// outputFlag adds --output to a listing.
func outputFlag(cmd *cobra.Command) *outputForm {
	form := outputForm("table")
	cmd.Flags().VarP(&form, "output", "o", "how to print")
	return &form
}

// printList writes a listing: a table with the columns, or a JSON array of the
// rows.
func printList[T any](w io.Writer, form outputForm, rows []T, columns []string, cells func(T) []string) error {
	if form == "json" {
		return writeJSON(w, nonNil(rows))
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join(columns, "\t"))
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(cells(row), "\t"))
	}
	return table.Flush()
}

// writeJSON writes JSON for people too: indented, and < as it is.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// nonNil is for JSON, where an empty list is [] and never null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
