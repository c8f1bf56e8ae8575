package e2e

import (
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// buildLine finds the command that builds the binary in a Dockerfile or a
// Makefile, and leaves it as a shell would run it.
func buildLine(t *testing.T, file string) string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^(?:RUN |\t)(CGO_ENABLED=0 go build .*)$`).FindStringSubmatch(read(t, file))
	if line == nil {
		t.Fatalf("%s builds nothing", file)
	}
	return strings.ReplaceAll(line[1], "$(VERSION)", "${VERSION}")
}

// TestImageBinaryIsStatic runs the very line of the Dockerfile. An image of
// scratch has no loader: a binary that asks for one would not start there.
func TestImageBinaryIsStatic(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "postern")
	line := strings.ReplaceAll(buildLine(t, "Dockerfile"), "/out/postern", out)
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "VERSION=v9.8.7-image")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, text)
	}
	binary, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	for _, segment := range binary.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Error("the binary asks for a dynamic loader")
		}
	}
	if libraries, err := binary.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("the binary wants %v", libraries)
	}
	said, err := exec.Command(out, "version").Output()
	if err != nil || !strings.Contains(string(said), "v9.8.7-image") {
		t.Errorf("version says %q (%v), want the VERSION it was built with", said, err)
	}
	// Two builds of one commit are one binary: no folder of the builder's in it.
	info, err := buildinfo.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range info.Settings {
		if setting.Key == "-trimpath" && setting.Value == "true" {
			return
		}
	}
	t.Error("the binary was not built with -trimpath")
}

// TestImageAndMakeBuildTheSame keeps the two commands one.
func TestImageAndMakeBuildTheSame(t *testing.T) {
	t.Parallel()
	output := regexp.MustCompile(` -o \S+`)
	image := output.ReplaceAllString(buildLine(t, "Dockerfile"), "")
	local := output.ReplaceAllString(buildLine(t, "Makefile"), "")
	if image != local {
		t.Errorf("the Dockerfile builds with\n\t%s\nand the Makefile with\n\t%s", image, local)
	}
}

// TestImageRunsWithoutRights reads the last stage: no shell, no root, a place
// for the store, and a health check that needs no other program.
func TestImageRunsWithoutRights(t *testing.T) {
	t.Parallel()
	text := read(t, "Dockerfile")
	_, last, found := strings.Cut(text, "\nFROM scratch\n")
	if !found {
		t.Fatal("the last stage is not scratch")
	}
	for _, want := range []string{
		"USER 65532", "POSTERN_LISTEN=:8080", "POSTERN_ADMIN_LISTEN=:9901", "VOLUME /data",
		`HEALTHCHECK `, `["/postern", "healthcheck"]`, `ENTRYPOINT ["/postern"]`,
	} {
		if !strings.Contains(last, want) {
			t.Errorf("the image lacks %s", want)
		}
	}
	if strings.Contains(last, "\nRUN ") {
		t.Error("the last stage runs a command: scratch has no shell")
	}
}
