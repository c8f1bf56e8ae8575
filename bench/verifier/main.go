// Package main is what proxies ask that cannot verify a token by themselves
// (nginx with auth_request, Caddy with forward_auth): it verifies a bearer token
// with golang-jwt, judges the path in X-Forwarded-Uri, and answers who it is.
package main

import (
	"flag"
	"log"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// main demands all three that a token is held to: a verifier that takes any
// issuer or audience would do less than Postern, and be compared with it all the
// same.
func main() {
	listen := flag.String("listen", "127.0.0.1:9002", "address to listen on")
	secret := flag.String("secret", "", "of HS256")
	issuer := flag.String("issuer", "", "of the tokens")
	audience := flag.String("audience", "", "of the tokens")
	flag.Parse()
	if *secret == "" || *issuer == "" || *audience == "" {
		log.Fatal("verifier: give -secret, -issuer and -audience")
	}
	server := &http.Server{Addr: *listen, ReadHeaderTimeout: 10 * time.Second, Handler: newVerifier(*secret, *issuer, *audience)}
	log.Fatal(server.ListenAndServe())
}

// claims are what a token says.
type claims struct {
	jwt.RegisteredClaims
	Roles []string `json:"roles"`
}

// newVerifier answers 200 with X-Auth-User, 401 or 403.
func newVerifier(secret, issuer, audience string) http.HandlerFunc {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired())
	key := func(*jwt.Token) (any, error) { return []byte(secret), nil }
	return func(w http.ResponseWriter, r *http.Request) {
		raw, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		var who claims
		if _, err := parser.ParseWithClaims(raw, &who, key); !ok || err != nil || who.Subject == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.HasPrefix(r.Header.Get("X-Forwarded-Uri"), "/admin/") && !slices.Contains(who.Roles, "admin") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("X-Auth-User", who.Subject)
	}
}
