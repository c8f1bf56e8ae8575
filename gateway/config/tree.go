package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/posternhq/postern/policy"
)

// Bounds on what is read. A policy of 100,000 routes has about 10 MiB and is
// six levels deep.
const (
	maxFile  = 16 << 20
	maxDepth = 32
)

// parse turns the bytes into the tree of one mapping, or nil for an empty
// file. What no key may do anywhere (anchors, aliases, merge keys, tags,
// duplicates) is found here, before anything is made of the values. What is
// not YAML at all counts as a value that could not be read, so that nobody
// complains of the keys that are missing in it.
func (d *decoder) parse(data []byte) *yaml.Node {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	switch {
	case len(data) > maxFile:
		d.fail(policy.Pos{File: d.file, Line: 1, Column: 1}, "", "the file has more than %d MiB; a configuration is not that long", maxFile>>20)
		return nil
	case !utf8.Valid(data):
		d.fail(invalidAt(d.file, data), "", "not UTF-8 text")
		return nil
	}
	stream := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	if err := stream.Decode(&document); err != nil {
		if !errors.Is(err, io.EOF) {
			d.syntax(err, data)
		}
		return nil
	}
	root := document.Content[0]
	d.inspect(root, 0)
	switch err := stream.Decode(&second); {
	case err == nil:
		// The reader of the second half would believe that it holds.
		d.find(d.pos(&second), "a second document starts here (---): gateway.yaml is one document")
	case !errors.Is(err, io.EOF):
		d.syntax(err, data)
	}
	if root.Tag == "!!null" {
		return nil
	}
	return root
}

// inspect reports what no configuration may hold, wherever it stands. Aliases
// are refused and never followed: a few hundred bytes of them expand into
// gigabytes (CF-08), and a merge key hides which value holds.
func (d *decoder) inspect(n *yaml.Node, depth int) {
	switch {
	case depth > maxDepth:
		d.find(d.pos(n), "nested more than %d levels deep", maxDepth)
		return
	case n.Kind == yaml.AliasNode:
		d.find(d.pos(n), "aliases (*%s) are not supported: write the value out", n.Value)
		return
	case n.Anchor != "":
		d.find(d.pos(n), "anchors (&%s) are not supported: write the value out where it is needed", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		d.find(d.pos(n), "tags (%s) are not supported", n.Tag)
	}
	if n.Kind == yaml.MappingNode {
		d.duplicates(n)
	}
	for _, child := range n.Content {
		d.inspect(child, depth+1)
	}
}

// duplicates reports keys that stand twice in a mapping: one of the values
// would win, and the reader of the file could only guess which.
func (d *decoder) duplicates(n *yaml.Node) {
	first := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			continue
		}
		if earlier, ok := first[key.Value]; ok {
			d.find(d.pos(key), "duplicate key %q: it stands in line %d already", key.Value, earlier.Line)
			continue
		}
		first[key.Value] = key
	}
}

// pos is where a node stands. The parser gives no place to what is not there,
// such as the value of a key at the end of the file.
func (d *decoder) pos(n *yaml.Node) policy.Pos {
	return policy.Pos{File: d.file, Line: max(n.Line, 1), Column: max(n.Column, 1)}
}

// describe names what stands in the file, for "must be ..., not ...".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping of keys"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	}
	return "a text"
}

// join is the path of a key below a path, as findings show it:
// routes[2].allow[0].role.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// item is the path of an entry of a list, counted from 0.
func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// parent is the path without its last key or list position.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }
