package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSocketsThatAreNotHandedOnRightlyAreRefused(t *testing.T) {
	own := "LISTEN_PID=" + strconv.Itoa(os.Getpid())
	for _, test := range []struct {
		env   []string
		fault string
	}{
		{nil, ""},
		{[]string{"LISTEN_FDS=1"}, ""},
		{[]string{"LISTEN_PID=1", "LISTEN_FDS=9"}, ""}, // another process's
		{[]string{own, "LISTEN_FDS=0"}, ""},
		{[]string{own}, "LISTEN_FDS="},
		{[]string{own, "LISTEN_FDS=-1"}, "LISTEN_FDS=-1"},
		{[]string{own, "LISTEN_FDS=many"}, "LISTEN_FDS=many"},
		{[]string{own, "LISTEN_FDS=3"}, "FileDescriptorName=admin"},
	} {
		public, admin, err := inherited(&system{env: test.env})
		if public != nil || admin != nil || (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%v: %v %v %v", test.env, public, admin, err)
		}
	}
}

func TestADescriptorThatIsNoListenerIsRefused(t *testing.T) {
	file, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	own, err := syscall.Dup(int(file.Fd())) // takeListener closes what it is given
	if err != nil {
		t.Fatal(err)
	}
	if _, err := takeListener(own); err == nil || !strings.Contains(err.Error(), "no listening stream socket") {
		t.Errorf("%v", err)
	}
}

// manager is what a service manager reads states from.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newManager(t *testing.T, name string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, conn}
}

// next waits for the next datagram.
func (m *manager) next() string {
	m.t.Helper()
	_ = m.conn.SetReadDeadline(time.Now().Add(time.Minute))
	buffer := make([]byte, 4096)
	n, err := m.conn.Read(buffer)
	if err != nil {
		m.t.Fatal("no state came: ", err)
	}
	return string(buffer[:n])
}

func TestTheServiceManagerIsToldWhatHappens(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@postern-test-" + strconv.Itoa(os.Getpid())} {
		t.Run(name[:1], func(t *testing.T) {
			m, s := newManager(t, name), newServed(t)
			t.Cleanup(func() { // after the gateway has ended, since it was registered before
				if got := m.next(); got != "STOPPING=1" {
					t.Errorf("at the end %q", got)
				}
			})
			s.write(t, "routes: [{ path: /**, allow: authenticated }]\n")
			s.start(t, []string{"NOTIFY_SOCKET=" + name})
			if got := m.next(); got != "READY=1" {
				t.Errorf("at first %q", got)
			}
			before := monotonicMicroseconds()
			for _, routes := range []string{"routes: [{ path: /**, allow: anyone }]\n", "routes: nonsense\n"} { // good, and refused
				s.write(t, routes)
				state, micros, _ := strings.Cut(m.next(), "\nMONOTONIC_USEC=")
				at, err := strconv.ParseInt(micros, 10, 64)
				if state != "RELOADING=1" || err != nil || at < before || at > monotonicMicroseconds() {
					t.Errorf("at a reload %q %q", state, micros)
				}
				if got := m.next(); got != "READY=1" {
					t.Errorf("after a reload %q", got)
				}
			}
		})
	}
}

func TestAManagerThatIsGoneStopsNobody(t *testing.T) {
	s := newServed(t)
	s.write(t, "routes: [{ path: /**, allow: authenticated }]\n")
	s.start(t, []string{"NOTIFY_SOCKET=" + filepath.Join(t.TempDir(), "none")})
	s.stdout.await(t, `(the service manager cannot be told)`)
}
