package e2e

import (
	"crypto/ecdsa"
	"testing"
)

func signingKey(t *testing.T, g *gateway, kid string) *ecdsa.PrivateKey {
	t.Helper()
	t.Fatal("wait for auth")
	return nil
}
