package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// firstInherited is the first descriptor that a service manager hands on
// (sd_listen_fds(3)).
const firstInherited = 3

// adminSocket is the FileDescriptorName= of the socket that is the admin
// listener. Any other name is the public one's.
const adminSocket = "admin"

// inherited are the listeners that systemd, or systemd-socket-activate, has
// opened for this very process: the public one, and the one called admin. They
// take the place of listen and admin.listen. None: it has opened none.
func inherited(sys *system) (public, admin net.Listener, err error) {
	if sys.getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil, nil // meant for another process, which forgot to take it out
	}
	n, err := strconv.Atoi(sys.getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > 2 {
		return nil, nil, usagef("LISTEN_FDS=%s: the service manager may hand on one socket, or two of which one is called %s (FileDescriptorName=%s)",
			sys.getenv("LISTEN_FDS"), adminSocket, adminSocket)
	}
	names := strings.Split(sys.getenv("LISTEN_FDNAMES"), ":")
	for i := range n {
		l, err := takeListener(firstInherited + i)
		if err != nil {
			return nil, nil, err
		}
		which := &public
		if i < len(names) && names[i] == adminSocket {
			which = &admin
		}
		if *which != nil {
			return nil, nil, usagef("the service manager handed on two sockets for one listener: call the one for probes and metrics %s (FileDescriptorName=%s)", adminSocket, adminSocket)
		}
		*which = l
	}
	return public, admin, nil
}

// takeListener makes a listener of a descriptor, which is then closed: the
// listener has one of its own.
func takeListener(fd int) (net.Listener, error) {
	file := os.NewFile(uintptr(fd), "inherited")
	if file == nil {
		return nil, usagef("descriptor %d, handed on by the service manager, is not open", fd)
	}
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, usagef("descriptor %d, handed on by the service manager, is no listening stream socket: %w", fd, err)
	}
	return l, nil
}

// What a service of Type=notify or notify-reload says of itself
// (sd_notify(3)).
const (
	stateReady    = "READY=1"
	stateStopping = "STOPPING=1"
)

// stateReloading begins a reload, which stateReady ends. The time tells the
// service manager which of its own requests this reload answers.
func stateReloading() string {
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonicMicroseconds())
}

// notify tells the service manager, if one asks to be told. A manager that
// cannot be reached stops nobody from serving.
func (p *program) notify(state string) {
	path := p.sys.getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: path}) // a leading @ is the abstract name space
	if err == nil {
		_, err = conn.Write([]byte(state))
		conn.Close()
	}
	if err != nil {
		p.log.Warn("the service manager cannot be told (NOTIFY_SOCKET)", "error", err.Error())
	}
}
