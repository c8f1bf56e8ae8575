//go:build !linux

package gateway

import (
	"io/fs"
	"syscall"
)

// beforeBind is for Linux: elsewhere a socket's mode cannot be set before it
// has a name.
func beforeBind(fs.FileMode) func(network, address string, c syscall.RawConn) error { return nil }
