package policy

import (
	"errors"
	"strings"
	"unicode"
)

// Certificate is what a client's connection proved by a certificate of its
// own. The zero value is no certificate.
type Certificate struct {
	// Subject is the distinguished name as NormalSubject writes it, of a
	// certificate that was verified: CN=alice,O=Example.
	Subject string
	// Hidden says that it is not known what certificate the client has: the
	// connection is a proxy's, or the subject cannot be read.
	Hidden bool
}

// certificate tells whether the client's certificate is the one that a rule
// names: by its whole subject, or, where the rule has no "=", by the one common
// name in it. With several it is not clear who that is.
func certificate(names string, c Certificate) verdict {
	switch {
	case c.Hidden:
		return unclear
	case c.Subject == "" || names == "":
		return never
	}
	if strings.Contains(names, "=") {
		return verdictOf(c.Subject == names)
	}
	common := commonNames(c.Subject)
	if len(common) > 1 && contains(common, names) {
		return unclear // two programs could take different ones
	}
	return verdictOf(len(common) == 1 && common[0] == names)
}

// verdictOf is the verdict of what depends on nobody's login.
func verdictOf(is bool) verdict {
	if is {
		return holds
	}
	return never
}

// commonNames finds the common names in a subject.
func commonNames(subject string) (names []string) {
	for _, rdn := range splitName(subject, ',') {
		for _, attribute := range splitName(rdn, '+') {
			if value, ok := strings.CutPrefix(attribute, "CN="); ok {
				names = append(names, unescapeName(value))
			}
		}
	}
	return names
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
	if normal, err := NormalSubject(text); err == nil {
		text = normal
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
	case s != strings.TrimSpace(s) || strings.ContainsFunc(s, unicode.IsControl):
		c.fault(pos, "client_cert: %q has spaces around it or control characters", s)
	case strings.HasPrefix(s, "/") || strings.Contains(s, " = ") || strings.Contains(s, ", "):
		c.subjectFault(pos, s, errSubject)
	case strings.Contains(s, "="):
		normal, err := NormalSubject(s)
		if err != nil {
			c.subjectFault(pos, s, err)
		}
		return normal
	}
	return s
}

// subjectFault says how a subject is to be written.
func (c *compiler) subjectFault(pos Pos, subject string, err error) {
	if !errors.Is(err, errSubject) {
		c.fault(pos, "client_cert: %q %s", subject, err)
		return
	}
	c.fault(pos, "client_cert: %q %s; write what `openssl x509 -noout -subject -nameopt RFC2253` prints after subject=, or the common name alone", subject, err)
}
