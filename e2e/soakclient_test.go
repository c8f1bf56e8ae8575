package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/websocket"
)

// grant is one login of the soak, which several clients share: one of them
// refreshes it now and then, while the others go on with what they have.
type grant struct {
	user string
	mu   sync.Mutex // guards the following
	tokens
}

// access is the token to ask with.
func (g *grant) access() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.AccessToken
}

// guest is a well-behaved client: it checks every answer, byte for byte, for
// being the one to its own request.
type guest struct {
	s     *soak
	kind  string
	grant *grant
	http  *http.Client
	n     int // of its requests
}

// errWrong ends a step that the gateway has answered wrongly.
var errWrong = errors.New("wrong")

// begin makes a request with an id that no other has.
func (c *guest) begin(ctx context.Context, method, path string, body io.Reader) (*http.Request, string) {
	r, err := http.NewRequestWithContext(ctx, method, c.s.base+path, body)
	if err != nil {
		panic(err) // the paths are constants
	}
	c.n++
	id := fmt.Sprintf("%s-%d", c.kind, c.s.ids.Add(1))
	r.Header.Set("X-Request-Id", id)
	r.Header.Set("Authorization", "Bearer "+c.grant.access())
	return r, id
}

// ask sends a request, has the body judged, and writes down what is wrong.
func (c *guest) ask(method, path string, body io.Reader, judge func(id string, body io.Reader) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, id := c.begin(ctx, method, path, body)
	if rand.IntN(4) == 0 && body != nil {
		r.Header.Set("Expect", "100-continue")
	}
	return c.send(r, id, judge)
}

// send is ask for a request that is made.
func (c *guest) send(r *http.Request, id string, judge func(id string, body io.Reader) error) error {
	res, err := c.http.Do(r)
	if err != nil {
		return c.wrong(id, r, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return c.wrong(id, r, fmt.Errorf("%s: %s", res.Status, text))
	}
	for name, want := range map[string]string{"X-Echo-Id": id, "X-Echo-User": c.grant.user} {
		if got := res.Header.Get(name); got != want {
			return c.wrong(id, r, fmt.Errorf("%s is %q, want %q: the answer is another's", name, got, want))
		}
	}
	if err := judge(id, res.Body); err != nil {
		return c.wrong(id, r, err)
	}
	return nil
}

// wrong notes a failure of a good request.
func (c *guest) wrong(id string, r *http.Request, err error) error {
	c.s.fail(id, fmt.Sprintf("%s %s: %v", r.Method, r.URL.Path, err))
	return errWrong
}

// sequenceBody has a body judged for being n bytes of the request's sequence.
func sequenceBody(n int) func(string, io.Reader) error {
	return func(id string, body io.Reader) error { return sameSequence(id, body, n) }
}

// connect makes a connection of HTTP/2, on which the others then are. net/http
// gives its two sides two seconds to say the first word, which is little on a
// machine that has other things to do: as clients do, this one tries again.
func (c *guest) connect() {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		res, err := c.http.Get(c.s.base + "/public/echo")
		if err == nil {
			res.Body.Close()
			return
		}
	}
}

// page gets something small, of an application that may die meanwhile or of one
// that does not.
func (c *guest) page() error {
	path := "/app/echo"
	if c.n%2 == 0 {
		path = "/mortal/echo"
	}
	n := rand.IntN(1500) // one packet: a process that is killed has sent all of it, or nothing
	return c.ask("GET", fmt.Sprintf("%s?n=%d", path, n), nil, sequenceBody(n))
}

// once is page over a connection of its own.
func (c *guest) once() error {
	defer c.http.CloseIdleConnections()
	return c.page()
}

// post sends a small body and gets it back, with something behind it.
func (c *guest) post() error {
	sent, n := sequenceOf(fmt.Sprint("body", c.n), rand.IntN(64<<10)), rand.IntN(8<<10)
	var body io.Reader = bytes.NewReader(sent)
	if c.n%2 == 0 {
		body = io.MultiReader(body) // no length: chunked
	}
	return c.ask("POST", fmt.Sprintf("/app/echo?n=%d", n), body, func(id string, answer io.Reader) error {
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(answer, got); err != nil || !bytes.Equal(got, sent) {
			return fmt.Errorf("what was sent comes back otherwise (%v)", err)
		}
		return sameSequence(id, answer, n)
	})
}

// upload sends a large body, and gets its digest.
func (c *guest) upload() error {
	name, n := fmt.Sprint("upload", c.n), int64(c.s.large)
	sum := sha256.New()
	body := io.TeeReader(io.LimitReader(sequence(name), n), sum)
	return c.ask("PUT", "/app/digest", body, func(_ string, answer io.Reader) error {
		got, err := io.ReadAll(answer)
		if want := hex.EncodeToString(sum.Sum(nil)); err != nil || string(got) != want {
			return fmt.Errorf("the digest is %q, want %q (%v)", got, want, err)
		}
		return nil
	})
}

// download gets a large body, with and without a length.
func (c *guest) download() error {
	path := fmt.Sprintf("/app/stream?n=%d", c.s.large)
	if c.n%2 == 0 {
		path += "&l"
	}
	return c.ask("GET", path, nil, sequenceBody(c.s.large))
}

// events reads an event stream to its end.
func (c *guest) events() error {
	const n = 20
	return c.ask("GET", fmt.Sprintf("/app/events?n=%d", n), nil, func(id string, body io.Reader) error {
		in := bufio.NewReader(body)
		for i := range n {
			line, err := in.ReadString('\n')
			if want := fmt.Sprintf("data: %s %d\n", id, i); err != nil || line != want {
				return fmt.Errorf("event %d is %q, want %q (%v)", i, line, want, err)
			}
			if empty, err := in.ReadString('\n'); err != nil || empty != "\n" {
				return fmt.Errorf("after event %d comes %q (%v)", i, empty, err)
			}
		}
		if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
			return fmt.Errorf("behind the last event comes %q (%v)", rest, err)
		}
		return nil
	})
}

// dial opens a WebSocket.
func (c *guest) dial() (*websocket.Conn, *http.Request, string, error) {
	r, id := c.begin(context.Background(), "GET", "/app/ws", nil)
	conf, err := websocket.NewConfig("ws"+strings.TrimPrefix(c.s.base, "http")+"/app/ws", c.s.base)
	if err != nil {
		panic(err) // the address is the test's own
	}
	conf.Header, conf.TlsConfig = r.Header, &tls.Config{InsecureSkipVerify: true} // the certificate is this test's own
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	conn, err := conf.DialContext(ctx)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(patience))
	}
	return conn, r, id, err
}

// talk says things over a WebSocket, of several sizes, and hears each again.
func (c *guest) talk() error {
	conn, r, id, err := c.dial()
	if err != nil {
		return c.wrong(id, r, err)
	}
	defer conn.Close()
	for i := range 10 {
		said, heard := fmt.Sprint(i, " ", strings.Repeat("x", rand.IntN(20_000))), ""
		if err = websocket.Message.Send(conn, said); err == nil {
			err = websocket.Message.Receive(conn, &heard)
		}
		if err != nil || heard != id+" "+said {
			return c.wrong(id, r, fmt.Errorf("message %d: %d bytes come back as %d, %.80q (%v)", i, len(said), len(heard), heard, err))
		}
	}
	return nil
}

// leave goes away in the middle of something, as clients do. Nothing is wrong
// with that: only what is left of it afterwards would be.
func (c *guest) leave() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var r *http.Request
	switch c.n % 4 {
	case 0:
		r, _ = c.begin(ctx, "GET", fmt.Sprintf("/app/stream?n=%d", c.s.large), nil)
	case 1:
		r, _ = c.begin(ctx, "GET", "/app/events?n=1000", nil)
	case 2: // the body ends where nobody expects it
		r, _ = c.begin(ctx, "POST", "/app/digest", &cancelling{left: 100_000, cancel: cancel})
	default:
		if conn, _, _, err := c.dial(); err == nil {
			_ = conn.Close()
		}
		return nil
	}
	if res, err := c.http.Do(r); err == nil {
		_, _ = io.CopyN(io.Discard, res.Body, 50)
		cancel()
		res.Body.Close()
	}
	return nil
}

// cancelling is a body whose sender gives up after some bytes.
type cancelling struct {
	left   int
	cancel context.CancelFunc
}

func (b *cancelling) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.cancel()
	}
	b.left -= len(p)
	return len(p), nil
}

// session logs in, refreshes several times, asks with each token, and logs out:
// then the token is worth nothing.
func (c *guest) session() error {
	mine := &grant{user: c.grant.user}
	c = &guest{s: c.s, kind: c.kind, http: c.http, grant: mine}
	if err := c.take("/auth/login", map[string]string{"username": mine.user, "password": passwordOf(mine.user)}); err != nil {
		return err
	}
	for range 5 {
		if err := c.renew(); err != nil {
			return err
		}
		if err := c.page(); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		method, path string
		want         int
	}{{"POST", "/auth/logout", http.StatusNoContent}, {"GET", "/app/echo", http.StatusUnauthorized}} {
		r, id := c.begin(context.Background(), step.method, step.path, nil)
		res, err := c.http.Do(r)
		if err != nil {
			return c.wrong(id, r, err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != step.want {
			return c.wrong(id, r, fmt.Errorf("%s, want %d (%v)", res.Status, step.want, err))
		}
	}
	return nil
}

// renew spends the grant's refresh token.
func (c *guest) renew() error {
	c.grant.mu.Lock()
	token := c.grant.RefreshToken
	c.grant.mu.Unlock()
	return c.take("/auth/refresh", map[string]string{"refresh_token": token})
}

// take asks one of the gateway's own endpoints for tokens.
func (c *guest) take(path string, fields map[string]string) error {
	text, _ := json.Marshal(fields)
	r, id := c.begin(context.Background(), "POST", path, bytes.NewReader(text))
	r.Header.Del("Authorization")
	r.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(r)
	if err != nil {
		return c.wrong(id, r, err)
	}
	defer res.Body.Close()
	var got tokens
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode != http.StatusOK || got.User.Username != c.grant.user {
		return c.wrong(id, r, fmt.Errorf("%s for %s, want 200 for %s (%v)", res.Status, got.User.Username, c.grant.user, err))
	}
	c.grant.mu.Lock()
	defer c.grant.mu.Unlock()
	c.grant.tokens = got
	return nil
}

// keep renews the grant that others ask with, at every thirtieth page of its own.
func (c *guest) keep() error {
	if c.n%30 == 0 {
		c.n++
		return c.renew()
	}
	return c.page()
}

// counted is how often each kind of client has done its work.
type counted struct {
	kind string
	done atomic.Int64
}
