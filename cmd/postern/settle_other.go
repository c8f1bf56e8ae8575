//go:build !linux

package main

// unmapProgram is for Linux, which tells what of its file a process has mapped.
func unmapProgram() {}

// adviseHuge is for Linux too.
func adviseHuge(mapping, bool) {}
