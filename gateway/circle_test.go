package gateway

import (
	"strings"
	"testing"
)

func TestAnUpstreamThatIsTheGatewayItselfIsRefused(t *testing.T) {
	for _, test := range []struct{ listen, admin, public, upstream, key string }{
		{"127.0.0.1:8080", "", "http://localhost:8080", "http://127.0.0.1:8080", "listen"},
		{"127.0.0.1:8080", "", "http://localhost:8080", "http://LOCALHOST.:8080/app", "listen"},
		{"127.0.0.1:8080", "", "http://localhost:8080", "http://0.0.0.0:8080", "listen"},
		{"127.0.0.1:8080", "", "http://localhost:8080", "http://[::ffff:127.0.0.1]:8080", "listen"},
		{":8080", "", "https://app.test", "http://127.0.0.1:8080", "listen"},
		{"[::]:8080", "", "https://app.test", "http://[::1]:8080", "listen"},
		{"0.0.0.0:80", "", "https://app.test", "http://localhost", "listen"},
		{"10.0.0.1:8080", "", "https://app.test", "http://10.0.0.1:8080", "listen"},
		{"127.0.0.1:8080", "127.0.0.1:9901", "https://app.test", "http://localhost:9901", "admin.listen"},
		{"127.0.0.1:8080", "", "https://app.test", "https://App.test:443", "public_url"},
		{"unix:/run/p.sock", "", "http://app.test", "http://app.test:80/x", "public_url"},

		{"127.0.0.1:8080", "127.0.0.1:9901", "http://localhost:8080", "http://127.0.0.1:3000", ""},
		{":8080", "", "https://app.test", "http://app:8080", ""},                   // another container
		{":8080", "", "https://app.test", "http://10.0.0.2:8080", ""},              // another machine
		{"127.0.0.1:8080", "", "https://app.test", "http://127.0.0.2:8080", ""},    // another address
		{"127.0.0.1:8080", "", "https://app.test", "http://app.test", ""},          // another port
		{":9000", "", "http://localhost:8080", "http://localhost:8080", ""},        // public_url left at its default
		{"unix:/run/p.sock", "", "https://app.test", "http://localhost:8080", ""},  // no port at all
		{"127.0.0.1:0", "127.0.0.1:0", "https://app.test", "http://127.0.0.1", ""}, // any free port
	} {
		c := DefaultConfig()
		c.Listen, c.Admin.Listen, c.PublicURL = test.listen, test.admin, test.public
		c.Upstreams = []Upstream{{Name: "app", URLs: []string{test.upstream}}}
		got := c.Validate(nil)
		if test.key == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Warning || got[0].Path != "upstreams[0].urls[0]" ||
			!strings.Contains(got[0].Message, "is Postern itself ("+test.key+"): requests would go round in circles") {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestAnAddressWithoutASchemeIsShownWithOne(t *testing.T) {
	for _, test := range []struct{ upstream, public, want string }{
		{"localhost:3000", "http://a.test", `"localhost:3000" is no URL: write http://localhost:3000`},
		{"127.0.0.1:3000", "http://a.test", `"127.0.0.1:3000" is no URL: write http://127.0.0.1:3000`},
		{"app", "http://a.test", `"app" is no URL: write http://app`},
		{"http://127.0.0.1:3000", "localhost:8080", `"localhost:8080" is no URL: write http://localhost:8080`},
		{"http://127.0.0.1:3000", "127.0.0.1:8080", `"127.0.0.1:8080" is no URL: write http://127.0.0.1:8080`},
		{"http://127.0.0.1:3000", "app.example.com", `"app.example.com" is no URL: write https://app.example.com`},
		{"alice:hunter2@app:3000", "http://a.test", "is no URL of an application (http, https, h2c or unix): write http://127.0.0.1:3000"},
		{"ftp://alice:hunter2@app", "http://a.test", "is no URL of an application (http, https, h2c or unix): write http://127.0.0.1:3000"},
	} {
		c := DefaultConfig()
		c.PublicURL, c.Upstreams = test.public, []Upstream{{Name: "app", URLs: []string{test.upstream}}}
		if got := c.Validate(nil); len(got) != 1 || got[0].Message != test.want {
			t.Errorf("%s, %s: %v, want %s", test.upstream, test.public, got, test.want)
		}
	}
}

func TestAPortAloneIsShownAsAnAddress(t *testing.T) {
	c := DefaultConfig()
	c.Listen, c.Admin.Listen = "8000", "9000"
	c.Upstreams = []Upstream{{Name: "app", URLs: []string{"http://127.0.0.1:3000"}}}
	got := c.Validate(nil)
	if len(got) != 2 || got[0].Message != `"8000" is no address to listen on; write 127.0.0.1:8000, or :8000 for every address` ||
		got[1].Message != `"9000" is no address to listen on; write 127.0.0.1:9000, or :9000 for every address` {
		t.Errorf("%v", got)
	}
}
