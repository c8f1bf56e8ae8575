package main

import (
	"bytes"
	"runtime/debug"
	"strconv"
	"strings"
)

// settle gives back the memory that only a start or a reload needed: what the
// configuration was read into, and the pages of the program's own file. The
// collector would do it when the heap has grown to several times its size, which
// at rest is never. Requests go on meanwhile.
func settle() {
	debug.FreeOSMemory()
	unmapProgram()
}

// mapping is a part of this process' memory, from start up to end.
type mapping struct{ start, end uintptr }

// cleanMappings are those of a file, in the text of /proc/self/smaps, that hold
// nothing but what is in the file: they cannot be written, and have no page that
// was ever written (a relocation, a debugger's breakpoint). They can be given up,
// and come back from the file where they are used again.
func cleanMappings(smaps []byte, file string) []mapping {
	var found []mapping
	var current mapping // the zero value: of another file, or one that is written
	for line := range bytes.Lines(smaps) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		if !strings.HasSuffix(fields[0], ":") { // a mapping begins: 00400000-00eed000 r-xp 00000000 fe:00 1234 /usr/bin/postern
			current = mapping{}
			if len(fields) == 6 && fields[5] == file && strings.HasPrefix(fields[1], "r-") && strings.HasSuffix(fields[1], "p") {
				current = parseMapping(fields[0])
			}
			continue
		}
		if fields[0] == "Anonymous:" && fields[1] == "0" && current.end > current.start {
			found = append(found, current)
		}
	}
	return found
}

// parseMapping reads addresses as smaps writes them, the zero value where they
// are none.
func parseMapping(text string) mapping {
	from, to, _ := strings.Cut(text, "-")
	start, err1 := strconv.ParseUint(from, 16, strconv.IntSize)
	end, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
	if err1 != nil || err2 != nil {
		return mapping{}
	}
	return mapping{uintptr(start), uintptr(end)}
}
