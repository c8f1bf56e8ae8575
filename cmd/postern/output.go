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
// rows, never null.
func printList[T any](w io.Writer, form outputForm, rows []T, columns []string, cells func(T) []string) error {
	if form == "json" {
		if rows == nil {
			rows = []T{}
		}
		return writeJSON(w, rows)
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
