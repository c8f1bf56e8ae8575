package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
)

// resident is how much of its own file this process has mapped in, in KiB.
func resident(t *testing.T) (sum int) {
	t.Helper()
	file, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	if len(cleanMappings(smaps, file)) == 0 {
		t.Fatalf("there is no mapping to give up in:\n%s", smaps)
	}
	own := false
	for line := range bytes.Lines(smaps) {
		fields := strings.Fields(string(line))
		if !strings.HasSuffix(fields[0], ":") {
			own = fields[len(fields)-1] == file
		} else if own && fields[0] == "Rss:" {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

func TestAProgramThatHasGivenUpItsPagesRunsOnWithFewer(t *testing.T) {
	before := resident(t)
	unmapProgram()
	if after := resident(t); after >= before {
		t.Errorf("%d KiB of the program are mapped, before it were %d", after, before)
	}
}
