package gateway

import (
	"crypto/tls"
	"slices"
	"testing"

	"golang.org/x/crypto/acme"
)

// TestAHandshakeIsReadOnce: what autocert would read out of a handshake by itself
// is settled before. A client that speaks TLS 1.3 alone is none of the old ones,
// for whom there is a second certificate.
func TestAHandshakeIsReadOnce(t *testing.T) {
	const name = "gw.test"
	old, modern := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	ecdsa, rsa := []tls.SignatureScheme{tls.PSSWithSHA256, tls.ECDSAWithP256AndSHA256}, []tls.SignatureScheme{tls.PSSWithSHA256}
	three := []uint16{tls.VersionTLS13, tls.VersionTLS12}
	for _, test := range []struct {
		name  string
		hello tls.ClientHelloInfo
		want  string
	}{
		{"a browser", tls.ClientHelloInfo{CipherSuites: modern, SignatureSchemes: ecdsa, SupportedVersions: three, SupportedProtos: []string{"h2", "http/1.1"}}, name},
		{"TLS 1.3 alone", tls.ClientHelloInfo{CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}, SignatureSchemes: ecdsa, SupportedVersions: three[:1]}, name},
		{"TLS 1.3, and no such signature", tls.ClientHelloInfo{CipherSuites: modern, SignatureSchemes: rsa, SupportedVersions: three}, name + "+rsa"},
		{"TLS 1.2", tls.ClientHelloInfo{CipherSuites: modern, SignatureSchemes: ecdsa, SupportedCurves: []tls.CurveID{tls.X25519, tls.CurveP256}, SupportedVersions: three[1:]}, name},
		{"TLS 1.2 without the curve", tls.ClientHelloInfo{CipherSuites: modern, SignatureSchemes: ecdsa, SupportedCurves: []tls.CurveID{tls.X25519}, SupportedVersions: three[1:]}, name + "+rsa"},
		{"TLS 1.2 without a suite", tls.ClientHelloInfo{CipherSuites: old, SignatureSchemes: ecdsa, SupportedVersions: three[1:]}, name + "+rsa"},
		{"the least", tls.ClientHelloInfo{CipherSuites: modern}, name},
		{"nothing", tls.ClientHelloInfo{}, name + "+rsa"},
		{"the CA", tls.ClientHelloInfo{CipherSuites: modern, SupportedProtos: []string{acme.ALPNProto}}, ""},
		{"one like the CA", tls.ClientHelloInfo{CipherSuites: modern, SupportedProtos: []string{acme.ALPNProto, "h2"}}, name},
		{"twice like the CA", tls.ClientHelloInfo{CipherSuites: old, SupportedProtos: []string{acme.ALPNProto, acme.ALPNProto}}, name + "+rsa"},
	} {
		asked, kept := readHello(&test.hello, name)
		if kept != test.want || asked.ServerName != name {
			t.Errorf("%s: %q of %q, want %q", test.name, kept, asked.ServerName, test.want)
		}
		if again, same := readHello(asked, name); same != kept || !slices.Equal(again.CipherSuites, asked.CipherSuites) {
			t.Errorf("%s: what was read is read as %q", test.name, same)
		}
	}
}
