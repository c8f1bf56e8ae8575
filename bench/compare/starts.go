package main

import (
	"fmt"
	"net"
	"time"
)

// compareStarts is what a restart or a new container costs. It measures from the
// start of the process to the first answer, with a store that exists.
func compareStarts(f *field) (t table, err error) {
	t = table{Title: "Starts", Head: []string{"", "ms to the first answer (quartiles)", "MiB (RSS) then"}, Text: "Both cores, a store that exists, " +
		"from the start of the process to the answer to a request for the last of its routes."}
	for _, n := range f.starts {
		g := byDefault()
		g.name, g.cores = fmt.Sprintf("Postern, %d routes", n), both
		for i := range n {
			g.routes = append(g.routes, fmt.Sprintf("/r%d/**", i))
		}
		all, err := f.run(g)
		if err != nil {
			return t, err
		}
		c := all[0]
		args := f.last().Args[3:] // without taskset
		f.end(1)
		var took []float64
		var held int64
		for range f.rounds {
			began := time.Now()
			cmd, err := f.start(g.name, launch{core: both, args: args})
			if err != nil {
				return t, err
			}
			if err := firstAnswer(c, n-1); err != nil {
				return t, fmt.Errorf("%w: %w", err, f.said(g.name))
			}
			took = append(took, float64(time.Since(began).Microseconds())/1000)
			if held, _, err = memory([]int{cmd.Process.Pid}); err != nil {
				return t, err
			}
			f.end(1)
		}
		t.add(g.name, fmt.Sprintf("%.0f (%.0f to %.0f)", median(took), quantile(took, .25), quantile(took, .75)), mebibytes(held))
	}
	return t, nil
}

// firstAnswer asks as soon as somebody listens. Until then it tries each
// millisecond, which is how exact the figure is.
func firstAnswer(c *contender, route int) error {
	for range 60_000 {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		conn.Close()
		w, err := dial(c.address)
		if err != nil {
			return err
		}
		defer w.conn.Close()
		return w.get(fmt.Sprintf("/r%d/x", route), c.tried.admin)
	}
	return fmt.Errorf("nobody listens at %s", c.address)
}
