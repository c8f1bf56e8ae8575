package main

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/gateway/config"
)

// How long the doctor waits for one answer, and for one connection.
const (
	probeTimeout = 10 * time.Second
	dialTimeout  = 2 * time.Second
)

// checkUpstreams asks every address of every upstream, as nobody.
func (d *doctor) checkUpstreams(ctx context.Context, file *config.File) {
	public, err := url.Parse(file.PublicURL)
	if err != nil {
		return // the configuration's check has said so
	}
	own := d.ownAddresses()
	for i := range file.Upstreams {
		u := &file.Upstreams[i]
		asking, cancel := context.WithTimeout(ctx, probeTimeout)
		probes, err := gateway.ProbeUpstream(asking, u, public.Host)
		cancel()
		if err != nil {
			d.fail("upstreams", "", "%s: %s", u.Name, oneLine(err))
		}
		for _, p := range probes {
			d.judgeProbe(u.Name, p)
			d.checkBypass(ctx, u.Name, p.Address, own)
		}
	}
}

// judgeProbe says what an upstream's answer tells. That it refuses a request
// without a user, or sends it elsewhere, is an answer like any other.
func (d *doctor) judgeProbe(name string, p gateway.Probe) {
	switch {
	case p.Err != nil:
		d.fail("upstreams", "start the application, or correct upstreams.urls", "%s: %s: %s", name, p.URL, oneLine(p.Err))
		return
	case p.Status >= http.StatusInternalServerError:
		d.warn("upstreams", "look into the application's log", "%s: %s answers %d", name, p.URL, p.Status)
	default:
		d.good("upstreams", "%s: %s answers %d", name, p.URL, p.Status)
	}
	if apart := d.now().Sub(p.Date).Abs(); !p.Date.IsZero() && apart > clockSlack {
		d.warn("clock", "have both machines follow a time server", "%s: the clock of %s and this one are %s apart", name, p.URL, apart.Round(time.Second))
	}
}

// ownAddresses are those at which other machines reach this one.
func (d *doctor) ownAddresses() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		d.warn("bypass", "", "the addresses of this machine cannot be read: %v", err)
	}
	var own []netip.Addr
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && !prefix.Addr().IsLoopback() && !prefix.Addr().IsLinkLocalUnicast() {
			own = append(own, prefix.Addr())
		}
	}
	return own
}

// checkBypass tries to reach an upstream that runs on this machine as another
// machine would. Whoever can go past the gateway can say who they are.
func (d *doctor) checkBypass(ctx context.Context, name, address string, own []netip.Addr) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !onThisMachine(ctx, host, own) {
		return // a socket, or a machine whose network cannot be judged from here
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	for _, a := range own {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), port))
		if err != nil {
			continue
		}
		conn.Close()
		d.warn("bypass", "have the application listen on 127.0.0.1 or a unix socket alone, or close the port",
			"%s: port %s can be reached at %s, past the gateway", name, port, a)
		return
	}
	d.good("bypass", "%s: port %s can be reached on this machine alone", name, port)
}

// onThisMachine tells whether a host is this machine.
func onThisMachine(ctx context.Context, host string, own []netip.Addr) bool {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false
	}
	for _, a := range found {
		if a = a.Unmap(); a.IsLoopback() || a.IsUnspecified() {
			return true
		}
		for _, mine := range own {
			if mine.Unmap() == a {
				return true
			}
		}
	}
	return false
}

// checkRunning asks the gateway that should be running here.
func (d *doctor) checkRunning(file *config.File) {
	if file.Admin.Listen == "" {
		return
	}
	client, base, err := adminClient(file.Admin.Listen)
	if err != nil {
		d.fail("gateway", "", "%v", err)
		return
	}
	resp, err := client.Get(base + "/readyz")
	if err != nil {
		d.warn("gateway", "start it with 'postern serve'", "none answers at %s (admin.listen)", file.Admin.Listen)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		d.warn("gateway", "its log says why", "the one at %s is not ready", file.Admin.Listen)
		return
	}
	d.good("gateway", "the one at %s is ready", file.Admin.Listen)
}
