package loopback

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAnAddressIsFreeAndNoClientTakesIt(t *testing.T) {
	address := FreeAddress()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if port := l.Addr().(*net.TCPAddr).Port; port < 20000 || port >= 30000 {
		t.Errorf("port %d", port)
	}
	if next := FreeAddress(); next == address {
		t.Errorf("%s is free, and somebody listens", next)
	}
}

func TestALoginIsTriedAgainUntilTheAccountIsThere(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Username, Password string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/auth/login" || body.Username != "admin" || body.Password != `a "word"` {
			t.Errorf("%s %+v: %v", r.URL.Path, body, err)
		}
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"code": "invalid_credentials"}`)
			return
		}
		fmt.Fprint(w, `{"access_token": "a", "refresh_token": "r"}`)
	}))
	defer server.Close()
	if g, err := Login(server.Listener.Addr().String(), "admin", `a "word"`); err != nil || g != (Grant{"a", "r"}) || asked != 3 {
		t.Errorf("%+v after %d: %v", g, asked, err)
	}
	server.Close()
	if _, err := Login(server.Listener.Addr().String(), "admin", ""); err == nil {
		t.Error("nobody is there, and the login is good")
	}
}
