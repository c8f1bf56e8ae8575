package e2e

import (
	"encoding/xml"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// knownToFail are the cases of h2spec that Go's own server fails, each time or
// now and then, and why that is no hole. Postern's server is Go's.
func knownToFail() map[string]string {
	return map[string]string{
		"http2/3.5 2":     "an invalid preface: some frames are read before it is judged",
		"http2/4.2 3":     "a HEADERS frame that is too large ends its stream, not the connection",
		"http2/5.1 6":     "HEADERS after the end of a request: the answer may come first",
		"http2/5.1 9":     "HEADERS after RST_STREAM: another frame may come first",
		"http2/5.1 12":    "HEADERS on a closed stream: the connection ends later than is waited for",
		"http2/5.4.1 1":   "GOAWAY comes at once, the end of the connection a second later",
		"http2/6.5.3 1":   "a setting that comes twice is an error",
		"http2/8.1.2.2 1": "a field of one connection is answered 400, and no application asked (SM-061)",
		"http2/8.1.2.2 2": "TE with another value is answered 400, and no application asked",
	}
}

// h2specReport is what h2spec writes down of each case.
type h2specReport struct {
	Suites []struct {
		Package string `xml:"package,attr"`
		ID      string `xml:"id,attr"`
		Cases   []struct {
			Package string    `xml:"package,attr"`
			Name    string    `xml:"classname,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// TestHTTP2IsNoWorseThanGos runs h2spec against the binary and against a bare
// server of Go's at once, and lists what each fails. The binary may fail what
// Go's server fails; some of it depends on which of two frames comes first, so
// that a new failure has two more runs to go away.
func TestHTTP2IsNoWorseThanGos(t *testing.T) {
	t.Parallel()
	program := h2spec(t)
	g, _, _ := startTLS(t)
	stock := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") }))
	stock.EnableHTTP2, stock.Config.ErrorLog = true, log.New(io.Discard, "", 0)
	stock.StartTLS()
	t.Cleanup(stock.Close)
	var worse []string
	for range 3 {
		var ours, theirs []string
		var both sync.WaitGroup
		both.Go(func() { ours = failuresOf(t, program, g.addr, "/auth/login") })
		both.Go(func() { theirs = failuresOf(t, program, stock.Listener.Addr().String(), "/") })
		both.Wait()
		t.Logf("Postern fails %d of h2spec's cases: %s", len(ours), strings.Join(ours, ", "))
		t.Logf("a bare server of Go's fails %d: %s", len(theirs), strings.Join(theirs, ", "))
		worse = slices.DeleteFunc(ours, func(id string) bool { return slices.Contains(theirs, id) || knownToFail()[id] != "" })
		if len(worse) == 0 {
			return
		}
	}
	t.Errorf("Postern fails what Go's server does not: %s", strings.Join(worse, ", "))
}

// h2spec is the path of the conformance test of HTTP/2, built from the module
// of tools.
func h2spec(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "h2spec")
	if out, err := exec.Command("go", "build", "-C", "../tools", "-o", path, "github.com/summerwind/h2spec/cmd/h2spec").CombinedOutput(); err != nil {
		t.Logf("build h2spec: %v\n%s", err, out)
		lack(t, "h2spec (go build -C tools)")
	}
	return path
}

// failuresOf are the cases that a server fails, as "section number".
func failuresOf(t *testing.T, program, addr, path string) []string {
	host, port, _ := net.SplitHostPort(addr)
	file := filepath.Join(t.TempDir(), "report.xml")
	out, err := exec.Command(program, "--host", host, "--port", port, "--tls", "--insecure", "--timeout", "2", "--path", path, "--junit-report", file).CombinedOutput()
	text, missing := os.ReadFile(file)
	var report h2specReport
	if missing != nil || xml.Unmarshal(text, &report) != nil {
		t.Errorf("h2spec wrote no report: %v\n%s", err, out)
		return nil
	}
	var failed []string
	cases := 0
	for _, suite := range report.Suites {
		for i, c := range suite.Cases {
			cases++
			if c.Failure != nil || c.Error != nil {
				failed = append(failed, suite.Package+" "+strconv.Itoa(i+1))
			}
		}
	}
	if cases < 140 {
		t.Errorf("h2spec has only %d cases", cases)
	}
	return failed
}
