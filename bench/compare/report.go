package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/template"
	"time"
)

// table is what an experiment found out.
type table struct {
	Name, Title, Text, Load string
	Head                    []string
	Rows                    []row
	plot                    bool
}

// row is a contender's line. ratio are its costs in relation to the first one's.
type row struct {
	cells []string
	ratio []float64
}

// compared says how contenders relate, and shows microseconds at the very end:
// they tell more of the machine than of the proxy. It makes the table of a load:
// the first contender is the measure, and HAProxy is another where it takes part.
func (f *field) compared(title string, all []*contender, samples [][]sample) table {
	t := table{Title: title, Head: []string{"", "verifies", "CPU of " + all[0].name}}
	haproxy := slices.IndexFunc(all, func(c *contender) bool { return c.name == "HAProxy" })
	if haproxy >= 0 {
		t.Head = append(t.Head, "CPU of HAProxy")
	}
	t.Head = append(t.Head, "requests/s of "+all[0].name, "p50 ms", "p99 ms", "CPU µs")
	if len(samples) < len(all) {
		return t // there was a fault
	}
	first := figures(samples[0], cost)
	for i, c := range all {
		costs := figures(samples[i], cost)
		r := row{cells: []string{c.name, c.auth}, ratio: ratios(costs, first)}
		r.cells = append(r.cells, spread(r.ratio))
		if haproxy >= 0 {
			r.cells = append(r.cells, spread(ratios(costs, figures(samples[haproxy], cost))))
		}
		faster := ratios(figures(samples[i], rate), figures(samples[0], rate))
		for _, figure := range []float64{median(faster), median(figures(samples[i], p50)), median(figures(samples[i], p99))} {
			r.cells = append(r.cells, fmt.Sprintf("%.2f", figure))
		}
		r.cells = append(r.cells, fmt.Sprintf("%.0f", median(costs)))
		t.Rows = append(t.Rows, r)
	}
	return t
}

// sorted has the cheapest first.
func (t table) sorted() table {
	slices.SortStableFunc(t.Rows, func(a, b row) int {
		switch d := median(a.ratio) - median(b.ratio); {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
		return 0
	})
	return t
}

// add appends a line of words and figures.
func (t *table) add(cells ...string) { t.Rows = append(t.Rows, row{cells: cells}) }

// markdown is the table as text.
func (t table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n", t.Title, fold(t.Text))
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	b.WriteString("\n")
	line(t.Head)
	line(slices.Repeat([]string{"---"}, len(t.Head)))
	for _, r := range t.Rows {
		line(r.cells)
	}
	fmt.Fprintf(&b, "\n%s\n", fold("Load of the machine (one minute, what is measured included): "+t.Load+"."))
	return b.String()
}

// fold breaks lines at 100 columns.
func fold(text string) string {
	var b strings.Builder
	width := 0
	for word := range strings.FieldsSeq(text) {
		switch n := len([]rune(word)); {
		case width == 0:
			width = n
		case width+1+n > 100:
			b.WriteByte('\n')
			width = n
		default:
			b.WriteByte(' ')
			width += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}

// report is README.md.
type report struct {
	Date, Machine, Versions string
	Tables                  []table
}

//go:embed report.md
var reportText string

// newReport says when and where.
func newReport() *report {
	return &report{Date: time.Now().UTC().Format("2006-01-02 15:04 MST"), Machine: machine(), Versions: versions()}
}

// write writes the report, and the plot of the first table that wants one.
func (r *report) write(dir string) error {
	t, err := template.New("report").Funcs(template.FuncMap{"fold": fold, "markdown": table.markdown}).Parse(reportText)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, r); err != nil {
		return err
	}
	for _, t := range r.Tables {
		if t.plot {
			if err := os.WriteFile(filepath.Join(dir, "requests.svg"), t.svg(), 0o644); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "README.md"), text.Bytes(), 0o644)
}

// machine is what it ran on, with all its cores: this process has one of them.
func machine() string {
	model, cores := "an unknown processor", 0
	text, _ := os.ReadFile("/proc/cpuinfo") // without it the report says that it does not know
	for line := range strings.Lines(string(text)) {
		switch key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) {
		case "processor":
			cores++
		case "model name":
			model = strings.TrimSpace(value)
		}
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores of %s, Linux %s, %s", cores, model, strings.TrimSpace(string(release)), runtime.Version())
}

// versions are those of the peers, as they say it themselves.
func versions() string {
	var all []string
	for _, args := range [][]string{{"haproxy", "-v"}, {"nginx", "-v"}, {"apache2", "-v"}, {"caddy", "version"}} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(out), "\n")
		first, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(first, "Server version: "), "nginx version: "), " 20")
		if args[0] == "caddy" {
			first = "Caddy " + first
		}
		all = append(all, strings.TrimSpace(first))
	}
	return strings.Join(all, ", ")
}

// mebibytes writes bytes for a table, in units of 2^20.
func mebibytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }
