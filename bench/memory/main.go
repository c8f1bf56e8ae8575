// Package main measures the memory of Postern, next to that of a bare
// httputil.ReverseProxy that does nothing else: at rest, with many idle
// connections, and with many large transfers at once. It prints a table.
//
//	go build -o bin/postern ./cmd/postern && go run ./bench/memory -postern bin/postern
//
// Postern runs as it does by default, with its access log in a file, metrics
// and the embedded store; every request carries an access token. Each figure is
// of a process that was started for it, and the median of several.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"
)

// plan is what is measured.
type plan struct {
	postern   string // the binary
	idle      int    // connections
	transfers int    // at once
	size      int64  // of each transfer, in bytes
	rounds    int
}

// main measures, or plays the part that roleVariable names: the application, the
// clients and the bare proxy are this very binary, started again.
func main() {
	play(os.Getenv(roleVariable), os.Args)
	var p plan
	flag.StringVar(&p.postern, "postern", "bin/postern", "the binary that is measured")
	flag.IntVar(&p.idle, "idle", 5000, "idle connections")
	flag.IntVar(&p.transfers, "transfers", 200, "transfers at once")
	flag.Int64Var(&p.size, "size", 10<<20, "bytes of a transfer")
	flag.IntVar(&p.rounds, "rounds", 3, "how often each is measured")
	flag.Parse()
	if err := p.run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run measures all, the two programs in turn, and prints the table.
func (p *plan) run(out io.Writer) error {
	if err := p.enoughFiles(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "postern-memory-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	app, err := startRole(roleApp)
	if err != nil {
		return err
	}
	defer app.stop()
	postern, err := newGateway(p.postern, filepath.Join(dir, "postern"), app.addr)
	if err != nil {
		return err
	}
	programs := []program{&bare{app.addr}, postern}
	found := make([]results, len(programs))
	for range p.rounds {
		for i, program := range programs {
			if err := p.measure(program, &found[i]); err != nil {
				return fmt.Errorf("%s: %w", program.name(), err)
			}
		}
	}
	p.print(out, programs, found)
	return nil
}

// atRest is how long nothing is asked of a program before its memory at rest is
// read: what it does by itself after work is done.
const atRest = 2 * time.Second

// results are the figures of one program, in bytes, one of each for each round.
type results struct {
	rest, idle, each, down, up []int64
}

// measure takes one round of figures of one program.
func (p *plan) measure(of program, found *results) error {
	for _, kind := range []struct {
		load func(*process) (int64, error)
		into *[]int64
	}{
		{p.holdIdle, &found.idle},
		{p.download, &found.down},
		{p.upload, &found.up},
	} {
		running, err := of.start()
		if err != nil {
			return err
		}
		time.Sleep(atRest)
		rest, err := running.resident()
		if err == nil {
			var n int64
			if n, err = kind.load(running); err == nil {
				*kind.into = append(*kind.into, n)
			}
		}
		running.stop()
		if err != nil {
			return err
		}
		found.rest = append(found.rest, rest)
	}
	last := len(found.idle) - 1
	rest := found.rest[len(found.rest)-3] // of the same process
	found.each = append(found.each, (found.idle[last]-rest)/int64(p.idle))
	return nil
}
