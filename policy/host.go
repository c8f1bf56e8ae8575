package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// hostMax is how long a host may be (RFC 1035 section 2.3.4, and the dot). A
// longer one is no host, and no route answers it.
const hostMax = 254

// parseHost reads a route's host: exact, or *.example.com. It returns the host
// as requestHost does, without the star and its dot for a wildcard.
func parseHost(text string) (host string, wildcard bool, err error) {
	host = strings.ToLower(text)
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		host, wildcard = rest, true
	}
	if strings.HasPrefix(host, "[") && !wildcard {
		addr, ok := bracketed(host)
		if !ok {
			return "", false, fmt.Errorf("host %q is no IPv6 address in brackets", text)
		}
		return "[" + addr.String() + "]", false, nil
	}
	if why := hostFault(host); why != "" {
		return "", false, fmt.Errorf("host %q: %s", text, why)
	}
	return host, wildcard, nil
}

// hostFault says what is wrong with a host's name, or nothing.
func hostFault(host string) string {
	switch {
	case host == "" || host == "*":
		return "leave `host` out for a route of every host; a wildcard is *.example.com"
	case len(host) >= hostMax:
		return "a host has at most 253 characters"
	case strings.Contains(host, ":"):
		return "a host is written without scheme and port; ports do not matter"
	case strings.Contains(host, "/"):
		return "a host is written without scheme and path"
	case strings.HasSuffix(host, "."):
		return "a host is written without the final dot; requests may have it"
	case strings.Contains(host, "*"):
		return "a star stands only at the front, for whole labels: *.example.com"
	}
	for label := range strings.SplitSeq(host, ".") {
		if err := labelFault(label); err != nil {
			return err.Error()
		}
	}
	return ""
}

// labelFault says what is wrong with one label of a host's name.
func labelFault(label string) error {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return fmt.Errorf("%q is no label of a host", label)
	}
	for i := 0; i < len(label); i++ {
		c := label[i]
		if c >= 0x80 {
			return errors.New("a name outside ASCII is written as browsers send it, with xn--")
		}
		if !labelByte(c) {
			return fmt.Errorf("%q does not belong into a host", c)
		}
	}
	return nil
}

// labelByte reports whether a label may have the byte. Underscores are in no
// host name by RFC 952, and in many that work.
func labelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// requestHost writes a request's host into the buffer as routes are compared by
// it: in lower case, without the port and one final dot, an IPv6 address in
// its one canonical form (RFC 5952). ok is false for what is no host. That must
// match no route at all: the routes of every host may be freer than those of
// the host that an application makes of it. No host is a host: "".
func requestHost(buffer *[hostMax]byte, host string) (name []byte, ok bool) {
	if host == "" {
		return nil, true
	}
	if host[0] == '[' {
		return addressHost(buffer, host)
	}
	host, ok = cutPort(host, strings.IndexByte(host, ':'))
	host = strings.TrimSuffix(host, ".")
	if !ok || host == "" || len(host) >= hostMax {
		return nil, false
	}
	label := 0 // where the label began
	for i := range len(host) {
		c := lower(host[i])
		switch {
		case c == '.' && i == label:
			return nil, false
		case c == '.':
			label = i + 1
		case !labelByte(c):
			return nil, false
		}
		buffer[i] = c
	}
	return buffer[:len(host)], label < len(host)
}

// addressHost is requestHost for an IPv6 address in brackets.
func addressHost(buffer *[hostMax]byte, host string) (name []byte, ok bool) {
	end := strings.IndexByte(host, ']') + 1
	colon := end
	if end == len(host) {
		colon = -1
	}
	host, ok = cutPort(host, colon)
	if !ok || end == 0 {
		return nil, false
	}
	addr, ok := bracketed(host)
	return append(addr.AppendTo(append(buffer[:0], '[')), ']'), ok
}

// bracketed reads an IPv6 address in brackets. A zone means something on one
// machine only, so there is none.
func bracketed(host string) (addr netip.Addr, ok bool) {
	if len(host) < 2 || host[0] != '[' || host[len(host)-1] != ']' {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(host[1 : len(host)-1])
	return addr, err == nil && addr.Is6() && addr.Zone() == ""
}

// cutPort cuts the port behind the colon at that place; -1: there is none.
func cutPort(host string, colon int) (name string, ok bool) {
	if colon < 0 {
		return host, true
	}
	for i := colon + 1; i < len(host); i++ {
		if host[i] < '0' || host[i] > '9' {
			return "", false
		}
	}
	return host[:colon], host[colon] == ':'
}
