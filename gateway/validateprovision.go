package gateway

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/policy"
)

// Bounds and default of Provision.Timeout.
const (
	defaultProvisionTimeout = 10 * time.Second
	minProvisionTimeout     = 100 * time.Millisecond
	maxProvisionTimeout     = time.Minute
)

// leastWebhookSecret is how many bytes the Standard Webhooks specification wants
// of a secret at least.
const leastWebhookSecret = 24

// webhookPrefix begins a secret that is written as that specification says.
const webhookPrefix = "whsec_"

// Subscribers are the upstreams that are told of accounts, as package auth knows
// them.
func (c Config) Subscribers() []auth.Subscriber {
	var all []auth.Subscriber
	for _, p := range c.Provision {
		s := auth.Subscriber{Name: p.Upstream}
		for _, event := range auth.AccountEvents() { // in one order: the store compares them
			if len(p.Events) == 0 || slices.Contains(p.Events, event) {
				s.Events = append(s.Events, event)
			}
		}
		all = append(all, s)
	}
	return all
}

// ValidateProvision is the part of Validate that is about provision alone.
func (c Config) ValidateProvision() []Fault {
	var f faults
	c.validateProvision(&f)
	return f
}

// validateProvision looks at who is told of accounts. An upstream is told once:
// what waits for it is kept by its name, so that it may move to another path.
func (c *Config) validateProvision(f *faults) {
	var names, seen []string
	for i := range c.Upstreams {
		names = append(names, c.Upstreams[i].Name)
	}
	for i := range c.Provision {
		p, path := &c.Provision[i], fmt.Sprintf("provision[%d]", i)
		switch {
		case p.Upstream == "":
			f.add(path+".upstream", "is missing; write the name of one of those under upstreams")
		case !slices.Contains(names, p.Upstream):
			f.add(path+".upstream", "%q is not among upstreams%s", p.Upstream, policy.Suggest(p.Upstream, names))
		case slices.Contains(seen, p.Upstream):
			f.add(path+".upstream", "%q is told of accounts already; an upstream has one path for that", p.Upstream)
		}
		seen = append(seen, p.Upstream)
		p.validate(f, path)
	}
}

// validate looks at one entry, but for its upstream. It repeats nothing of the
// secret.
func (p *Provision) validate(f *faults, path string) {
	parsed, err := policy.ParsePath(p.Path)
	switch {
	case p.Path == "":
		f.add(path+".path", "is missing; write where the application takes the events: /internal/accounts")
	case err != nil || !parsed.Plain() || strings.ContainsAny(p.Path, "?#{}*"):
		f.add(path+".path", "must be a plain path without a query: /internal/accounts")
	}
	switch key, err := p.key(); {
	case p.Secret == "":
		f.add(path+".secret", "is missing: the application must be able to tell whom an event comes from; write secret_file: FILE, with a file that holds whsec_ and the output of openssl rand -base64 32")
	case err != nil:
		f.add(path+".secret", "%v", err)
	case len(key) < leastWebhookSecret:
		f.add(path+".secret", "has %d bytes, and must have %d: whoever sees one event could try shorter ones; write whsec_ and the output of openssl rand -base64 32", len(key), leastWebhookSecret)
	}
	for i, event := range p.Events {
		f.oneOf(fmt.Sprintf("%s.events[%d]", path, i), event, auth.AccountEvents()...)
		if event == "" {
			f.add(fmt.Sprintf("%s.events[%d]", path, i), "is empty")
		}
	}
	if p.Timeout != 0 && (p.Timeout < minProvisionTimeout || p.Timeout > maxProvisionTimeout) {
		f.add(path+".timeout", "%s is out of bounds: from %s to %s", p.Timeout, minProvisionTimeout, maxProvisionTimeout)
	}
}

// errWebhookSecret repeats nothing of the secret.
var errWebhookSecret = errors.New("begins with whsec_, and what follows is no base64")

// key is what the secret stands for.
func (p *Provision) key() ([]byte, error) {
	text, coded := strings.CutPrefix(p.Secret, webhookPrefix)
	if !coded {
		return []byte(p.Secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errWebhookSecret
	}
	return key, nil
}
