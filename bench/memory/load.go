package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// exchangeTimeout bounds one exchange, whatever the machine has to do beside.
const exchangeTimeout = 5 * time.Minute

// openAtOnce bounds how many connections are opened at one time: the queue of a
// listener is short.
const openAtOnce = 64

// enoughFiles tells whether the system lets this process have the connections.
// The limit was raised as far as that goes when the program started: package os
// does so.
func (p *plan) enoughFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if need := uint64(max(p.idle, 2*p.transfers) + 100); limit.Max < need {
		return fmt.Errorf("this process may have %d files open, and %d are needed: raise the limit with ulimit -Hn %d", limit.Max, need, need)
	}
	return nil
}

// holdIdle opens the connections, asks once over each, and answers the memory
// that the process has while all of them are idle.
func (p *plan) holdIdle(of *process) (int64, error) {
	conns := make([]net.Conn, p.idle)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				conn.Close()
			}
		}
	}()
	var group errgroup.Group
	group.SetLimit(openAtOnce)
	for i := range conns {
		group.Go(func() (err error) {
			if conns[i], err = net.Dial("tcp", of.addr); err != nil {
				return err
			}
			res, err := exchange(of, conns[i], "GET /small", 0, nil)
			if err == nil && res != 100 {
				err = fmt.Errorf("an answer of %d bytes, want 100", res)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	time.Sleep(atRest)
	return of.resident()
}

// exchange sends one request and reads its answer to the end. It answers how
// long that was, or for a body the number that it is.
func exchange(of *process, conn net.Conn, line string, length int64, body io.Reader) (int64, error) {
	_ = conn.SetDeadline(time.Now().Add(exchangeTimeout)) // on a closed one the write says so
	res, err := send(of, conn, line, length, body)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if body == nil {
		return io.Copy(io.Discard, res.Body)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(text), 10, 64)
}

// send sends one request, and reads the header of its answer.
func send(of *process, conn net.Conn, line string, length int64, body io.Reader) (*http.Response, error) {
	method, _, _ := strings.Cut(line, " ")
	head := fmt.Sprintf("%s HTTP/1.1\r\nHost: %s\r\n", line, of.addr)
	if of.token != "" {
		head += "Authorization: Bearer " + of.token + "\r\n"
	}
	if body != nil {
		head += fmt.Sprintf("Content-Length: %d\r\n", length)
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return nil, err
	}
	var broken error
	if body != nil {
		_, broken = io.Copy(conn, body) // who is refused half way is told why all the same
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	switch {
	case err != nil:
		return nil, errors.Join(broken, err)
	case res.StatusCode != http.StatusOK || broken != nil:
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10)) // what there is of it
		return nil, fmt.Errorf("%s: %s %s", line, res.Status, text)
	}
	return res, nil
}

// download has all transfers under way at one time, and answers the most memory
// that the process had. Nobody reads on before everybody has begun.
func (p *plan) download(of *process) (int64, error) {
	return p.together(of, func(conn net.Conn, begun func()) (int64, error) {
		res, err := send(of, conn, fmt.Sprintf("GET /down?n=%d", p.size), 0, nil)
		begun()
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		return io.Copy(io.Discard, res.Body)
	})
}

// upload is download in the other direction: each stops half way until all are
// there.
func (p *plan) upload(of *process) (int64, error) {
	return p.together(of, func(conn net.Conn, begun func()) (int64, error) {
		half := io.LimitReader(zeros{}, p.size/2)
		pause := &pausing{wait: begun}
		return exchange(of, conn, "POST /up", p.size, io.MultiReader(half, pause, io.LimitReader(zeros{}, p.size-p.size/2)))
	})
}

// pausing is an empty part of a body that takes its time.
type pausing struct{ wait func() }

// Read waits, and is at its end.
func (p *pausing) Read([]byte) (int, error) { p.wait(); return 0, io.EOF }

// together does as many transfers as there are to be, each on a connection of
// its own. transfer calls begun, which returns when all have called it.
func (p *plan) together(of *process, transfer func(conn net.Conn, begun func()) (int64, error)) (int64, error) {
	var group errgroup.Group
	var all sync.WaitGroup
	all.Add(p.transfers)
	for range p.transfers {
		group.Go(func() error {
			var once sync.Once
			arrive := func() { once.Do(all.Done) }
			defer arrive() // a failure holds up nobody
			conn, err := net.Dial("tcp", of.addr)
			if err != nil {
				return err
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(exchangeTimeout)) // on a closed one the write says so
			n, err := transfer(conn, func() { arrive(); all.Wait() })
			if err == nil && n != p.size {
				err = fmt.Errorf("%d bytes arrived, want %d", n, p.size)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return of.peak()
}
