package e2e

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// figures are what a gateway holds.
type figures struct {
	goroutines, files int
	live, rss         int64 // bytes
}

func (f figures) String() string {
	return fmt.Sprintf("%d goroutines, %d files, %.1f MiB live, %.1f MiB resident", f.goroutines, f.files, float64(f.live)/(1<<20), float64(f.rss)/(1<<20))
}

// figures reads them. The store's own files do not count: it opens more of them
// up to a fixed number.
func (s *soak) figures() figures {
	s.t.Helper()
	m := s.scrape()
	f := figures{goroutines: int(m["go_goroutines"]), rss: int64(m["process_resident_memory_bytes"]),
		live: int64(m["go_memstats_next_gc_bytes"] / (1 + m["go_gc_gogc_percent"]/100))}
	dir := fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		if name, _ := os.Readlink(filepath.Join(dir, entry.Name())); !strings.Contains(name, "postern.db") {
			f.files++
		}
	}
	return f
}

// scrape reads all metrics over a connection of its own.
func (s *soak) scrape() map[string]float64 {
	s.t.Helper()
	res, err := s.admins.Get("http://" + s.admin + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	found := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if i := strings.LastIndexByte(lines.Text(), ' '); i > 0 {
			found[lines.Text()[:i]], _ = strconv.ParseFloat(lines.Text()[i+1:], 64)
		}
	}
	return found
}

// settle waits until the gateway holds no more than at the start, and until
// what it has let go of is collected. A reload comes first: it lets go of the
// idle connections to the applications. Without a start it only waits for the
// collection.
func (s *soak) settle(start figures) figures {
	s.t.Helper()
	before := s.log.count("reload")
	_ = s.cmd.Process.Signal(syscall.SIGHUP)
	eventually(s.t, "the reload", func() bool { return s.log.count("reload") > before })
	now := s.figures()
	for deadline := time.Now().Add(patience); start.goroutines > 0 && (now.goroutines > start.goroutines || now.files > start.files); now = s.figures() {
		for _, c := range s.clients { // a stream that was just given up keeps its connection in use for a moment
			c.CloseIdleConnections()
		}
		if time.Now().After(deadline) {
			_ = s.cmd.Process.Signal(syscall.SIGQUIT) // all stacks, on standard error
			<-s.exited
			s.t.Fatalf("the gateway has %v, and had %v\n%s", now, start, stacks(s.stderr.String()))
		}
		time.Sleep(20 * time.Millisecond)
	}
	const collections = "go_gc_duration_seconds_count"
	for want := s.scrape()[collections] + 2; s.scrape()[collections] < want; { // each scrape leaves something to collect
	}
	return s.figures()
}

// stacks counts the goroutines of a dump by where they are.
func stacks(dump string) string {
	places := map[string]int{}
	for stack := range strings.SplitSeq(dump, "\n\n") {
		_, frames, ok := strings.Cut(stack, "]:\n")
		if !ok {
			continue
		}
		var place strings.Builder
		for frame := range strings.Lines(frames) { // without arguments and addresses
			if i := max(strings.LastIndex(frame, " +0x"), strings.LastIndexByte(frame, '(')); i > 0 {
				place.WriteString(frame[:i] + "\n")
			}
		}
		places[place.String()]++
	}
	var text strings.Builder
	for _, place := range slices.SortedFunc(maps.Keys(places), func(a, b string) int { return places[b] - places[a] }) {
		fmt.Fprintf(&text, "%d goroutines:\n%s\n\n", places[place], place)
	}
	return text.String()[:min(text.Len(), 20_000)]
}

// logTail reads a log that grows without end, each line once.
type logTail struct {
	t    testing.TB
	path string

	mu     sync.Mutex // guards the following
	offset int64
	events map[string]int // audit lines
}

// count is how many audit lines of an event there are by now.
func (l *logTail) count(event string) int {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	file, err := os.Open(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	in := bufio.NewReaderSize(io.NewSectionReader(file, l.offset, 1<<62), 1<<20)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return l.events[event] // half a line is read again
		}
		l.offset += int64(len(line))
		if _, rest, ok := strings.Cut(line, `"msg":"audit","event":"`); ok {
			name, _, _ := strings.Cut(rest, `"`)
			l.events[name]++
		}
	}
}

// about finds the access log lines of requests that failed.
func (l *logTail) about(failed []failure) map[string]string {
	file, err := os.Open(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	found := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		for _, f := range failed {
			if strings.Contains(lines.Text(), `"request_id":"`+f.id+`"`) {
				found[f.id] += lines.Text() + "\n"
			}
		}
	}
	return found
}
