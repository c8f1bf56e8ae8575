package main

import (
	"os"
	"syscall"
)

// unmapProgram takes the pages of the program's file out of this process, when it
// is at rest. The kernel keeps them at hand; those that serving needs come back
// at their first use, sixteen at a time, and those that only other work needed
// (reading a configuration, collecting, a login) are no longer held. What cannot
// be done is left: nothing but a figure depends on it.
func unmapProgram() {
	file, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range cleanMappings(smaps, file) {
		advise(m, syscall.MADV_DONTNEED)
	}
}

// adviseHuge tells the kernel whether to make the pages of a part of the memory
// as large as it can, where it is asked for each part (Debian's "madvise").
func adviseHuge(m mapping, huge bool) {
	if huge {
		advise(m, syscall.MADV_HUGEPAGE)
		return
	}
	advise(m, syscall.MADV_NOHUGEPAGE)
}

// advise is madvise(2) for memory that no slice is held of. What the kernel does
// not do is left: it costs time or memory, and changes no content.
func advise(m mapping, advice uintptr) {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.start, m.end-m.start, advice)
}
