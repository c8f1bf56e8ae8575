package sqlstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

// The test binary runs itself again as another process, with a part to play.
const (
	partVariable = "SQLSTORE_TEST_PART"
	pathVariable = "SQLSTORE_TEST_PATH"
)

func TestMain(m *testing.M) {
	var err error
	switch part := os.Getenv(partVariable); part {
	case "":
		os.Exit(m.Run())
	case "rotate":
		err = rotateForever(os.Getenv(pathVariable))
	case "open":
		err = openOnce(os.Getenv(pathVariable))
	case "hold":
		err = holdOpen(os.Getenv(pathVariable))
	default:
		err = fmt.Errorf("no part %q", part)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process is this binary in a part. It is killed with the test at the latest.
func process(t *testing.T, part, path string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), binary)
	c.Env = append(os.Environ(), partVariable+"="+part, pathVariable+"="+path)
	c.Stderr = os.Stderr
	return c
}

// workers is how many sessions the rotating process has in hand, so that kill
// -9 meets groups and not single writes.
const workers = 8

// rotateForever rotates each session as fast as it can, and prints the number
// of the session and the counter once a rotation is answered.
func rotateForever(path string) error {
	s, err := sqlstore.Open(context.Background(), path)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for w := range workers {
		go func() { failed <- rotateOn(s, w) }()
	}
	return <-failed
}

func rotateOn(s *sqlstore.Store, worker int) error {
	row, err := s.Session(context.Background(), session(worker))
	for err == nil {
		var got auth.Rotated
		got, err = s.RotateSession(context.Background(), rotation(worker, row.Counter))
		if err == nil && !got.Swapped {
			return fmt.Errorf("session %d: counter %d was spent by nobody and did not swap", worker, row.Counter)
		}
		row = got.Session
		fmt.Printf("%d %d\n", worker, row.Counter) // one write, unbuffered
	}
	return err
}

func session(worker int) string { return fmt.Sprintf("session-%d", worker) }

func rotation(worker int, counter int64) auth.Rotation {
	return auth.Rotation{Session: session(worker), Presented: counter, Grace: 30 * time.Second, IdleLimit: time.Hour, AgeLimit: time.Hour}
}

// openOnce opens the store, writes and closes.
func openOnce(path string) error {
	s, err := sqlstore.Open(context.Background(), path)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.CreateAccount(context.Background(), auth.Account{ID: fmt.Sprint("id-", os.Getpid())})
}

// holdOpen opens the store, says so and keeps it open until it is killed.
func holdOpen(path string) error {
	if _, err := sqlstore.Open(context.Background(), path); err != nil {
		return err
	}
	fmt.Println("open")
	select {}
}

func TestProcessesMayStartAtOnceOnANewFile(t *testing.T) {
	path := file(t)
	var all sync.WaitGroup
	for range 4 {
		c := process(t, "open", path)
		all.Go(func() {
			if err := c.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n, err := openAt(t, path).CountAccounts(context.Background()); n != 4 || err != nil {
		t.Errorf("%d accounts, %v; want 4", n, err)
	}
}

func TestKillNineLosesNoAnsweredRotationAndDoublesNone(t *testing.T) {
	path := file(t)
	s := openAt(t, path)
	add(t, s, "a")
	for w := range workers {
		now := time.Now()
		if _, err := s.CreateSession(context.Background(), auth.Session{ID: session(w), AccountID: "a", Counter: 1, Floor: 1, Rotated: now, Created: now}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	answered := [workers]int64{}
	for w := range answered {
		answered[w] = 1
	}
	for range 4 {
		rotateAndKill(t, path, &answered)
		checkAnswered(t, path, &answered)
	}
}

// rotateAndKill lets a process rotate, kills it in the middle, and notes the
// counters that it was answered.
func rotateAndKill(t *testing.T, path string, answered *[workers]int64) {
	t.Helper()
	c := process(t, "rotate", path)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ { // to the end: what was printed was answered
		var w int
		var counter int64
		if _, err := fmt.Sscan(lines.Text(), &w, &counter); err != nil {
			t.Fatalf("line %q: %v", lines.Text(), err)
		}
		if counter != answered[w]+1 {
			t.Errorf("session %d went from %d to %d", w, answered[w], counter)
		}
		answered[w] = counter
		if n == 200 {
			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Wait(); err == nil || c.ProcessState.Exited() {
		t.Fatalf("the process ended by itself: %v", err)
	}
}

// checkAnswered opens what the killed process left. A rotation that was
// committed and not yet answered may be there; then the client repeats it, and
// the next process starts from it.
func checkAnswered(t *testing.T, path string, answered *[workers]int64) {
	t.Helper()
	s := openAt(t, path)
	defer s.Close()
	for w, counter := range answered {
		row, err := s.Session(context.Background(), session(w))
		if err != nil {
			t.Fatal(err)
		}
		if row.Counter != counter && row.Counter != counter+1 {
			t.Errorf("session %d is at %d, and %d was answered", w, row.Counter, counter)
		}
		got, err := s.RotateSession(context.Background(), rotation(w, row.Counter-1))
		if err != nil || got.Swapped {
			t.Errorf("session %d: a spent counter swapped again: %v", w, err)
		}
		answered[w] = row.Counter
	}
}

func TestACommandWorksOnTheFileWhileAnotherProcessServesFromIt(t *testing.T) {
	path := file(t)
	s := openAt(t, path)
	add(t, s, "a")
	if err := process(t, "open", path).Run(); err != nil {
		t.Fatal(err)
	}
	// It closed its connections, and the log is still ours.
	add(t, s, "b")
	if n, err := s.CountAccounts(context.Background()); n != 3 || err != nil {
		t.Errorf("%d accounts, %v; want 3", n, err)
	}
}
