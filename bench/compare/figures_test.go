package main

import (
	"bytes"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestQuantiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		of   []float64
		q    float64
		want float64
	}{
		{nil, .5, 0},
		{[]float64{7}, .25, 7},
		{[]float64{3, 1, 2}, .5, 2},
		{[]float64{4, 1, 3, 2}, .5, 2.5},
		{[]float64{1, 2, 3, 4, 5}, .25, 2},
		{[]float64{1, 2, 3, 4, 5}, 1, 5},
		{[]float64{1, 2}, .99, 1.99},
	} {
		if got := quantile(test.of, test.q); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("quantile(%v, %v) = %v, want %v", test.of, test.q, got, test.want)
		}
	}
	given := []float64{3, 1, 2}
	if median(given); given[0] != 3 {
		t.Error("quantile sorted what belongs to its caller")
	}
}

// TestRatiosAreOfOneRound: a slow second that both had does not show.
func TestRatiosAreOfOneRound(t *testing.T) {
	t.Parallel()
	got := spread(ratios([]float64{50, 150, 60}, []float64{100, 300, 120}))
	if got != "0.50 (0.50 to 0.50)" {
		t.Error(got)
	}
}

func TestStatIsReadPastAnyName(t *testing.T) {
	t.Parallel()
	const rest = " S 1 4242 4242 0 -1 4194560 100 0 0 0 150 50 7 3 20 0 9 0 100 1000 10"
	for _, name := range []string{"(nginx)", "(a b)", "(:) 1 2 (x))"} {
		s, err := parseStat([]byte("99 " + name + rest))
		if err != nil || s.group != 4242 || s.used != 2100*time.Millisecond {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	for _, bad := range []string{"", "99 (x) S 1", "99 (x) S 1 y 4242 0 -1 4194560 100 0 0 0 150 50 7 3 20", "99 (x) S 1 2 4242 0 -1 4194560 100 0 0 0 z 50 7 3 20"} {
		if s, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, s)
		}
	}
}

// TestThisProcessHasTimeAndMemory reads the real thing.
func TestThisProcessHasTimeAndMemory(t *testing.T) {
	t.Parallel()
	group := []int{syscall.Getpgrp()}
	all, err := members(group)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := all[os.Getpid()]; !ok {
		t.Errorf("%d is not in its own group: %v", os.Getpid(), all)
	}
	if _, err := cpuTime([]int{-1}); err == nil {
		t.Error("a group that does not exist has used no time, and that is no fault")
	}
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	if rss, pss := kibibytes(text, "Rss:"), kibibytes(text, "Pss:"); rss < 1<<20 || pss < 1 || pss > rss {
		t.Errorf("resident %d, proportional %d", rss, pss)
	}
	if n := kibibytes(text, "Nothing:"); n != 0 {
		t.Errorf("Nothing is %d", n)
	}
}

// TestASpoiledSliceIsNoResult: a wrong answer, a broken connection, an answer
// that is too short, and wrk that says something else.
func TestASpoiledSliceIsNoResult(t *testing.T) {
	t.Parallel()
	const good = "Running 2s test\nRESULT 20000 2000000 4000000 0 0 3000.5 9000.000000\n"
	s, err := parseResult([]byte(good), time.Second, 100)
	if err != nil || s.cost != 50 || s.rate != 10000 || s.p50 != 3.0005 || s.p99 != 9 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []struct{ out, want string }{
		{"", "no result"},
		{"RESULT what", "no result"},
		{"RESULT 0 2000000 0 0 0 0 0", errStarved.Error()},
		{"RESULT 0 2000000 0 0 64 0 0", "no result"},
		{"RESULT 20000 2000000 4000000 1 0 3000 9000", "1 were answered wrongly"},
		{"RESULT 20000 2000000 4000000 0 2 3000 9000", "2 not at all"},
		{"RESULT 20000 2000000 1000000 0 0 3000 9000", "at least 100 each"},
	} {
		if _, err := parseResult([]byte(bad.out), time.Second, 100); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%q: %v, want %q in it", bad.out, err, bad.want)
		}
	}
}

// example is a table of two contenders, the slower of them the measure.
func example() table {
	f := &field{}
	all := []*contender{{name: "bare"}, {name: "Postern <&>", auth: "HS256"}}
	return f.compared("Example", all, [][]sample{{{cost: 100, rate: 10, p50: 1, p99: 2}}, {{cost: 50, rate: 20, p50: 1, p99: 2}}})
}

func TestATableIsReadInText(t *testing.T) {
	t.Parallel()
	of := example().sorted()
	of.Text, of.Load = strings.Repeat("word ", 30), "1 before"
	text := of.markdown()
	for _, want := range []string{
		"## Example\n", "| CPU of bare |", "| Postern <&> | HS256 | 0.50 (0.50 to 0.50) | 2.00 | 1.00 | 2.00 | 50 |\n| bare |  | 1.00", "included): 1 before.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "HAProxy") {
		t.Error("HAProxy is a measure where it did not take part")
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") && len(line) > 101 {
			t.Errorf("a line is %d long: %s", len(line), line)
		}
	}
	if got := (&field{}).compared("Nothing", []*contender{{name: "bare"}}, nil); len(got.Rows) != 0 {
		t.Errorf("rows without samples: %+v", got)
	}
}

// TestThePlotHasABarForEach, is XML whatever a name is, and stays within its frame.
func TestThePlotHasABarForEach(t *testing.T) {
	t.Parallel()
	of := example()
	svg := of.svg()
	wellFormed(t, string(svg))
	if n := bytes.Count(svg, []byte("<rect ")); n != len(of.Rows)+1 {
		t.Errorf("%d rectangles, want the ground and %d bars:\n%s", n, len(of.Rows), svg)
	}
	if !bytes.Contains(svg, []byte("Postern &lt;&amp;&gt;")) {
		t.Errorf("the name is not escaped:\n%s", svg)
	}
}

// TestEveryConfigurationIsFilledIn: no field of a template is left or misnamed.
func TestEveryConfigurationIsFilledIn(t *testing.T) {
	t.Parallel()
	f := &field{dir: t.TempDir()}
	v := values{Dir: f.dir, Listen: "127.0.0.1:1", Upstream: "127.0.0.1:2", Verifier: "127.0.0.1:3", Secret: secret, Issuer: issuer, Audience: audience}
	used := map[string]bool{"njs.js": true, "gateway.yaml": true}
	for _, p := range peers() {
		if p.configuration == "" {
			continue
		}
		used[p.configuration] = true
		name, err := f.configure(p.configuration, p.configuration, v)
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
			continue
		}
		text := readFile(t, name)
		if !strings.Contains(text, v.Listen) || !strings.Contains(text, v.Upstream) || strings.Contains(text, "{{") {
			t.Errorf("%s:\n%s", p.name, text)
		}
	}
	files, err := peerFiles.ReadDir("peers")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !used[file.Name()] {
			t.Errorf("nobody uses peers/%s", file.Name())
		}
	}
	if _, err := f.configure("gateway.yaml", "x.yaml", v); err == nil {
		t.Error("a template with other fields was filled in")
	}
}

// TestATableOfAnotherProgramIsTakenOver as it is, and no table is a fault.
func TestATableOfAnotherProgramIsTakenOver(t *testing.T) {
	t.Parallel()
	var got table
	if err := got.read("| memory | bare | Postern |\n| --- | --- | --- |\n| at rest | 8 MiB | 20 MiB |\n"); err != nil {
		t.Fatal(err)
	}
	if strings.Join(got.Head, ",") != "memory,bare,Postern" || len(got.Rows) != 1 || strings.Join(got.Rows[0].cells, ",") != "at rest,8 MiB,20 MiB" {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"", "| memory |\n| --- |\n"} {
		if err := new(table).read(bad); err == nil {
			t.Errorf("%q is a table", bad)
		}
	}
}

func TestRotationsAreReadFromTheBenchmark(t *testing.T) {
	t.Parallel()
	n, err := parseRotations([]byte("BenchmarkRotate/group/workers=64-2  \t  12345\t  81000 ns/op\t  12300.5 rotations/s\nPASS\n"))
	if err != nil || n != 12300.5 {
		t.Errorf("%v, %v", n, err)
	}
	if n, err := parseRotations([]byte("PASS\n")); err == nil {
		t.Errorf("no benchmark ran, and it is %v", n)
	}
}

func TestLinesAreFoldedAtWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 120)
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"  one\n two  ", "one two"},
		{strings.Repeat("ab ", 40), strings.Repeat("ab ", 32) + "ab\n" + strings.TrimSpace(strings.Repeat("ab ", 7))},
		{"a " + long + " b", "a\n" + long + "\nb"},
	} {
		if got := fold(test.text); got != test.want {
			t.Errorf("%q is folded to %q, want %q", test.text, got, test.want)
		}
	}
}

// TestTheReportSaysWhere it was measured, from the machine itself.
func TestTheReportSaysWhere(t *testing.T) {
	t.Parallel()
	r := newReport()
	for _, want := range []string{"cores of", "Linux", "go1."} {
		if !strings.Contains(r.Machine, want) {
			t.Errorf("%q lacks %q", r.Machine, want)
		}
	}
	if load := loadAverage(); !strings.Contains(load, ".") {
		t.Errorf("the load is %q", load)
	}
	if n := hashes(time.Millisecond); n <= 0 {
		t.Errorf("%v hashes a second", n)
	}
}

// TestTheLoadAsksForUsersAndAdministrators, four to one, each path once.
func TestTheLoadAsksForUsersAndAdministrators(t *testing.T) {
	t.Parallel()
	seen, admin := map[string]bool{}, 0
	for _, path := range items().paths {
		seen[path] = true
		if strings.HasPrefix(path, "/admin/") {
			admin++
		}
	}
	if len(seen) != paths || admin != paths/5 {
		t.Errorf("%d paths, %d of them of the administrator", len(seen), admin)
	}
}
