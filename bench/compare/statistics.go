package main

import (
	"fmt"
	"slices"
)

// quantile of some figures, between neighbours where it falls there.
func quantile(of []float64, q float64) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// median is the middle: one slice that a neighbour disturbed does not move it.
func median(of []float64) float64 { return quantile(of, .5) }

// ratios divides round by round: what ran within the same seconds.
func ratios(of, by []float64) []float64 {
	quotients := make([]float64, min(len(of), len(by)))
	for i := range quotients {
		quotients[i] = of[i] / by[i]
	}
	return quotients
}

// spread writes a median with its quartiles.
func spread(of []float64) string {
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median(of), quantile(of, .25), quantile(of, .75))
}
