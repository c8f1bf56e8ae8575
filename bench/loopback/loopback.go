// Package loopback is what every measurement of a gateway on this machine needs:
// an address, and somebody who is logged in there.
package loopback

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// FreeAddress is one that nobody listens at, below the ports that the kernel gives
// to clients: thousands of them are about to ask for one.
func FreeAddress() string {
	for range 100 {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(10000))))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	return "127.0.0.1:0" // who waits for somebody to listen there tells
}

// Grant is what a login or a refresh answers.
type Grant struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// Login logs in. The first administrator is made after the address is bound, so
// one refusal is not the last word.
func Login(address, name, password string) (g Grant, err error) {
	body, err := json.Marshal(map[string]string{"username": name, "password": password})
	if err != nil {
		return g, err
	}
	for range 100 {
		res, err := http.Post("http://"+address+"/auth/login", "application/json", bytes.NewReader(body))
		if err != nil {
			return g, err
		}
		err = json.NewDecoder(res.Body).Decode(&g)
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return g, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return g, fmt.Errorf("the login of %s is refused", name)
}
