package gateway

import (
	"crypto/tls"
	"slices"

	"golang.org/x/crypto/acme"
)

// oldClients ends the name under which autocert keeps the certificate of a domain
// for clients that take none with an ECDSA key.
const oldClients = "+rsa"

// isChallenge tells whether it is the CA that connects: it names that protocol
// and no other (RFC 8737, 3).
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto
}

// readHello reads all that a handshake has to do with certificates, and says it
// anew in the least words: what autocert makes of those cannot be anything else.
// Else a stranger could have it fetch, and wait, for what was not counted. The
// name under which the certificate is kept is empty for the CA, who is shown
// another.
func readHello(hello *tls.ClientHelloInfo, name string) (asked *tls.ClientHelloInfo, kept string) {
	asked = &tls.ClientHelloInfo{ServerName: name}
	switch {
	case isChallenge(hello):
		asked.SupportedProtos = []string{acme.ALPNProto}
		return asked, ""
	case takesECDSA(hello):
		asked.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		return asked, name
	}
	return asked, name + oldClients
}

// takesECDSA tells whether a client takes a certificate with a key on P-256. In
// TLS 1.3 suites say nothing of that; autocert by itself goes by them alone, and
// would fetch a second certificate for whoever speaks nothing older.
func takesECDSA(hello *tls.ClientHelloInfo) bool {
	if hello.SignatureSchemes != nil && !slices.Contains(hello.SignatureSchemes, tls.ECDSAWithP256AndSHA256) {
		return false
	}
	if slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		return true
	}
	if hello.SupportedCurves != nil && !slices.Contains(hello.SupportedCurves, tls.CurveP256) {
		return false
	}
	return slices.ContainsFunc(hello.CipherSuites, func(suite uint16) bool {
		switch suite {
		case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:
			return true
		}
		return false
	})
}
