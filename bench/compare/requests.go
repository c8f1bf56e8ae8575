package main

import "fmt"

// The ways to run Postern beside the others. Without log and metrics it does what
// the others do, whose logs are off too; with them it is as it comes.
func quiet() gateway {
	return gateway{name: "Postern, no log, no metrics", algorithm: "HS256", cores: measured}
}

// byDefault has on what is on unless it is turned off: access log and metrics.
func byDefault() gateway {
	return gateway{name: "Postern, log and metrics", algorithm: "HS256", logs: true, cores: measured}
}

// elliptic has tokens that others can verify without the secret; a first sight of
// one costs more than with HS256, a later one the same.
func elliptic() gateway {
	return gateway{name: "Postern, ES256, no log", algorithm: "ES256", cores: measured}
}

// fill starts Postern in these ways, after the peers with these names.
func (f *field) fill(ways []gateway, names ...string) ([]*contender, error) {
	others, err := f.enter(names...)
	if err != nil {
		return nil, err
	}
	ours, err := f.run(ways...)
	return append(others, ours...), err
}

// compareRequests is the main table: small answers, so that what a proxy does for a
// request weighs more than what the kernel does for its bytes.
func compareRequests(f *field) (t table, err error) {
	all, err := f.fill([]gateway{quiet(), byDefault(), elliptic()}, "bare", "HAProxy", "nginx njs", "nginx auth_request", "Apache", "Caddy", "Caddy forward_auth")
	if err != nil {
		return t, err
	}
	samples, err := f.measure(all, items())
	if err != nil {
		return t, err
	}
	t = f.compared("Requests with a token that is known", all, samples)
	t.plot = true
	for i, c := range all {
		_, held, err := memory(c.groups)
		if err != nil {
			return t, err
		}
		t.Rows[i].cells = append(t.Rows[i].cells, mebibytes(held))
	}
	t.Head = append(t.Head, "MiB (PSS)")
	t.Text = "64 connections, answers of 100 bytes, 1,000 tokens in turn, four requests in five for users and one for the administrator. Postern " +
		"verifies a token at its first sight and remembers it; the others verify it each time. MiB is right after the load, verifiers included."
	return t.sorted(), nil
}

// spent is how many tokens a slice takes that sends none twice; it ends with them,
// so there are about as many as it has requests.
const spent = 40_000

// compareCold asks with tokens that were never seen before, so that the cache of
// verified tokens is of no use. It is the other end of the main table: real traffic
// is between the two, and near the first.
func compareCold(f *field) (t table, err error) {
	all, err := f.fill([]gateway{quiet(), elliptic()}, "bare", "HAProxy", "nginx njs")
	if err != nil {
		return t, err
	}
	l := items()
	l.once = true
	l.before = func(c *contender) error {
		tokens, err := fresh(c, spent)
		if err != nil {
			return err
		}
		return f.give(c, tokens)
	}
	for _, c := range all {
		if c.sessions != nil {
			if err := c.begin(64); err != nil {
				return t, err
			}
		}
	}
	samples, err := f.measure(all, l)
	t = f.compared("Requests with a token that was never seen before", all, samples)
	t.Text = "As above, but no token comes twice."
	return t.sorted(), err
}

// fresh are tokens that a contender has not seen. Those who remember none can
// have the same ones in each slice.
func fresh(c *contender, n int) ([]string, error) {
	if c.sessions != nil {
		return c.mint(n)
	}
	return peerTokens(n)
}

// compareLarge has answers of 1 MiB: how bytes are copied.
func compareLarge(f *field) (t table, err error) {
	all, err := f.fill([]gateway{quiet(), byDefault()}, "bare", "HAProxy", "nginx njs", "Caddy")
	if err != nil {
		return t, err
	}
	samples, err := f.measure(all, load{connections: 64, paths: []string{"/app/large"}, size: 1 << 20})
	t = f.compared("Answers of 1 MiB", all, samples)
	t.Text = "64 connections. Mostly the kernel's own time. HAProxy and nginx have their buffers as they come, 16 KiB and less."
	return t.sorted(), err
}

// compareRoutes asks gateways with few and many routes for all of them in turn.
// Each has paths of its own, so they cannot share one load.
func compareRoutes(f *field) (t table, err error) {
	var all []*contender
	var samples [][]sample
	var loads []load
	for _, n := range f.routes {
		g := quiet()
		g.name = fmt.Sprintf("Postern, %d routes", n)
		l := load{connections: 64, size: 100}
		for i := range n {
			g.routes = append(g.routes, fmt.Sprintf("/r%d/**", i))
		}
		for i := range paths {
			l.paths = append(l.paths, fmt.Sprintf("/r%d/items/%d", i*max(1, n/paths)%n, i))
		}
		ours, err := f.run(g)
		if err != nil {
			return t, err
		}
		all, loads, samples = append(all, ours...), append(loads, l), append(samples, nil)
	}
	for n := range f.rounds + 1 {
		for i := range all {
			i = (i + n) % len(all)
			of, err := f.round(all[i:i+1], loads[i])
			if err != nil {
				return t, err
			}
			if n > 0 {
				samples[i] = append(samples[i], of[0])
			}
		}
	}
	t = f.compared("Routes", all, samples)
	t.Text = "No log, no metrics; the requests are for all routes in turn, or for a thousand of them. What is compared with is the first."
	return t, nil
}
