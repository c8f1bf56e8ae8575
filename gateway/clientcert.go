package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"time"

	"github.com/posternhq/postern/policy"
)

// askForCertificates makes clients show a certificate where they have one of
// the authorities in the file; one that is not of them ends the handshake. It
// is the policy that says where a client needs one.
func askForCertificates(c *tls.Config, file string) error {
	pool, err := readAuthorities("tls.client_ca_file", file)
	if err != nil {
		return err
	}
	c.ClientCAs, c.ClientAuth = pool, tls.VerifyClientCertIfGiven
	return nil
}

// certificate is what the client proved to be by a certificate. A trusted
// proxy's connection says nothing of the client behind it: its certificate is
// the proxy's. After PROXY protocol the connection is the client's own.
func (x *exchange) certificate(now time.Time) policy.Certificate {
	if x.question != nil || x.peerTrusted {
		return policy.Certificate{Hidden: true}
	}
	if x.r.TLS == nil || len(x.r.TLS.VerifiedChains) == 0 {
		return policy.Certificate{}
	}
	leaf := x.r.TLS.VerifiedChains[0][0]
	if now.After(leaf.NotAfter) { // since the handshake
		return policy.Certificate{}
	}
	subject, err := subjectOf(leaf)
	return policy.Certificate{Subject: subject, Hidden: err != nil}
}

// subjectOf writes a certificate's subject as policies compare it, with all its
// parts in the order in which it has them: pkix.Name would sort them, and so
// make two subjects one.
func subjectOf(c *x509.Certificate) (string, error) {
	var names pkix.RDNSequence
	rest, err := asn1.Unmarshal(c.RawSubject, &names)
	if err != nil || len(rest) > 0 {
		return "", fmt.Errorf("a subject with %d bytes behind it: %w", len(rest), err)
	}
	if len(names) == 0 {
		return "", nil
	}
	return policy.NormalSubject(names.String())
}
