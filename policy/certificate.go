package policy

import (
	"strings"
	"unicode"
)

// Certificate is what a client's connection proved by a certificate of its
// own. The zero value is no certificate.
type Certificate struct {
	// Subject is the distinguished name as RFC 4514 writes it, of a certificate
	// that was verified: CN=alice,O=Example.
	Subject string
	// Hidden says that the connection is not the client's own, but a proxy's:
	// then it is not known what certificate the client has.
	Hidden bool
}

// certificate tells whether the client's certificate is the one that a rule
// names: by its whole subject, or, where the rule has no "=", by the one common
// name in it.
func certificate(names string, c Certificate) verdict {
	switch {
	case c.Hidden:
		return unclear
	case c.Subject == "" || names == "":
		return never
	}
	is := c.Subject
	if !strings.Contains(names, "=") {
		is = commonName(is)
	}
	if is == names {
		return holds
	}
	return never
}

// commonName finds the common name in a subject; empty where there is none, or
// more than one, of which two programs could take different ones.
func commonName(subject string) string {
	found, start := "", 0
	for i := 0; i <= len(subject); i++ {
		switch {
		case i < len(subject) && subject[i] == '\\':
			i++ // and what it escapes
		case i >= len(subject) || subject[i] == ',' || subject[i] == '+':
			value, ok := strings.CutPrefix(subject[start:i], "CN=")
			if ok && found != "" {
				return ""
			}
			if ok {
				found = value
			}
			start = i + 1
		}
	}
	return unescapeName(found)
}

// unescapeName takes the backslashes out. A subject has them before single
// characters only.
func unescapeName(value string) string {
	if !strings.Contains(value, `\`) {
		return value
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) {
			i++
		}
		b.WriteByte(value[i])
	}
	return b.String()
}

// escapeName writes a common name as it stands in a subject.
func escapeName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		edge := name[i] == ' ' && (i == 0 || i == len(name)-1) || name[i] == '#' && i == 0
		if edge || strings.IndexByte(`,+"\<>;`, name[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// CertificateOf is the certificate that tests and commands name: by its whole
// subject, or by a common name alone.
func CertificateOf(text string) Certificate {
	if text != "" && !strings.Contains(text, "=") {
		text = "CN=" + escapeName(text)
	}
	return Certificate{Subject: text}
}

// clientCert compiles a client_cert condition. What another tool writes in
// another form would never be equal to anything.
func (c *compiler) clientCert(pos Pos, from *ClientCert) string {
	if from == nil {
		return ""
	}
	s := from.Subject
	switch {
	case s == "":
		c.fault(pos, "client_cert: `subject` is empty; no certificate is nobody's")
	case strings.HasPrefix(s, "/") || strings.Contains(s, " = ") || strings.Contains(s, ", "):
		c.fault(pos, "client_cert: %q is not written as RFC 4514 does; write what `openssl x509 -noout -subject -nameopt RFC2253` prints after subject=, or the common name alone", s)
	case s != strings.TrimSpace(s) || strings.ContainsFunc(s, unicode.IsControl):
		c.fault(pos, "client_cert: %q has spaces around it or control characters", s)
	}
	return s
}
