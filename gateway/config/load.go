package config

import (
	"crypto/sha256"
	"maps"
	"reflect"
	"slices"

	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/policy"
)

// Source is all that a configuration is read from.
type Source struct {
	Path  string            // of the file, for findings
	Data  []byte            // its content; nothing: every default
	Env   []string          // as os.Environ gives it; only POSTERN_ names are looked at
	Flags map[string]string // by key path; and "upstream", the URL of the only upstream
	Known []string          // POSTERN_ names that are no keys; a * at the end stands for any rest
}

// load reads a configuration: flags over the environment over the file over the
// defaults. It goes on past what is wrong, so that Check tells of all of it. The
// file may be half read then: only a caller that looks at the findings may use
// it.
func load(src Source) (*File, *decoder) {
	d, file := newDecoder(src.Path), defaults()
	file.Path, file.Digest = src.Path, sha256.Sum256(src.Data)
	root := reflect.ValueOf(file).Elem()
	if tree := d.parse(src.Data); tree != nil {
		d.value(fileShape(), tree, root, "")
	}
	d.overlay(src, root)
	d.heedUpstream(src, file)
	return file, d
}

// upstreamFlag is the flag that is no key.
const upstreamFlag = "--upstream"

// heedUpstream heeds --upstream: it stands for the only upstream of the file,
// or makes one, and where no route says otherwise every path then needs a
// login.
func (d *decoder) heedUpstream(src Source, file *File) {
	for _, path := range slices.Sorted(maps.Keys(src.Flags)) {
		if path != "upstream" && !slices.ContainsFunc(settableKeys(fileShape(), "", nil), func(k key) bool { return k.path == path }) {
			d.find(policy.Pos{File: flagName(path)}, "no such setting")
		}
	}
	url, ok := src.Flags["upstream"]
	if !ok {
		return
	}
	pos := policy.Pos{File: upstreamFlag}
	switch len(file.Upstreams) {
	case 0:
		file.Upstreams = []gateway.Upstream{{Pos: pos, Name: "app"}}
	case 1:
	default:
		d.find(pos, "the file has %d upstreams; the flag is for one", len(file.Upstreams))
		return
	}
	file.Upstreams[0].URLs = []string{url}
	d.displace("upstreams[0].urls", pos)
	if !d.has("routes") {
		file.Routes = []Route{{Route: policy.Route{Pos: pos, Path: "/**", Allow: []policy.Rule{{Pos: pos, Authenticated: true}}}}}
	}
}
