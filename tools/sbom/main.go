// Sbom writes down what a built binary of Go is made of: a software bill of
// materials in CycloneDX's JSON. It reads the binary itself, which knows its
// modules, so that the list is of what was linked and not of what go.mod allows.
//
//	go run ./sbom BINARY > postern.cdx.json
//	go run ./sbom -texts BINARY > THIRD_PARTY.txt
//
// With -texts it writes the licences' texts instead, which go along with the
// binary. It fails for a module whose licence it does not know as a free one.
// The same binary gives the same bytes: there is no date in them.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// main fails where a module's licence is not one that somebody has looked at: a
// release must not leave out what it comes under.
func main() {
	texts := flag.Bool("texts", false, "write the texts of the licences instead")
	root := flag.String("root", "..", "the folder with the go.mod that the binary was built from")
	version := flag.String("version", "", "of the program; the binary itself knows it only when git built it")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: sbom [-texts] [-root FOLDER] [-version VERSION] BINARY")
		os.Exit(2)
	}
	if err := run(os.Stdout, *root, flag.Arg(0), *version, *texts); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// run reads the binary and writes one of the two documents.
func run(out io.Writer, root, binary, version string, texts bool) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	if version != "" {
		info.Main.Version = version
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	licences, err := readLicences(root, info)
	if err != nil {
		return err
	}
	if texts {
		return writeTexts(out, info, licences)
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(describe(info, licences, sha256.Sum256(content)))
}

// What follows are the parts of CycloneDX 1.6 that are used.
type (
	bom struct {
		Format       string       `json:"bomFormat"`
		Spec         string       `json:"specVersion"`
		Serial       string       `json:"serialNumber"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Component component `json:"component"`
	}
	component struct {
		Type     string     `json:"type"`
		Ref      string     `json:"bom-ref"`
		Name     string     `json:"name"`
		Version  string     `json:"version"`
		PURL     string     `json:"purl"`
		Hashes   []hash     `json:"hashes,omitempty"`
		Licences []choice   `json:"licenses,omitempty"`
		More     []property `json:"properties,omitempty"`
	}
	hash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	choice struct {
		Licence licenceID `json:"license"`
	}
	licenceID struct {
		ID string `json:"id"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn,omitempty"`
	}
)

// describe makes the bill. Its serial number is a UUID that follows from the
// binary.
func describe(info *buildinfo.BuildInfo, licences map[string]licence, sum [sha256.Size]byte) bom {
	id := sum
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8: of one's own making
	h := hex.EncodeToString(id[:16])
	program := module(&info.Main)
	program.Type, program.Hashes = "application", []hash{{"SHA-256", hex.EncodeToString(sum[:])}}
	program.Licences = []choice{{licenceID{"Apache-2.0"}}}
	for _, s := range info.Settings {
		if s.Key == "GOOS" || s.Key == "GOARCH" || s.Key == "CGO_ENABLED" || s.Key == "-trimpath" {
			program.More = append(program.More, property{"go:" + s.Key, s.Value})
		}
	}
	// The standard library is linked as well, though no go.mod lists it.
	std := component{Type: "library", Ref: "pkg:golang/std@" + info.GoVersion, Name: "std", Version: info.GoVersion, PURL: "pkg:golang/std@" + info.GoVersion, Licences: []choice{{licenceID{"BSD-3-Clause"}}}}
	made := bom{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{program}, Components: []component{std},
		Serial: "urn:uuid:" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]}
	on := dependency{Ref: program.Ref, On: []string{std.Ref}}
	for _, m := range info.Deps {
		c := module(linked(m))
		c.Licences = []choice{{licenceID{licences[m.Path].id}}}
		if m.Sum != "" { // of the module's files, as go.sum has it
			c.More = []property{{"go:sum", m.Sum}}
		}
		made.Components = append(made.Components, c)
		on.On = append(on.On, c.Ref)
	}
	made.Dependencies = []dependency{on}
	return made
}

// linked is what was linked in the place of a module.
func linked(m *debug.Module) *debug.Module {
	if m.Replace != nil {
		return m.Replace
	}
	return m
}

// module is a part by the name that package URLs give it.
func module(m *debug.Module) component {
	purl := "pkg:golang/" + m.Path + "@" + m.Version
	return component{Type: "library", Ref: purl, Name: m.Path, Version: m.Version, PURL: purl}
}
