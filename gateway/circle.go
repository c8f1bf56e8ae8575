package gateway

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// ownAddress is the key of the address at which requests for the URL t of an
// application come back to the gateway itself, or nothing. A request that is
// forwarded there goes round until its client hangs up.
//
// A public_url at this machine says nothing: what the browsers' machine, or
// the port outside of a container, calls localhost:8080 may be the
// application's own address in here. There the listener's address decides.
func (c *Config) ownAddress(t *url.URL) string {
	host, port := place(t)
	for key, address := range map[string]string{"listen": c.Listen, "admin.listen": c.Admin.Listen} {
		at, its, err := net.SplitHostPort(address)
		if err == nil && its == port && (sameMachine(at) == host || everywhere(at) && loopback(host)) {
			return key
		}
	}
	if public, err := url.Parse(c.PublicURL); err == nil {
		if h, p := place(public); h == host && p == port && !loopback(h) {
			return "public_url"
		}
	}
	return ""
}

// place is the host and the port that a URL leads to.
func place(u *url.URL) (host, port string) {
	port = u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "h2c": "80", "https": "443"}[u.Scheme]
	}
	return sameMachine(strings.TrimSuffix(u.Hostname(), ".")), port
}

// sameMachine is a host with one name for what several names mean: dialling
// the address of every interface reaches this machine.
func sameMachine(host string) string {
	if host = strings.ToLower(host); host == "localhost" || everywhere(host) {
		return "127.0.0.1"
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return host
}

// everywhere tells the hosts that stand for every interface.
func everywhere(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.Unmap().IsUnspecified()
}

// loopback tells the hosts that never leave the machine.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(sameMachine(host))
	return err == nil && addr.IsLoopback()
}
