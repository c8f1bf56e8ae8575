package gateway

import (
	"io/fs"
	"syscall"
)

// beforeBind gives a socket its mode before it has a name: between its birth
// and a later chmod anybody could connect whom the umask lets.
func beforeBind(mode fs.FileMode) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), uint32(mode)) })
		if err != nil {
			return err
		}
		return failed
	}
}
