package routers

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds the start of an application: two busy cores and a cold Java
// take their time.
const patience = 60 * time.Second

// lack skips a test on a machine that has no such program, or fails where all
// of them were promised.
func lack(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("POSTERN_TEST_REQUIRE") == "all" {
		t.Fatalf("%s is missing, and POSTERN_TEST_REQUIRE=all wants every test to run: make setup installs it", what)
	}
	t.Skipf("%s is missing: make setup installs it", what)
}

// needFile skips the test unless the file is there.
func needFile(t testing.TB, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			lack(t, path)
		}
	}
}

// needProgram returns where the program is.
func needProgram(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	lack(t, name)
	return ""
}

// freeAddr returns an address of this machine that nothing listens on.
// It lies below the ports that the kernel gives to whoever asks for any: else
// another test's connection takes it before it is used.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(15000+rand.IntN(15000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// testdata returns the absolute path of a file of testdata.
func testdata(t testing.TB, elem ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"testdata"}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// output keeps what a program says, for when it does not start.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs a program in the folder until the test ends, and returns when all
// of the addresses are listened on.
func start(t testing.TB, cmd *exec.Cmd, addrs ...string) {
	t.Helper()
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(), "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its workers end with it
	cmd.WaitDelay = time.Second
	keepPipes()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard(t, cmd.Process.Pid)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		force := time.AfterFunc(3*time.Second, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		<-ended
		force.Stop()
	})
	for _, addr := range addrs {
		if err := await(addr, ended); err != nil {
			t.Fatalf("%s: %v\n%s", cmd.Path, err, said)
		}
	}
}

// keepPipes has a worker of the fuzzer keep for itself what it talks through: it
// was given that in the first files after the usual ones, for whoever it starts
// to inherit. The fuzzer would wait for the end of a pipe that a server has.
func keepPipes() {
	if f := flag.Lookup("test.fuzzworker"); f == nil || f.Value.String() != "true" {
		return
	}
	for fd := 3; fd <= 5; fd++ {
		syscall.CloseOnExec(fd)
	}
}

// guard ends the group of processes when this one is gone, however it goes: a
// worker of the fuzzer that hangs is killed, and cleans up nothing.
func guard(t testing.TB, group int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "cat; kill -9 -$0", strconv.Itoa(group))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the group's end comes first
		alive.Close()
		_ = cmd.Wait() // whether there was anything left to kill
	})
}

// await returns once something listens on the address.
func await(addr string, ended chan error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		if conn, err := net.Dial("tcp", addr); err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case err := <-ended:
			ended <- err
			return fmt.Errorf("ended before it listened: %w", err)
		case <-late:
			return fmt.Errorf("does not listen on %s", addr)
		}
	}
}
