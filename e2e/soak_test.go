package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const soakConfig = `
listen: {LISTEN}
public_url: SCHEME://{LISTEN}
admin: { listen: "{ADMIN}" }
log: { level: debug, format: json }
limits: { connections: 4000 }
upstreams:
  - { name: steady, urls: [STEADY], transport: TRANSPORT, timeouts: { dial: 50s, response_header: 50s, idle: 1h } }
  - { name: mortal, urls: [MORTAL], transport: TRANSPORT, timeouts: { dial: 50s, response_header: 50s, idle: 1h }, health: { path: /healthz, interval: 1s, timeout: 50s } }
auth:
  lockout: { attempts: 1000, window: 10m, duration: 15m }
routes:
  - { path: /public/**, upstream: steady, allow: anyone }
  - { path: /app/**, upstream: steady, allow: authenticated }
  - { path: /mortal/**, upstream: mortal, allow: authenticated }
`

// soak is a gateway at full load, and all that goes wrong around it.
type soak struct {
	*gateway
	base    string // of its URLs
	secure  bool
	large   int // bytes of a large body
	slow    int // connections of each attack
	mortal  []*animal
	grants  []*grant
	admins  *http.Client
	clients []*http.Client
	ids     atomic.Int64
	work    []*counted
	log     *logTail

	mu     sync.Mutex // guards the following
	failed []failure
}

// failure is a good request that was not answered as it should have been.
type failure struct{ id, what string }

// fail notes a failure.
func (s *soak) fail(id, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = append(s.failed, failure{id, what})
}

// TestSoak is the gateway at full load for a while: clients of every kind that
// check each answer, while one of the applications after another is killed and
// started again, the configuration is changed, broken and mended, accounts and
// keys are changed by the commands, and four kinds of slow clients hold all the
// connections that they get. No good request fails, and when all is over the
// gateway has as many goroutines and files as it had before, and no more memory
// in use than after the first round.
//
// The long form takes as long as POSTERN_TEST_SOAK says, over each of the wires.
func TestSoak(t *testing.T) {
	t.Parallel()
	need(t, "slowhttptest")
	round, rounds := 6*time.Second, 1
	if long := os.Getenv("POSTERN_TEST_SOAK"); long != "" {
		total, err := time.ParseDuration(long)
		if err != nil {
			t.Fatalf("POSTERN_TEST_SOAK: %v", err)
		}
		round, rounds = total/5, 5
	}
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			if rounds == 1 { // else the figures of one would be the other's as well
				t.Parallel()
			}
			s := startSoak(t, scheme, rounds > 1)
			start := s.settle(figures{})
			s.round(t, round/4) // the first fills what is kept: decisions, tokens, buffers
			first := s.settle(start)
			last := first
			for range rounds {
				s.round(t, round)
				last = s.settle(start)
				t.Logf("%v after %v; at the start %v, after the first round %v", last, s.counts(), start, first)
			}
			const margin = 32 << 20 // what is in use moves by half as much from one collection to the next
			if last.live > first.live+margin {
				t.Errorf("%d MiB are in use, after the first round it was %d MiB", last.live>>20, first.live>>20)
			}
			if most := 2*first.rss + 2*margin; last.rss > most {
				t.Errorf("the process has %d MiB, after the first round it had %d MiB", last.rss>>20, first.rss>>20)
			}
			if status := s.stop(); status != 0 {
				t.Errorf("exit status %d\n%s", status, s.stderr)
			}
		})
	}
}

// newSoak can read the figures of a gateway.
func newSoak(g *gateway) *soak {
	return &soak{gateway: g, admins: &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}}
}

// startSoak starts the applications and the gateway, and logs in.
func startSoak(t *testing.T, scheme string, long bool) *soak {
	s := newSoak(nil)
	s.secure, s.large, s.slow = scheme == "https", 2<<20, 50
	if long {
		s.large, s.slow = 10<<20, 250
	}
	s.mortal = []*animal{newSoakApp(t), newSoakApp(t), newSoakApp(t)}
	transport := map[string]string{"http": "lean", "https": "standard"}[scheme]
	config := strings.NewReplacer("SCHEME", scheme, "TRANSPORT", transport, "[STEADY]", urlsOf(newSoakApp(t), newSoakApp(t)), "[MORTAL]", urlsOf(s.mortal...)).Replace(soakConfig)
	if s.secure {
		config = "tls: { cert_file: cert.pem, key_file: cert.key }\n" + config // routes stay last: some are appended
	}
	s.gateway = prepare(t, config)
	s.base = scheme + "://" + s.addr
	if s.secure {
		s.writeCertificate("127.0.0.1")
	}
	for i := range 3 {
		s.addUser(fmt.Sprint("guest", i), "user")
		s.grants = append(s.grants, &grant{user: fmt.Sprint("guest", i)})
	}
	s.write("commands.yaml", s.gateway.read("gateway.yaml")) // which nobody breaks
	s.start()
	s.log = &logTail{t: t, path: s.stdout.file.Name(), events: map[string]int{}}
	for _, grant := range s.grants {
		c := s.newGuest("login", grant, false)
		if err := c.take("/auth/login", map[string]string{"username": grant.user, "password": passwordOf(grant.user)}); err != nil {
			t.Fatal(s.failed)
		}
		c.http.CloseIdleConnections()
	}
	return s
}

// newGuest makes a client, which speaks HTTP/2 where that is wanted.
func (s *soak) newGuest(kind string, grant *grant, h2 bool) *guest {
	transport := &http.Transport{DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the certificate is this test's own
		ExpectContinueTimeout: patience, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!h2)
	transport.Protocols.SetHTTP2(h2)
	return &guest{s: s, kind: kind, grant: grant, http: &http.Client{Transport: transport, Timeout: patience}}
}

// round is one round of load. It ends when its time is over and each kind of
// client has come to its end several times: none of them may starve.
func (s *soak) round(t *testing.T, length time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	quiet := s.figures()
	var around, good sync.WaitGroup
	for _, disturb := range []func(context.Context){s.killOnes, s.reloadOften, s.command} {
		around.Go(func() { disturb(ctx) })
	}
	s.attack(ctx, &around)
	eventually(t, "the slow clients hold their connections", func() bool { return s.figures().files >= quiet.files+s.slow })
	s.work = nil
	s.admit(ctx, &good)
	<-time.After(length)
	for _, work := range s.work {
		eventually(t, work.kind+" has done its work", func() bool { return work.done.Load() >= 2 || s.anyFailed() })
	}
	cancel()
	good.Wait()
	around.Wait()
	s.report(t)
}

func (s *soak) anyFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.failed) > 0
}

// admit starts the good clients.
func (s *soak) admit(ctx context.Context, good *sync.WaitGroup) {
	for _, kind := range []struct {
		name string
		n    int
		h2   bool
		work func(*guest) error
	}{
		{"keep", len(s.grants), false, (*guest).keep},
		{"page", 3, false, (*guest).page},
		{"h2-page", 3, true, (*guest).page},
		{"once", 1, false, (*guest).once},
		{"post", 2, false, (*guest).post},
		{"h2-post", 2, true, (*guest).post},
		{"upload", 1, false, (*guest).upload},
		{"h2-upload", 1, true, (*guest).upload},
		{"download", 1, false, (*guest).download},
		{"h2-download", 1, true, (*guest).download},
		{"events", 2, false, (*guest).events},
		{"h2-events", 2, true, (*guest).events},
		{"talk", 2, false, (*guest).talk},
		{"session", 1, false, (*guest).session},
		{"leave", 1, false, (*guest).leave},
		{"h2-leave", 1, true, (*guest).leave},
	} {
		if kind.h2 && !s.secure {
			continue
		}
		work := &counted{kind: kind.name}
		s.work = append(s.work, work)
		shared := s.newGuest(kind.name, nil, kind.h2) // one connection, or so
		s.clients = append(s.clients, shared.http)
		for i := range kind.n {
			c := *shared
			c.grant = s.grants[i%len(s.grants)]
			good.Go(func() {
				defer c.http.CloseIdleConnections()
				c.connect()
				for ctx.Err() == nil && kind.work(&c) == nil {
					work.done.Add(1)
				}
			})
		}
	}
}

// counts is what the clients have done.
func (s *soak) counts() string {
	var words []string
	for _, work := range s.work {
		words = append(words, fmt.Sprint(work.kind, " ", work.done.Load()))
	}
	return strings.Join(words, ", ")
}

// killOnes kills one application after the other, and starts it again.
func (s *soak) killOnes(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		a := s.mortal[i%len(s.mortal)]
		series := fmt.Sprintf(`postern_upstream_healthy{upstream="mortal",url="http://%s"}`, a.addr)
		a.kill()
		eventually(s.t, "the killed application is out", func() bool { return s.scrape()[series] == 0 })
		a.start()
		eventually(s.t, "the started application is back", func() bool { return s.scrape()[series] == 1 })
	}
}

// reloadOften changes the file, in ways that are right and in ways that are not,
// and has it read by a signal and without one.
func (s *soak) reloadOften(ctx context.Context) {
	good := s.gateway.read("gateway.yaml")
	defer s.write("gateway.yaml", good)
	turned := strings.Replace(good, "idle: 1h", "idle: 59m", 1)
	steps := []struct {
		text, event string
		signal      bool
	}{
		{turned + "  - { path: /more/**, upstream: steady, allow: anyone }\n", "reload", false},
		{turned + "  - { path: /more/**, upstream: nowhere, allow: anyone }\n", "reload_refused", true},
		{good, "reload", true},
		{good + "nonsense", "reload_refused", false},
		{good, "reload", false},
	}
	for i := 0; ctx.Err() == nil; i++ {
		step := steps[i%len(steps)]
		before := s.log.count(step.event)
		s.write("gateway.yaml", fmt.Sprintf("# %d\n%s", i, step.text)) // the watch takes what was there before for no change
		if step.signal {
			_ = s.cmd.Process.Signal(syscall.SIGHUP)
		}
		eventually(s.t, "audit line "+step.event, func() bool { return s.log.count(step.event) > before })
	}
}

// command changes accounts and keys from outside, as an operator does.
func (s *soak) command(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		for _, args := range [][]string{
			{"user", "add", "other", "--role", "user"}, {"user", "set", "other", "--role", "admin"}, {"user", "disable", "other"},
			{"key", "rotate"}, {"session", "list"}, {"user", "delete", "other"}, {"backup", fmt.Sprintf("backup-%d.db", s.ids.Add(1))},
		} {
			r := run(s.t, s.dir, "a-password-of-others\n", append(args, "--config", "commands.yaml")...)
			if r.status != 0 {
				s.t.Errorf("postern %s: exit status %d\n%s", strings.Join(args, " "), r.status, r.stderr)
			}
		}
	}
}

// attack starts the four attacks of slowhttptest: headers, bodies and readers
// that take for ever, and ranges without end. One that has lost its connections
// begins again.
func (s *soak) attack(ctx context.Context, running *sync.WaitGroup) {
	n := strconv.Itoa(s.slow)
	for _, args := range [][]string{
		{"-H", "-i", "3", "-x", "24", "-t", "GET", "-u", s.base + "/public/echo"},
		{"-B", "-i", "3", "-s", "8192", "-x", "20", "-u", s.base + "/public/digest"},
		{"-X", "-n", "3", "-w", "512", "-y", "1024", "-z", "32", "-k", "3", "-u", s.base + "/public/stream?l&n=5000000"},
		{"-R", "-a", "5", "-b", "3000", "-t", "GET", "-u", s.base + "/public/stream?l&n=100000"},
	} {
		args = append(args, "-c", n, "-r", n, "-l", "3600", "-p", "60")
		running.Go(func() {
			for ctx.Err() == nil {
				cmd := exec.CommandContext(ctx, "slowhttptest", args...)
				out := newOutput(s.t)
				cmd.Stdout, cmd.Stderr = out.file, out.file
				if err := cmd.Run(); errors.As(err, new(*exec.Error)) {
					s.t.Error(err)
					return
				}
				out.file.Close()
			}
		})
	}
}

// report fails the test for each request that failed, with what the gateway's
// log says of it.
func (s *soak) report(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failed) == 0 {
		return
	}
	failed := s.failed[:min(len(s.failed), 20)]
	lines := s.log.about(failed)
	for _, f := range failed {
		t.Errorf("%s: %s\n%s", f.id, f.what, lines[f.id])
	}
	t.Fatalf("%d good requests failed", len(s.failed))
}
