//go:build unix

package lean

import "syscall"

// canPeek tells whether a socket can be asked what has come, without waiting
// and without taking it. Elsewhere nothing is carried here: a connection that
// was kept could not be trusted.
const canPeek = true

// peek tells whether a socket is open and nothing has come on it.
func peek(fd uintptr) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == syscall.EAGAIN
}
