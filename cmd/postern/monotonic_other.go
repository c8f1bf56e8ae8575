//go:build !linux

package main

// monotonicMicroseconds is for systemd, which only Linux has.
func monotonicMicroseconds() int64 { return 0 }
