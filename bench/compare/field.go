package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"text/template"
	"time"

	"github.com/posternhq/postern/bench/loopback"
)

// The cores: of what is measured, and of what measures.
const (
	measured  = "0"
	measuring = "1"
	both      = "0,1"
)

// field is where contenders run: a directory for their files, and one
// application for all of them.
type field struct {
	settings
	dir      string
	upstream string // the application's address

	mu        sync.Mutex  // guards the following
	processes []*exec.Cmd // those that run, the application first
}

// newField starts the application.
func newField(s settings) (*field, error) {
	dir, err := os.MkdirTemp("", "postern-bench")
	if err != nil {
		return nil, err
	}
	f := &field{settings: s, dir: dir, upstream: loopback.FreeAddress()}
	cmd, err := f.start("upstream", launch{core: measuring, args: []string{f.program("upstream"), "-listen", f.upstream}})
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), await(cmd, f.upstream)) // Apache's children are somebody else
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// close ends every process and removes the files.
func (f *field) close() error {
	f.end(0)
	return os.RemoveAll(f.dir)
}

// kill stops every process and its children. Whoever waits for one sees it end.
func (f *field) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, cmd := range f.processes {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its group; it may have ended by itself
	}
}

// end kills the processes that were started last, all but the first so many, and
// waits for them.
func (f *field) end(keep int) {
	f.mu.Lock()
	ended := slices.Clone(f.processes[keep:])
	f.processes = f.processes[:keep]
	f.mu.Unlock()
	for _, cmd := range ended {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // killed, which is no news
	}
}

// endLast ends the process that was started last.
func (f *field) endLast() { f.end(len(f.processes) - 1) }

// last is the process that was started last.
func (f *field) last() *exec.Cmd {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.processes[len(f.processes)-1]
}

// program is one of those that were built for this.
func (f *field) program(name string) string { return filepath.Join(f.bin, name) }

// file is one of the field's.
func (f *field) file(name string) string { return filepath.Join(f.dir, name) }

// launch is a process to be.
type launch struct {
	core        string
	environment []string
	args        []string
}

// start runs a process on its core, in a group of its own, by which its children
// are found. What it says goes to a file, and is shown when it cannot start.
func (f *field) start(name string, l launch) (*exec.Cmd, error) {
	out, err := os.OpenFile(f.file(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command("taskset", append([]string{"-c", l.core}, l.args...)...)
	cmd.Env = append(os.Environ(), "HOME="+f.dir, "XDG_CONFIG_HOME="+f.dir, "XDG_DATA_HOME="+f.dir) // Caddy keeps things there
	if l.core != both {
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	}
	cmd.Env = append(cmd.Env, l.environment...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, f.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.processes = append(f.processes, cmd)
	return cmd, nil
}

// said is what a process has written, for an error.
func (f *field) said(name string) error {
	text, _ := os.ReadFile(f.file(name + ".log"))
	return fmt.Errorf("%s said: %s", name, bytes.TrimSpace(text[max(0, len(text)-2000):]))
}

//go:embed peers
var peerFiles embed.FS

// configure fills in a peer's configuration and answers where it is.
func (f *field) configure(from, name string, values any) (string, error) {
	t, err := template.ParseFS(peerFiles, "peers/"+from)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, values); err != nil {
		return "", err
	}
	return f.file(name), os.WriteFile(f.file(name), text.Bytes(), 0o644)
}

// await waits until a process listens, or has ended before that.
func await(cmd *exec.Cmd, address string) error {
	for range 6000 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err != nil || bytes.Contains(text, []byte(") Z ")) {
			return fmt.Errorf("it ended and never listened at %s", address)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("nobody listens at %s", address)
}
