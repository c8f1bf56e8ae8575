package routers

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// examination is what `postern doctor` says of an application's router.
type examination struct{ Status, Check, Found, Advice string }

// examine runs the doctor with an upstream, a profile and pages that anybody
// may read.
func examine(t *testing.T, binary, addr, router string, pages ...string) (found []examination) {
	t.Helper()
	dir := t.TempDir()
	config := "upstreams: [{ name: app, urls: ['http://" + addr + "'], router: " + router + " }]\nadmin: { listen: '' }\nroutes:\n  - { path: /**, allow: authenticated }\n"
	for _, page := range pages {
		config += "  - { path: " + page + ", allow: anyone }\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "gateway.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "doctor", "--output", "json")
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir}
	out, err := cmd.Output() // its status is that of the worst finding
	var all []examination
	if wrong := json.Unmarshal(out, &all); wrong != nil {
		t.Fatalf("%v, %v\n%s", wrong, err, out)
	}
	for _, e := range all {
		if e.Check == "router" {
			found = append(found, e)
		}
	}
	return found
}

// TestTheDoctorRecognisesEachRouter from outside, by a few pages, and finds the
// profile that is too narrow for it.
func TestTheDoctorRecognisesEachRouter(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "postern")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/postern").CombinedOutput(); err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	tomcat := startTomcat(t)
	for _, test := range []struct {
		name, addr, fits string
		narrow           string   // a profile that it is wider than; empty: none
		pages            []string // beside /exact
	}{
		{"express", startExpress(t, "express"), "express", "django", nil},
		{"express4", startExpress(t, "express4"), "express", "exact", nil},
		{"django", startDjango(t), "exact", "", nil},
		{"django's files", startDjango(t), "django", "exact", []string{"/files/report.txt"}},
		{"tomcat", tomcat["reject"], "tomcat", "", nil},
		{"tomcat decode", tomcat["decode"], "tomcat", "", []string{"/files/report.txt"}},
		{"spring", startSpring(t), "spring", "exact", []string{"/files/report.txt"}},
		{"nginx", startNginx(t), "exact", "", []string{"/files/report.txt"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			pages := append([]string{"/exact"}, test.pages...)
			for _, router := range []string{"any", test.fits} {
				got := examine(t, binary, test.addr, router, pages...)
				if len(got) != 1 || got[0].Status != "ok" || !strings.HasSuffix(got[0].Found, ": "+test.fits+" fits, and router: "+router+" covers it") {
					t.Errorf("router: %s: %+v, want %s", router, got, test.fits)
				}
			}
			if test.narrow == "" {
				return
			}
			got := examine(t, binary, test.addr, test.narrow, pages...)
			if len(got) != 1 || got[0].Status != "error" || !strings.Contains(got[0].Found, "router: "+test.narrow+" is narrower than the application") ||
				!strings.Contains(got[0].Advice, "router: "+test.fits) {
				t.Errorf("router: %s: %+v, want it found too narrow for %s", test.narrow, got, test.fits)
			}
		})
	}
}
