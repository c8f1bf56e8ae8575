package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestSlowClientsGiveTheirConnectionsBack: clients that send their headers or
// bodies for ever take all the connections that there may be, and more. Who has
// one already is served meanwhile, who comes is told to come again, and gets in
// once the gateway has had enough of them, though none of them has given up.
func TestSlowClientsGiveTheirConnectionsBack(t *testing.T) {
	t.Parallel()
	need(t, "slowhttptest")
	type attack struct {
		name  string
		args  []string
		files int // that 39 of them hold, the 40th being another's
	}
	attacks := []attack{{"headers", []string{"-H", "-t", "GET", "-x", "24"}, 39}}
	if os.Getenv("POSTERN_TEST_SOAK") != "" { // a body has twenty seconds, and connections to the application, one of which is there
		attacks = append(attacks, attack{"bodies", []string{"-B", "-s", "8192", "-x", "24"}, 77})
	}
	for _, test := range attacks {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := prepare(t, strings.NewReplacer("SCHEME", "http", "TRANSPORT", "lean", "[STEADY]", urlsOf(newSoakApp(t)), "[MORTAL]", "[http://127.0.0.1:1]",
				"connections: 4000", "connections: 40").Replace(soakConfig)).start()
			s := newSoak(g)
			regular := g.client()
			regular.http.Transport = &http.Transport{} // which gives no connection up
			regular.get("/public/echo").want(t, 200, "a page before")
			before := s.figures()
			cmd := exec.CommandContext(t.Context(), "slowhttptest", append(test.args, "-c", "120", "-r", "120", "-i", "2", "-l", "3600", "-p", "60", "-u", "http://"+g.addr+"/public/digest")...)
			out := newOutput(t)
			cmd.Stdout, cmd.Stderr = out.file, out.file
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			eventually(t, "the slow clients have all connections", func() bool { return s.figures().files >= before.files+test.files })
			newcomer := func() reply { // with a connection of its own
				c := g.client()
				defer c.http.CloseIdleConnections()
				r, _ := c.try("GET", "/public/echo", "")
				return r
			}
			eventually(t, "who comes is told that there are too many", func() bool {
				r := newcomer()
				return r.Response != nil && r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != ""
			})
			regular.get("/public/echo").want(t, 200, "a page meanwhile, over the connection from before")
			eventually(t, "who comes gets in", func() bool {
				r := newcomer()
				return r.Response != nil && r.StatusCode == http.StatusOK
			})
		})
	}
}
