package main

import (
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// atRest is how long nothing is asked of a contender before it is looked at: what
// it does by itself after work, a collection above all, is done.
const atRest = 2 * time.Second

// compareMemory looks at each contender by itself, freshly started.
func compareMemory(f *field) (t table, err error) {
	t = table{
		Title: "Memory", Head: []string{"", "MiB at rest (RSS)", "KiB per idle connection (PSS)"},
		Text: fmt.Sprintf("At rest is before the first request under load, after those that it was tried with. Then %d clients connect, ask once and keep "+
			"the connection; what all processes grow by is shared out among these. What the kernel keeps for sockets is not in it.", f.idle),
	}
	for _, name := range []string{"bare", "HAProxy", "nginx njs", "Apache", "Caddy"} {
		if err := f.weigh(&t, func() ([]*contender, error) { return f.enter(name) }); err != nil {
			return t, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, g := range []gateway{quiet(), byDefault()} {
		if err := f.weigh(&t, func() ([]*contender, error) { return f.rested(g) }); err != nil {
			return t, fmt.Errorf("%s: %w", g.name, err)
		}
	}
	return t, nil
}

// rested leaves out the memory of the first hashes (19 MiB each), which a gateway
// that nobody logs in to does not need. It is a gateway that was started anew
// after it had made its accounts, as every start but the first is.
func (f *field) rested(g gateway) ([]*contender, error) {
	all, err := f.run(g)
	if err != nil {
		return nil, err
	}
	return all, f.restart(all[0])
}

// restart ends the contender that was started last and starts it again.
func (f *field) restart(c *contender) error {
	args := f.last().Args[3:] // without taskset
	f.endLast()
	cmd, err := f.start(c.name, launch{core: measured, args: args})
	if err != nil {
		return err
	}
	c.groups = []int{cmd.Process.Pid}
	return await(cmd, c.address)
}

// weigh starts a contender, adds its line, and ends it. Idle connections are
// counted by proportional memory, since pages that the workers of nginx or Apache
// share are not needed twice.
func (f *field) weigh(t *table, start func() ([]*contender, error)) error {
	all, err := start()
	if err != nil {
		return err
	}
	c := all[0]
	defer f.end(1) // the application stays
	time.Sleep(atRest)
	resting, before, err := memory(c.groups)
	if err != nil {
		return err
	}
	wires, err := occupy(c, f.idle)
	defer func() {
		for _, w := range wires {
			w.conn.Close()
		}
	}()
	if err != nil {
		return err
	}
	time.Sleep(atRest)
	_, after, err := memory(c.groups)
	t.add(c.name, mebibytes(resting), fmt.Sprintf("%.1f", float64(after-before)/float64(f.idle)/1024))
	return err
}

// occupy connects, asks once on each connection, and keeps them.
func occupy(c *contender, connections int) (wires []*wire, err error) {
	for range connections {
		w, err := dial(c.address)
		if err != nil {
			return wires, err
		}
		wires = append(wires, w)
		if err := w.get("/app/items/1", c.tried.admin); err != nil {
			return wires, err
		}
	}
	return wires, nil
}

// compareTransfers has bench/memory measure, which has a table of its own.
func compareTransfers(f *field) (t table, err error) {
	t = table{Title: "Memory under large transfers", Text: "Postern as it is by default, on both cores, and a bare httputil.ReverseProxy, with processes of their " +
		"own for each figure; transfers run at once, and none ends before all have begun. Measured by bench/memory, the median of three and from where to where."}
	out, err := exec.Command("taskset", "-c", both, f.program("memory"), "-postern", f.program("postern")).Output()
	if err != nil {
		return t, fmt.Errorf("bench/memory: %w", err)
	}
	return t, t.read(string(out))
}

// read takes over a table that is written as text.
func (t *table) read(text string) error {
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case t.Head == nil:
			t.Head = cells
		case cells[0] == "---":
		default:
			t.add(cells...)
		}
	}
	if len(t.Rows) == 0 {
		return fmt.Errorf("there is no table in: %s", text)
	}
	return nil
}
