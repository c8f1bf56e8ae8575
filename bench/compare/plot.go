package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// The plot's measures, in its own units.
const (
	plotLabel  = 210 // left of the bars
	plotWidth  = 760
	plotLine   = 26
	plotMargin = 44 // above and below
)

// svg draws a bar for the cost of each row, with a whisker from quartile to
// quartile, and a line at the cost of what is compared with.
func (t table) svg() []byte {
	most := 1.0
	for _, r := range t.Rows {
		most = max(most, quantile(r.ratio, .75))
	}
	scale := (plotWidth - plotLabel - 60) / most
	at := func(ratio float64) float64 { return plotLabel + ratio*scale }
	height := len(t.Rows)*plotLine + 2*plotMargin
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<text x="8" y="24" font-size="15">CPU time per request (bare = 1; median and quartiles)</text>`+"\n")
	for i, r := range t.Rows {
		y := float64(plotMargin + i*plotLine)
		colour := "#9aa5b1"
		if strings.HasPrefix(r.cells[0], "Postern") {
			colour = "#2b6cb0"
		}
		middle := y + plotLine/2 - 2
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLabel-8, middle+5, escaped(r.cells[0]))
		fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", plotLabel, y, median(r.ratio)*scale, plotLine-6, colour)
		fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1f" stroke="#1a202c"/>`+"\n", at(quantile(r.ratio, .25)), middle, at(quantile(r.ratio, .75)))
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f">%.2f</text>`+"\n", at(quantile(r.ratio, .75))+6, middle+5, median(r.ratio))
	}
	fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#c53030" stroke-dasharray="4 3"/>`+"\n", math.Round(at(1)), plotMargin-6, height-plotMargin+6)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// escaped is text for XML.
func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}
