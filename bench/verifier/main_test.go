package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestTheVerifierAnswersAsAProxyAsks: 200 with a name, 401 or 403.
func TestTheVerifierAnswersAsAProxyAsks(t *testing.T) {
	t.Parallel()
	sign := func(change func(jwt.MapClaims), method jwt.SigningMethod, key any) string {
		claims := jwt.MapClaims{"iss": "i", "aud": "a", "sub": "alice", "roles": []string{"user"}, "exp": time.Now().Add(time.Hour).Unix()}
		change(claims)
		raw, err := jwt.NewWithClaims(method, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + raw
	}
	as := func(change func(jwt.MapClaims)) string { return sign(change, jwt.SigningMethodHS256, []byte("key")) }
	nothing := func(jwt.MapClaims) {}
	for _, test := range []struct {
		name, authorization, path string
		want                      int
	}{
		{"a user", as(nothing), "/app/x", http.StatusOK},
		{"a user among administrators", as(nothing), "/admin/x", http.StatusForbidden},
		{"an administrator", as(func(c jwt.MapClaims) { c["roles"] = []string{"admin"} }), "/admin/x", http.StatusOK},
		{"nobody", "", "/app/x", http.StatusUnauthorized},
		{"no bearer", as(nothing)[len("Bearer "):], "/app/x", http.StatusUnauthorized},
		{"an expired token", as(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }), "/app/x", http.StatusUnauthorized},
		{"a token without an end", as(func(c jwt.MapClaims) { delete(c, "exp") }), "/app/x", http.StatusUnauthorized},
		{"another issuer", as(func(c jwt.MapClaims) { c["iss"] = "j" }), "/app/x", http.StatusUnauthorized},
		{"another audience", as(func(c jwt.MapClaims) { c["aud"] = "b" }), "/app/x", http.StatusUnauthorized},
		{"no name", as(func(c jwt.MapClaims) { delete(c, "sub") }), "/app/x", http.StatusUnauthorized},
		{"another key", sign(nothing, jwt.SigningMethodHS256, []byte("other")), "/app/x", http.StatusUnauthorized},
		{"another algorithm", sign(nothing, jwt.SigningMethodHS512, []byte("key")), "/app/x", http.StatusUnauthorized},
		{"no algorithm", sign(nothing, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType), "/app/x", http.StatusUnauthorized},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/verify", nil)
			r.Header.Set("X-Forwarded-Uri", test.path)
			if test.authorization != "" {
				r.Header.Set("Authorization", test.authorization)
			}
			w := httptest.NewRecorder()
			newVerifier("key", "i", "a")(w, r)
			if w.Code != test.want {
				t.Errorf("%d, want %d", w.Code, test.want)
			}
			if named := w.Header().Get("X-Auth-User") == "alice"; named != (test.want == http.StatusOK) {
				t.Errorf("%d, and X-Auth-User %q", w.Code, w.Header().Get("X-Auth-User"))
			}
		})
	}
}
