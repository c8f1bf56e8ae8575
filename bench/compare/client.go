package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/posternhq/postern/bench/loopback"
)

// wire is one connection that asks for one thing after the other. It costs less
// than net/http's client, so that this program's core does not set the pace.
type wire struct {
	conn net.Conn
	br   *bufio.Reader
}

// dial opens a connection to an address. No timeout is set: what is measured
// runs on this machine, and who starts it waits until it answers.
func dial(address string) (*wire, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &wire{conn, bufio.NewReaderSize(conn, 4<<10)}, nil
}

// post sends JSON and reads a grant.
func (w *wire) post(path, body string) (g loopback.Grant, err error) {
	_, err = fmt.Fprintf(w.conn, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	if err != nil {
		return g, err
	}
	text, err := w.answer()
	if err != nil {
		return g, fmt.Errorf("POST %s: %w", path, err)
	}
	return g, json.Unmarshal(text, &g)
}

// get asks for a path with a token.
func (w *wire) get(path, token string) error {
	if _, err := fmt.Fprintf(w.conn, "GET %s HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\nAuthorization: Bearer %s\r\n\r\n", path, token); err != nil {
		return err
	}
	_, err := w.answer()
	return err
}

// answer reads one that has to be good. The body is read to its end, or the next
// answer would begin within it.
func (w *wire) answer() ([]byte, error) {
	res, err := http.ReadResponse(w.br, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, text)
	}
	return text, err
}

// mint is how a gateway is made to sign: there is no other way to a token of its
// own, and a refresh costs a hundredth of a login. mint refreshes until there are
// so many access tokens, all different; each session of the contender takes its
// share.
func (c *contender) mint(n int) (tokens []string, err error) {
	shares := make([][]string, len(c.sessions))
	faults := make([]error, len(c.sessions))
	var all sync.WaitGroup
	for i := range c.sessions {
		all.Go(func() {
			faults[i] = c.refresh(i, func(access string) bool {
				shares[i] = append(shares[i], access)
				return len(shares[i]) < (n+len(shares)-1)/len(shares)
			})
		})
	}
	all.Wait()
	for i := range shares {
		tokens = append(tokens, shares[i]...)
		if err == nil {
			err = faults[i]
		}
	}
	return tokens, err
}

// refresh rotates one session until there are enough tokens.
func (c *contender) refresh(session int, more func(access string) bool) error {
	w, err := dial(c.address)
	if err != nil {
		return err
	}
	defer w.conn.Close()
	for {
		g, err := w.post("/auth/refresh", `{"refresh_token":"`+c.sessions[session]+`"}`)
		if err != nil {
			return err
		}
		c.sessions[session] = g.Refresh
		if !more(g.Access) {
			return nil
		}
	}
}

// begin logs in until the contender has so many sessions.
func (c *contender) begin(sessions int) error {
	for len(c.sessions) < sessions {
		g, err := loopback.Login(c.address, "admin", password)
		if err != nil {
			return err
		}
		c.sessions = append(c.sessions, g.Refresh)
	}
	return nil
}

// flood has so many workers log in until ctx ends, and counts.
func flood(ctx context.Context, address string, workers int) (int, error) {
	counts, faults := make([]int, workers), make([]error, workers)
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			w, err := dial(address)
			if err != nil {
				faults[i] = err
				return
			}
			defer w.conn.Close()
			for ctx.Err() == nil && faults[i] == nil {
				_, faults[i] = w.post("/auth/login", `{"username":"admin","password":"`+password+`"}`)
				counts[i]++
			}
		})
	}
	all.Wait()
	sum := 0
	for i := range counts {
		if faults[i] != nil {
			return 0, faults[i]
		}
		sum += counts[i]
	}
	return sum, nil
}

// probe asks every few milliseconds for a while, and says in how many each was
// answered.
func probe(c *contender, token string, during time.Duration) (took []float64, err error) {
	w, err := dial(c.address)
	if err != nil {
		return nil, err
	}
	defer w.conn.Close()
	next := time.NewTicker(5 * time.Millisecond)
	defer next.Stop()
	for end := time.Now().Add(during); time.Now().Before(end); <-next.C {
		asked := time.Now()
		if err := w.get("/app/items/1", token); err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(asked).Microseconds())/1000)
	}
	return took, nil
}
