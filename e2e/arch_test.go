package e2e

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/posternhq/postern"

// listed is what the go command knows of a package; tests are left out.
type listed struct {
	ImportPath, Dir, Name, Doc string
	Standard                   bool
	GoFiles, Imports, Deps     []string
}

// listPackages describes the packages of this module by their path within it,
// and all that they rest on by their import path.
func listPackages(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,Name,Doc,Standard,GoFiles,Imports,Deps", "./...")
	cmd.Dir = root(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("go list:", err)
	}
	packages := map[string]listed{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[strings.TrimPrefix(p.ImportPath, module+"/")] = p
	}
}

// own are the packages of this module.
func own(packages map[string]listed) []string {
	var names []string
	for name, p := range packages {
		if strings.HasPrefix(p.ImportPath, module+"/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestImportsPointOneWay holds the drawing of the house: auth answers who is
// this, policy answers may they, gateway asks both, cmd wires them. Each entry
// has the reason that a failure prints.
func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	const up = "points up: nothing below may know who uses it"
	const apart = "who you are and what you may do are separate questions"
	forbid := map[string]map[string]string{
		"policy": {
			"net/http": "policy judges values, it does not speak HTTP", "database/sql": "policy keeps nothing",
			"auth": apart, "gateway": up, "auth/web": up, "gateway/config": up,
		},
		"auth": {
			"policy": apart, "gateway": up, "gateway/config": up, "auth/web": up, "auth/sqlstore": "storage stays behind auth.Store",
			"database/sql": "storage stays behind auth.Store",
			"net/http":     "auth/web is the one that speaks HTTP",
		},
		"auth/legacyhash": {
			"auth": "a hash is a text: its reader knows no account", "policy": apart, "gateway": up, "auth/web": up,
			"net/http": "a hash is a text", "database/sql": "storage stays behind auth.Store",
		},
		"auth/roster": {
			"policy": apart, "gateway": up, "gateway/config": up, "auth/web": up, "net/http": "files are read, not fetched",
			"auth/sqlstore": "a file knows no store", "database/sql": "a file knows no store",
		},
		"auth/oldlogin": {
			"policy": apart, "gateway": up, "gateway/config": up, "auth/web": up,
			"auth/sqlstore": "it asks, package auth keeps", "database/sql": "it asks, package auth keeps",
		},
		"auth/sqlstore": {"policy": apart, "gateway": up, "auth/web": up, "gateway/config": up},
		"auth/web": {
			"policy": apart, "gateway": "the gateway comes first and hands over a normalised request",
			"gateway/config": up, "auth/sqlstore": "storage stays behind auth.Store", "database/sql": "storage stays behind auth.Store",
		},
		"gateway": {
			"auth/web": "the gateway sees its own endpoints as an interface", "gateway/config": up,
			"auth/sqlstore": "storage stays behind auth.Store", "database/sql": "storage stays behind auth.Store",
		},
		"gateway/problem": {"auth": "answers know nothing of who asked", "policy": "answers know nothing of why", "gateway": up},
		"gateway/lean":    {"auth": "a transport knows nothing of who asked", "policy": "a transport knows nothing of why", "gateway": up, "gateway/problem": "a transport answers nobody"},
		"gateway/config":  {"auth/sqlstore": "reading a file opens no store", "database/sql": "reading a file opens no store"},
	}
	for from, reasons := range forbid {
		p, ok := packages[from]
		if !ok {
			t.Errorf("there is no package %s: take it out of this table or bring it back", from)
			continue
		}
		for dep := range reach(packages, p) {
			if reason, bad := reasons[dep]; bad {
				t.Errorf("%s rests on %s: %s", from, dep, reason)
			}
		}
	}
}

// reach is what a package imports, itself or through other packages of this
// module. What other modules import is their affair.
func reach(packages map[string]listed, p listed) map[string]bool {
	found := map[string]bool{}
	for _, imported := range p.Imports {
		name := strings.TrimPrefix(imported, module+"/")
		found[name] = true
		if name != imported {
			maps.Copy(found, reach(packages, packages[name]))
		}
	}
	return found
}

// TestOnlySqlstoreKnowsADriver keeps SQL in one place, and that place out of
// everybody's reach but the wiring's.
func TestOnlySqlstoreKnowsADriver(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	drivers := []string{"modernc.org/sqlite", "github.com/jackc/pgx", "github.com/lib/pq", "github.com/mattn/go-sqlite3"}
	for _, name := range own(packages) {
		for _, imported := range packages[name].Imports {
			for _, driver := range drivers {
				if (imported == driver || strings.HasPrefix(imported, driver+"/")) && name != "auth/sqlstore" {
					t.Errorf("%s imports %s: only auth/sqlstore imports a SQL driver", name, imported)
				}
			}
			if imported == module+"/auth/sqlstore" && !strings.HasPrefix(name, "cmd/") {
				t.Errorf("%s imports auth/sqlstore: only cmd does, the rest holds an auth.Store", name)
			}
		}
	}
}

// TestPolicyIsAFunctionOfItsInput keeps the world out of the decision: nothing
// but the standard library, no file, no clock, no chance, no goroutine.
func TestPolicyIsAFunctionOfItsInput(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	p := packages["policy"]
	for _, dep := range p.Deps {
		if !packages[strings.TrimPrefix(dep, module+"/")].Standard {
			t.Errorf("policy rests on %s: it imports the standard library alone", dep)
		}
		if dep == "net/http" {
			t.Error("policy rests on net/http: it judges values, it does not speak HTTP")
		}
	}
	for _, world := range []string{"os", "os/exec", "io/fs", "net", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog"} {
		if slices.Contains(p.Imports, world) {
			t.Errorf("policy imports %s: it judges values and touches nothing", world)
		}
	}
	clock := []string{"Now", "Since", "Until", "After", "Sleep", "Tick", "NewTimer", "NewTicker", "AfterFunc"}
	inspect(t, p, func(at token.Position, n ast.Node) {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(clock, n.Sel.Name) {
				t.Errorf("%s: policy reads the clock (time.%s): the time is an argument", at, n.Sel.Name)
			}
		case *ast.GoStmt:
			t.Errorf("%s: policy starts a goroutine", at)
		}
	})
}

func inspect(t *testing.T, p listed, visit func(token.Position, ast.Node)) {
	t.Helper()
	for _, name := range p.GoFiles {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if n != nil {
				visit(fset.Position(n.Pos()), n)
			}
			return true
		})
	}
}

// TestEveryPackageSaysWhatItIs wants a first sentence from each, and a noun for
// a name: a package called util says that nobody knew where its content belongs.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	nameless := []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "types", "models", "internal", "pkg", "mocks"}
	for _, name := range own(packages) {
		p := packages[name]
		if len(p.GoFiles) == 0 {
			continue // tests alone
		}
		if !strings.HasPrefix(p.Doc, "Package "+p.Name+" ") {
			t.Errorf("%s has no doc comment that begins %q", name, "Package "+p.Name+" ")
		}
		for part := range strings.SplitSeq(name, "/") {
			if slices.Contains(nameless, part) {
				t.Errorf("%s: %q is no noun that says what lives there", name, part)
			}
		}
	}
}

// TestTestingStaysOutOfTheBinary lets only the store's conformance suite, which
// tests import, know the testing package.
func TestTestingStaysOutOfTheBinary(t *testing.T) {
	t.Parallel()
	p := listPackages(t)["cmd/postern"]
	for _, unwanted := range []string{"testing", "net/http/httptest"} {
		if slices.Contains(p.Deps, unwanted) {
			t.Errorf("the binary contains %s", unwanted)
		}
	}
}

// TestNobodyServesTheDefaultMux: net/http/pprof, which the admin listener has by
// choice, puts its handlers there on its own. So no server may fall back to it.
func TestNobodyServesTheDefaultMux(t *testing.T) {
	packages := listPackages(t)
	for _, name := range own(packages) {
		if p := packages[name]; slices.Contains(p.Imports, "net/http/pprof") && name != "gateway" {
			t.Errorf("%s imports net/http/pprof: only gateway does, for the admin listener", name)
		}
		inspect(t, packages[name], func(at token.Position, n ast.Node) {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return
			}
			banned := []string{"DefaultServeMux", "ListenAndServe", "ListenAndServeTLS", "Handle", "HandleFunc"}
			if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "http" && slices.Contains(banned, s.Sel.Name) {
				t.Errorf("%s: http.%s is, or may serve, the mux of everybody", at, s.Sel.Name)
			}
		})
	}
}

// TestGoVersionHasTheFixes refuses to build with a Go release whose net/http
// and crypto have known holes: CVE-2026-39825, CVE-2026-39821, CVE-2026-42507,
// CVE-2026-56853 and CVE-2026-56860 were fixed by 1.26.6.
func TestGoVersionHasTheFixes(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"go.mod", "tools/go.mod"} {
		var got string
		for line := range strings.Lines(read(t, file)) {
			if rest, ok := strings.CutPrefix(line, "go "); ok {
				got = strings.TrimSpace(rest)
			}
		}
		if !atLeast(got, 1, 26, 6) {
			t.Errorf("%s says go %s, want at least 1.26.6", file, got)
		}
	}
}

func atLeast(version string, want ...int) bool {
	parts := strings.Split(version, ".")
	for i, w := range want {
		if i >= len(parts) {
			return false
		}
		got, err := strconv.Atoi(parts[i])
		if err != nil || got < w {
			return false
		}
		if got > w {
			return true
		}
	}
	return true
}

// TestLicenceIsThere wants the whole text, with a name in it.
func TestLicenceIsThere(t *testing.T) {
	t.Parallel()
	text := read(t, "LICENSE")
	for _, want := range []string{"Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS", "Copyright 2026 The Postern Authors"} {
		if !strings.Contains(text, want) {
			t.Errorf("LICENSE lacks %q", want)
		}
	}
}

// root is the folder that holds go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// read is a file of the project, named from its root.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(path.Clean(name))))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
