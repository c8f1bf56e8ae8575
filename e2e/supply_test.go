package e2e

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// buildAs runs the Makefile's own line in a folder, as TestImageBinaryIsStatic
// runs the Dockerfile's.
func buildAs(t *testing.T, dir, binary string, env ...string) []byte {
	t.Helper()
	line := strings.NewReplacer("$(BINARY)", binary, "${VERSION}", "v9.8.7").Replace(buildLine(t, "Makefile"))
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestTwoBuildsAreByteIdentical builds here and from a copy in another folder.
// In the long form the copy shares nothing that was compiled before, either.
func TestTwoBuildsAreByteIdentical(t *testing.T) {
	t.Parallel()
	here := buildAs(t, root(t), filepath.Join(t.TempDir(), "postern"))
	copied := t.TempDir()
	for _, part := range []string{"auth", "cmd", "gateway", "policy"} {
		if err := os.CopyFS(filepath.Join(copied, part), os.DirFS(filepath.Join(root(t), part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(copied, name), []byte(read(t, name)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var env []string
	if os.Getenv("POSTERN_TEST_SOAK") != "" {
		env = append(env, "GOCACHE="+t.TempDir())
	}
	there := buildAs(t, copied, filepath.Join(t.TempDir(), "postern"), env...)
	if !bytes.Equal(here, there) {
		t.Errorf("two builds of %d and %d bytes differ", len(here), len(there))
	}
	for _, dir := range []string{copied, root(t), os.Getenv("HOME") + "/go"} {
		if len(dir) > 5 && bytes.Contains(here, []byte(dir+"/")) {
			t.Errorf("the binary holds the builder's folder %s", dir)
		}
	}
}

// bill is what is read of a software bill of materials.
type bill struct {
	BOMFormat, SpecVersion string
	Metadata               struct {
		Component struct {
			Version string
			Hashes  []struct{ Alg, Content string }
		}
	}
	Components []struct {
		Name, Version, PURL string
		Licenses            []struct{ License struct{ ID string } }
	}
}

// TestAReleaseHasItsChecksumsItsBillAndItsLicences makes one for this machine:
// the bill names each module that is in the binary, with a licence that is free,
// and the checksums are right.
func TestAReleaseHasItsChecksumsItsBillAndItsLicences(t *testing.T) {
	t.Parallel()
	need(t, "make", "sha256sum")
	dir := filepath.Join(t.TempDir(), "release")
	cmd := exec.Command("make", "release", "VERSION=v9.8.7", "PLATFORMS="+runtime.GOOS+"/"+runtime.GOARCH, "RELEASE="+dir)
	cmd.Dir = root(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make release: %v\n%s", err, out)
	}
	if out, err := exec.Command("sh", "-c", "cd "+dir+" && sha256sum -c --strict SHA256SUMS").CombinedOutput(); err != nil {
		t.Errorf("SHA256SUMS: %v\n%s", err, out)
	}
	name := filepath.Join(dir, "postern_v9.8.7_"+runtime.GOOS+"_"+runtime.GOARCH)
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var b bill
	text, err := os.ReadFile(name + ".cdx.json")
	if err != nil || json.Unmarshal(text, &b) != nil {
		t.Fatalf("the bill: %v\n%s", err, text)
	}
	sum := sha256.Sum256(content)
	if c := b.Metadata.Component; b.BOMFormat != "CycloneDX" || c.Version != "v9.8.7" || len(c.Hashes) != 1 || c.Hashes[0].Content != hex.EncodeToString(sum[:]) {
		t.Errorf("the bill is of %+v", c)
	}
	judgeBill(t, b, name)
	licences, err := os.ReadFile(name + ".licences.txt")
	if err != nil || strings.Count(string(licences), "\n==== ")+1 != len(b.Components)-1 {
		t.Errorf("the licences of %d modules are told, of %d: %v", strings.Count(string(licences), "\n==== ")+1, len(b.Components)-1, err)
	}
}

// judgeBill holds a bill against what the binary says of itself.
func judgeBill(t *testing.T, b bill, binary string) {
	t.Helper()
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	free := []string{"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "MPL-2.0"}
	listed := map[string]bool{}
	for _, c := range b.Components {
		listed[c.Name+" "+c.Version] = true
		if len(c.Licenses) != 1 || !slices.Contains(free, c.Licenses[0].License.ID) {
			t.Errorf("%s is under %v", c.Name, c.Licenses)
		}
	}
	for _, m := range info.Deps {
		if !listed[m.Path+" "+m.Version] {
			t.Errorf("the bill lacks %s %s", m.Path, m.Version)
		}
	}
	if len(listed) != len(info.Deps)+1 || !listed["std "+info.GoVersion] {
		t.Errorf("the bill has %d parts, the binary %d and the standard library", len(listed), len(info.Deps))
	}
}

// TestVersionsArePinned: what is built is said by go.mod and go.sum alone, and
// nothing in the Makefile takes whatever is newest.
func TestVersionsArePinned(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"go.mod", "tools/go.mod"} {
		if text := read(t, file); regexp.MustCompile(`(?m)^\s*(replace|exclude)\b`).MatchString(text) {
			t.Errorf("%s replaces or excludes a module", file)
		}
	}
	for _, file := range []string{"Makefile", "tools/setup.sh", "Dockerfile"} {
		if strings.Contains(read(t, file), "@latest") {
			t.Errorf("%s takes whatever is newest", file)
		}
	}
	if makefile := read(t, "Makefile"); !strings.Contains(makefile, "go mod verify") || !strings.Contains(makefile, "-mod=readonly") {
		t.Error("the Makefile neither verifies the modules nor keeps go.mod as it is")
	}
}

// TestMakeTellsWhatItCanDo: make alone builds and installs nothing, and says a
// line of every target that is meant to be asked for.
func TestMakeTellsWhatItCanDo(t *testing.T) {
	t.Parallel()
	need(t, "make")
	makefile := read(t, "Makefile")
	_, targets, _ := strings.Cut(makefile, "\n.PHONY: ")
	targets, _, _ = strings.Cut(targets, "\n")
	for _, args := range [][]string{nil, {"help"}} {
		cmd := exec.Command("make", args...)
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=0") // not as the make that runs this test
		said, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("make %v: %v\n%s", args, err, said)
		}
		lines := strings.Split(strings.TrimSpace(string(said)), "\n")
		if want := len(strings.Fields(targets)); len(lines) != want {
			t.Errorf("make %v tells of %d targets, and there are %d:\n%s", args, len(lines), want, said)
		}
		for _, target := range strings.Fields(targets) {
			if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "make "+target+" ") }) {
				t.Errorf("make %v does not tell of %s:\n%s", args, target, said)
			}
		}
	}
}
