package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain lets the test binary play the parts of the programs beside Postern.
func TestMain(m *testing.M) {
	play(os.Getenv(roleVariable), os.Args)
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheTableIsMeasuredAndWhole runs everything, small.
func TestTheTableIsMeasuredAndWhole(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "postern")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/postern").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := &plan{postern: binary, idle: 30, transfers: 5, size: 1 << 20, rounds: 1}
	var out strings.Builder
	must(t, p.run(&out))
	rows := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(rows) != 7 || rows[0] != "| resident memory | bare httputil.ReverseProxy | Postern |" {
		t.Fatalf("the table is\n%s", out.String())
	}
	figure := regexp.MustCompile(`^\| [^|]+ \| -?[0-9.]+ [KM]iB[^|]* \| -?[0-9.]+ [KM]iB[^|]* \|$`)
	for _, row := range rows[2:] {
		if !figure.MatchString(row) {
			t.Errorf("the row is no pair of figures: %s", row)
		}
	}
}

// TestAProgramThatIsNotThereIsAnError, and not a table of zeros.
func TestAProgramThatIsNotThereIsAnError(t *testing.T) {
	p := &plan{postern: filepath.Join(t.TempDir(), "none"), idle: 1, transfers: 1, size: 1, rounds: 1}
	var out strings.Builder
	if err := p.run(&out); err == nil || out.Len() > 0 {
		t.Errorf("printed %q, error %v", out.String(), err)
	}
}

// counterpart is a server in this process, of which no memory is asked: what
// the loads do is seen by its handler.
func counterpart(t *testing.T, h http.HandlerFunc) *process {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}, addr: server.Listener.Addr().String(), token: "a-token"}
}

// TestTransfersAreAllUnderWayAtOnce: the handler of each waits for those of all
// others, which would never come if one waited for the end of another.
func TestTransfersAreAllUnderWayAtOnce(t *testing.T) {
	p := &plan{transfers: 20, size: 4 << 20}
	for name, load := range map[string]func(*process) (int64, error){"download": p.download, "upload": p.upload} {
		t.Run(name, func(t *testing.T) {
			var all sync.WaitGroup
			all.Add(p.transfers)
			together := make(chan struct{})
			go func() { all.Wait(); close(together) }()
			of := counterpart(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer a-token" {
					t.Error("no token was sent")
				}
				all.Done()
				select {
				case <-together:
					answer(w, r)
				case <-time.After(time.Minute):
					t.Error("the others do not come")
				}
			})
			peak, err := load(of)
			if err != nil || peak <= 0 {
				t.Errorf("%d, %v", peak, err)
			}
		})
	}
}

// TestIdleConnectionsAreOpenWhenTheyAreCounted: each has had its answer, and
// none is closed before the figure is taken.
func TestIdleConnectionsAreOpenWhenTheyAreCounted(t *testing.T) {
	var mu sync.Mutex
	states := map[http.ConnState]int{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(answer))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		states[s]++
	}
	server.Start()
	defer server.Close()
	p := &plan{idle: 40}
	n, err := p.holdIdle(&process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}, addr: server.Listener.Addr().String()})
	if err != nil || n <= 0 {
		t.Fatalf("%d, %v", n, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if states[http.StateNew] != 40 || states[http.StateActive] != 40 {
		t.Errorf("the server saw %v", states)
	}
}

// TestAWrongAnswerEndsTheMeasurement: a proxy that answers errors is light.
func TestAWrongAnswerEndsTheMeasurement(t *testing.T) {
	p := &plan{idle: 2, transfers: 2, size: 1 << 20}
	for name, h := range map[string]http.HandlerFunc{
		"an error":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"too short": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, 5) },
	} {
		of := counterpart(t, h)
		for load, f := range map[string]func(*process) (int64, error){"idle": p.holdIdle, "download": p.download, "upload": p.upload} {
			if n, err := f(of); err == nil {
				t.Errorf("%s to %s counts as %d bytes of memory", name, load, n)
			}
		}
	}
}

// TestMoreFilesThanThereAreIsSaidBefore anything is measured.
func TestMoreFilesThanThereAreIsSaidBefore(t *testing.T) {
	p := &plan{idle: 1 << 40}
	if err := p.run(&strings.Builder{}); err == nil || !strings.Contains(err.Error(), "ulimit") {
		t.Errorf("got %v", err)
	}
}

func TestSizesAreReadFromTheKernelsWords(t *testing.T) {
	const text = "Name:\tpostern\nVmHWM:\t   46200 kB\nVmRSS:\t    1024 kB\n"
	for name, want := range map[string]int64{"VmRSS:": 1 << 20, "VmHWM:": 46200 << 10} {
		if got, err := statusSize(text, name); err != nil || got != want {
			t.Errorf("%s %d, %v", name, got, err)
		}
	}
	for _, bad := range []string{"", "VmRSS: many kB\n"} {
		if _, err := statusSize(bad, "VmRSS:"); err == nil {
			t.Errorf("%q has a size", bad)
		}
	}
	now, err := (&process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}).resident()
	if err != nil || now < 1<<20 {
		t.Errorf("this process has %d bytes, %v", now, err)
	}
}

func TestTheMedianIsInTheMiddle(t *testing.T) {
	for _, test := range []struct {
		n    []int64
		want int64
	}{{[]int64{3}, 3}, {[]int64{9, 1, 5}, 5}, {[]int64{4, 1, 3, 2}, 3}} {
		if got := median(test.n); got != test.want {
			t.Errorf("of %v it is %d", test.n, got)
		}
	}
	if got := mebibytes([]int64{3 << 20, 1 << 20, 2 << 20}); got != "2.0 MiB (1.0 to 3.0)" {
		t.Error(got)
	}
}
