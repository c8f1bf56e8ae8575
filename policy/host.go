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
// in lower case, without the star's dot for a wildcard.
func parseHost(text string) (host string, wildcard bool, err error) {
	host = strings.ToLower(text)
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		host, wildcard = rest, true
	}
	if inner, ok := strings.CutPrefix(host, "["); ok && !wildcard {
		if addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]")); err == nil && addr.Is6() && strings.HasSuffix(inner, "]") {
			return host, false, nil
		}
		return "", false, fmt.Errorf("host %q is no IPv6 address in brackets", text)
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
			return errors.New("a name outside ASCII is written as browsers send it: xn--...")
		}
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return fmt.Errorf("%q does not belong into a host", c)
		}
	}
	return nil
}

// bareHost strips the port and one final dot of a request's host.
func bareHost(host string) string {
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 && !strings.Contains(host[colon:], "]") {
		host = host[:colon]
	}
	return strings.TrimSuffix(host, ".")
}

// lowerHost copies the host in lower case into the buffer and returns what it
// filled.
func lowerHost(buffer *[hostMax]byte, host string) []byte {
	n := copy(buffer[:], host)
	for i, c := range buffer[:n] {
		if 'A' <= c && c <= 'Z' {
			buffer[i] = c + ('a' - 'A')
		}
	}
	return buffer[:n]
}
