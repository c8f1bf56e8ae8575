package main

import (
	"fmt"
	"io"
	"slices"
)

// print writes the table, for a README.
func (p *plan) print(out io.Writer, programs []program, found []results) {
	line := func(what string, cell func(*results) string) {
		fmt.Fprintf(out, "| %s |", what)
		for i := range found {
			fmt.Fprintf(out, " %s |", cell(&found[i]))
		}
		fmt.Fprintln(out)
	}
	fmt.Fprint(out, "| resident memory |")
	for _, program := range programs {
		fmt.Fprintf(out, " %s |", program.name())
	}
	fmt.Fprintln(out)
	fmt.Fprintln(out, "| --- | --- | --- |")
	line("at rest, after one request", func(r *results) string { return mebibytes(r.rest) })
	line(fmt.Sprintf("%d idle keep-alive connections", p.idle), func(r *results) string { return mebibytes(r.idle) })
	line("each of these", func(r *results) string { return fmt.Sprintf("%.1f KiB", float64(median(r.each))/(1<<10)) })
	what := fmt.Sprintf("%d %%s of %g MiB at once, at most", p.transfers, float64(p.size)/(1<<20))
	line(fmt.Sprintf(what, "downloads"), func(r *results) string { return mebibytes(r.down) })
	line(fmt.Sprintf(what, "uploads"), func(r *results) string { return mebibytes(r.up) })
}

// mebibytes is a figure with how far apart its measurements were.
func mebibytes(n []int64) string {
	const mib = 1 << 20
	return fmt.Sprintf("%.1f MiB (%.1f to %.1f)", float64(median(n))/mib, float64(slices.Min(n))/mib, float64(slices.Max(n))/mib)
}

// median is the middle of an odd number of figures, and the higher of the two
// in the middle of an even one.
func median(n []int64) int64 {
	sorted := slices.Sorted(slices.Values(n))
	return sorted[len(sorted)/2]
}
