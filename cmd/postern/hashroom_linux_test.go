package main

import (
	"bytes"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
)

// hashBlock is what argon2id takes for a password.
const hashBlock = 19456 << 10

// look is what the kernel has of a part of this process' memory: how much, in
// KiB, and the flags at its start; "": it does not say.
func look(t *testing.T, place mapping) (taken int, flags string) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip("this kernel does not say what memory a process has:", err)
	}
	var m mapping
	for line := range bytes.Lines(smaps) {
		key, rest, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch {
		case !strings.HasSuffix(key, ":"):
			m = parseMapping(key)
		case key == "Rss:" && m.start < place.end && place.start < m.end:
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			taken += n
		case key == "VmFlags:" && m.start <= place.start && place.start < m.end:
			flags = rest
		}
	}
	return taken, flags
}

// needHugePages skips where the kernel does not know them.
func needHugePages(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil {
		t.Skip("this kernel has no huge pages:", err)
	}
}

func TestPagesAreHugeOnlyWhilePasswordsAreHashed(t *testing.T) {
	needHugePages(t)
	room := newHashRoom()
	if room.place.start%hugePage != 0 || room.place.end%hugePage != 0 || room.place.end-room.place.start < roomSize-2*hugePage {
		t.Errorf("the room is %x", room.place)
	}
	for i, step := range []struct {
		name     string
		do       func()
		has, not string // hg: MADV_HUGEPAGE, nh: MADV_NOHUGEPAGE
	}{
		{"while a password is hashed", room.enlarge, "hg", "nh"},
		{"while another one is", room.enlarge, "hg", "nh"},
		{"at rest", room.settle, "nh", "hg"},
		{"still at rest", room.settle, "nh", "hg"},
		{"while the next is", room.enlarge, "hg", "nh"},
	} {
		step.do()
		for _, at := range []uintptr{room.place.start, room.place.end - hugePage} {
			_, got := look(t, mapping{at, at + hugePage})
			if got == "" {
				t.Skip("this kernel does not say what it was advised")
			}
			if !strings.Contains(got, step.has) || strings.Contains(got, step.not) {
				t.Errorf("step %d, %s: the flags at %x are %s", i, step.name, at, got)
			}
		}
	}
	room.settle()
}

// roomTest is set where TestHashesAreMadeInTheirRoom runs as the process that
// it begins.
const roomTest = "POSTERN_TEST_HASHROOM"

// Where the runtime puts a hash shows in a process of its own only: a heap that
// other tests have used has other places for it.
func TestHashesAreMadeInTheirRoom(t *testing.T) {
	if os.Getenv(roomTest) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestHashesAreMadeInTheirRoom$", "-test.v")
		cmd.Env = append(os.Environ(), roomTest+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestHashesAreMadeInTheirRoom")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	room := newHashRoom()
	const little = 8 << 10 // KiB of the heap that lies beside the room
	if n, _ := look(t, room.place); n > little {
		t.Errorf("the room took %d KiB, before there was anything in it", n)
	}
	for i := range 4 {
		argon2.IDKey([]byte("password"), []byte("0123456789abcdef"), 1, hashBlock>>10, 1, 32)
		at := reflect.ValueOf(make([]byte, hashBlock)).Pointer() // the next one's
		if at < room.place.start-hugePage || at+hashBlock > room.place.end {
			t.Errorf("hash %d is at %x, the room is %x", i, at, room.place)
		}
	}
	if n, _ := look(t, room.place); n < hashBlock>>10 {
		t.Errorf("four hashes took %d KiB", n)
	}
	room.settle()
	if n, _ := look(t, room.place); n > little {
		t.Errorf("%d KiB were not given back", n)
	}
}
