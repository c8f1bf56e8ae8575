// Promcheck holds alert rules and dashboards against the metrics that a program
// really has. It reads a scrape on standard input, in Prometheus' text format,
// and the files that it is given:
//
//	curl -s localhost:9901/metrics | go run ./promcheck ../deploy/alerts.yaml ../deploy/grafana-dashboard.json
//
// Every expression is parsed by Prometheus' own parser. Every metric that it
// names must be in the scrape, with every label that it matches, groups or
// shows by, and with a value that it matches. It exits 1 when something is not.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// main exits 1 when there are complaints, and 2 when it could not look.
func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: promcheck FILE... < metrics")
		os.Exit(2)
	}
	complaints, err := run(os.Stdin, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "promcheck:", err)
		os.Exit(2)
	}
	for _, c := range complaints {
		fmt.Println(c)
	}
	if len(complaints) > 0 {
		os.Exit(1)
	}
}

// run checks files against a scrape and lists what is wrong.
func run(metrics io.Reader, files []string) (complaints []string, err error) {
	text, err := io.ReadAll(metrics)
	if err != nil {
		return nil, err
	}
	c := checker{parse: parser.NewParser(parser.Options{})}
	if c.known, err = readScrape(string(text)); err != nil {
		return nil, err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		c.where = name
		read := c.readRules
		if strings.HasSuffix(name, ".json") {
			read = c.readDashboard
		}
		if err := read(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return c.complaints, nil
}

// scrape is what a program tells: by metric, then by label, the values seen.
type scrape map[string]map[string]map[string]bool

// readScrape reads the text format. Prometheus adds the labels job and instance
// to everything, and up for each target.
func readScrape(text string) (scrape, error) {
	known := scrape{"up": {}}
	parse := parser.NewParser(parser.Options{})
	for line := range strings.Lines(text) {
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		series, err := parse.ParseMetric(line[:at])
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, line)
		}
		labels := known[series.Get("__name__")]
		if labels == nil {
			labels = map[string]map[string]bool{}
			known[series.Get("__name__")] = labels
		}
		for name, value := range series.Map() {
			if labels[name] == nil {
				labels[name] = map[string]bool{}
			}
			labels[name][value] = true
		}
	}
	if len(known) == 1 {
		return nil, fmt.Errorf("there is no metric on standard input")
	}
	return known, nil
}
