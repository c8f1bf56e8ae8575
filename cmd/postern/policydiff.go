package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/policy"
)

// changeRow is a difference as `policy diff` prints it.
type changeRow struct {
	Change string `json:"change"` // opens | closes
	Method string `json:"method"`
	Host   string `json:"host"` // empty: any that has no routes of its own
	Path   string `json:"path"`
	Who    string `json:"who"`
	From   string `json:"from"`
	To     string `json:"to"`
}

// policyDiffCommand fails when something opens, and not when something closes:
// the first may be an accident that nobody complains about.
func policyDiffCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "What the second gateway.yaml opens and closes, compared with the first",
		Long: `Compares the policies of two files: which method and path lets in whom the other
one did not. It asks both about every path, method and kind of caller that they
can tell apart; the wording and the order of routes make no difference.

The exit status is 1 when something opens, so that a pipeline can demand a
second look:

  git show HEAD:gateway.yaml > old.yaml && postern policy diff old.yaml gateway.yaml`,
		Args: argCount(2, 2),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		_, old, err := readPolicyFile(sys, args[0])
		if err != nil {
			return err
		}
		_, next, err := readPolicyFile(sys, args[1])
		if err != nil {
			return err
		}
		rows, opens := changeRows(policy.Diff(old, next))
		if err := printChanges(sys, *output, rows, opens); err != nil {
			return err
		}
		if opens > 0 {
			return errShown
		}
		return nil
	}
	return cmd
}

// changeRows also counts what opens.
func changeRows(changes []policy.Change) (rows []changeRow, opens int) {
	for _, c := range changes {
		row := changeRow{"closes", c.Method, c.Host, c.Path, c.Who, c.From, c.To}
		if c.Opens {
			row.Change = "opens"
			opens++
		}
		rows = append(rows, row)
	}
	return rows, opens
}

// printChanges prints the rows on standard output and their sum on standard
// error, where it is in the way of no program that reads the rows.
func printChanges(sys *system, form outputForm, rows []changeRow, opens int) error {
	if len(rows) > 0 || form == "json" {
		columns := []string{"CHANGE", "METHOD", "HOST", "PATH", "WHO", "FROM", "TO"}
		if err := printList(sys.stdout, form, rows, columns, func(r changeRow) []string {
			return []string{r.Change, r.Method, orStar(r.Host), r.Path, r.Who, r.From, r.To}
		}); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(sys.stderr, "%d open, %d close\n", opens, len(rows)-opens)
	return err
}
