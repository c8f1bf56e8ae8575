package gateway

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/posternhq/postern/auth"
)

// provision is how an upstream is told of accounts. It belongs to a snapshot.
type provision struct {
	upstream *upstream
	path     string
	host     string // Host to send; empty: the target's own
	key      []byte
	timeout  time.Duration
}

// The results of a try, as a metric counts them.
const (
	resultDelivered = "delivered"
	resultRefused   = "refused" // answered, and not with 2xx
	resultFailed    = "failed"  // not answered
)

// buildProvisions makes ready those who are told of accounts. Validate has found
// their upstreams and secrets good.
func (s *Snapshot) buildProvisions(g *Gateway, c Config) error {
	for i := range c.Provision {
		key, err := c.Provision[i].key()
		if err != nil {
			return fmt.Errorf("provision[%d].secret: %w", i, err)
		}
		for _, u := range s.upstreams {
			if u.name != c.Provision[i].Upstream {
				continue
			}
			p := provision{upstream: u, path: c.Provision[i].Path, key: key, timeout: orDefault(c.Provision[i].Timeout, defaultProvisionTimeout)}
			if u.keepHost { // the name that the application answers to
				p.host = s.publicURL.Host
			}
			s.provisions = append(s.provisions, p)
		}
		for _, result := range []string{resultDelivered, resultRefused, resultFailed} {
			g.metrics.deliveries.WithLabelValues(c.Provision[i].Upstream, result)
		}
	}
	return nil
}

// provision is how the upstream of a name is told, or nil.
func (s *Snapshot) provision(name string) *provision {
	for i := range s.provisions {
		if s.provisions[i].upstream.name == name {
			return &s.provisions[i]
		}
	}
	return nil
}

// outcome is what became of a try.
type outcome struct {
	status int   // of the answer; zero: there was none
	err    error // why there was none
}

// delivered tells whether the application has the event.
func (o outcome) delivered() bool { return o.status >= 200 && o.status <= 299 }

// away tells a failure that says nothing of the event: nobody answered, or
// somebody did for an application that does not.
func (o outcome) away() bool {
	switch o.status {
	case 0, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// result is the outcome as the metric counts it.
func (o outcome) result() string {
	switch {
	case o.delivered():
		return resultDelivered
	case o.status == 0:
		return resultFailed
	}
	return resultRefused
}

// words say what a log may say of it.
func (o outcome) words() string {
	if o.err != nil {
		return failure(o.err)
	}
	return "answered " + strconv.Itoa(o.status)
}

// kind is what two outcomes have in common that need not both be logged. The
// words of a connection have its port, which is another one each time.
func (o outcome) kind() string {
	var lookup *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(o.err, &lookup):
		return "lookup " + strconv.FormatBool(lookup.IsNotFound)
	case errors.As(o.err, &op):
		return op.Op + " " + op.Err.Error()
	}
	return o.words()
}

// deliver posts an event to the first address of the upstream that can be
// reached.
func (p *provision) deliver(ctx context.Context, n auth.News) (o outcome) {
	body, err := eventBody(n)
	if err != nil {
		return outcome{err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	for tried := tries(0); ; {
		t := p.upstream.balancer.choose(p.upstream.now(), tried)
		if t == nil {
			return o
		}
		tried = tried.with(t)
		o = p.post(ctx, t, n.ID, body)
		t.release()
		if o.status != 0 || ctx.Err() != nil || !isConnect(o.err) {
			return o
		}
	}
}

// post asks one target. What it learns of the target's health is learnt for
// the requests, too.
func (p *provision) post(ctx context.Context, t *target, id string, body []byte) outcome {
	u := p.upstream
	sent := u.now()
	r, err := p.request(t, id, sent, body)
	if err != nil {
		return outcome{err: err}
	}
	res, err := t.roundTrip(r.WithContext(ctx), nil, false)
	switch {
	case err == nil:
		u.note(t, t.health.answered(sent), nil)
	case ctx.Err() != nil: // ours, or too slow: it may be doing well
		return outcome{err: err}
	case isConnect(err):
		u.note(t, t.health.refused(u.now()), err)
		return outcome{err: err}
	default:
		return outcome{err: err}
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // what is left of it ends the connection
	return outcome{status: res.StatusCode}
}

// request is a webhook as the Standard Webhooks specification has it: the id
// stays the same however often it is sent, the time is that of this try, and
// both are signed together with the body. It carries nobody's identity: it
// speaks for the gateway.
func (p *provision) request(t *target, id string, now time.Time, body []byte) (*http.Request, error) {
	wire, ok := t.wireURL(p.path, "", false)
	if !ok {
		return nil, fmt.Errorf("provision.path %s cannot be sent", p.path) // Validate has seen it
	}
	r, err := http.NewRequest(http.MethodPost, t.scheme+"://"+t.host, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.URL, r.Host = wire, cmp.Or(p.host, t.name)
	timestamp := strconv.FormatInt(now.Unix(), 10)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "postern",
		"Webhook-Id": id, "Webhook-Timestamp": timestamp, "Webhook-Signature": sign(p.key, id, timestamp, body),
	} {
		r.Header.Set(name, value)
	}
	return r, nil
}

// sign is the value of webhook-signature.
func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, id+"."+timestamp+".") // a hash takes everything
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// eventBody is what is posted. It is the same at every try.
func eventBody(n auth.News) ([]byte, error) {
	return json.Marshal(struct {
		Type      string          `json:"type"`
		Timestamp time.Time       `json:"timestamp"` // when it happened
		Data      json.RawMessage `json:"data"`
	}{"account." + n.Event, n.Happened.UTC(), n.Data})
}
