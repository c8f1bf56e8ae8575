package main

import (
	"os"
	"syscall"
)

// unmapProgram takes the pages of the program's file out of this process, once
// it has started. The kernel keeps them at hand; those that serving needs come
// back at their first use, and those that only the start needed (reading a
// configuration, migrating a store) are no longer held. What cannot be done is
// left: nothing but a figure depends on it.
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
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.start, m.end-m.start, syscall.MADV_DONTNEED)
	}
}
