package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/posternhq/postern/policy"
)

// decoder turns a tree of YAML into the structs of a configuration, and keeps
// going at whatever is wrong, so that all of it is reported at once.
type decoder struct {
	file     string
	findings []Finding
	places   map[string]policy.Pos // where the value of each key stands
	failed   map[string]bool       // values that could not be read
	unknown  map[string]bool       // mappings with keys that do not exist
	twins    map[string]setting    // secrets that the file has in files of their own
}

// newDecoder has seen nothing; the file's name is for its findings only.
func newDecoder(file string) *decoder {
	return &decoder{
		file:    file,
		places:  make(map[string]policy.Pos),
		failed:  make(map[string]bool),
		unknown: make(map[string]bool),
		twins:   make(map[string]setting),
	}
}

// find adds an error at a place.
func (d *decoder) find(pos policy.Pos, format string, args ...any) {
	d.findings = append(d.findings, at(pos, format, args...))
}

// fail adds an error about the value of the key path.
func (d *decoder) fail(pos policy.Pos, path, format string, args ...any) {
	d.failed[path] = true
	message := fmt.Sprintf(format, args...)
	d.find(pos, "%s", strings.TrimPrefix(path+": "+message, ": "))
}

// value reads the value of the key path into v.
func (d *decoder) value(s *shape, n *yaml.Node, v reflect.Value, path string) {
	d.places[path] = d.pos(n)
	if n.Kind == yaml.AliasNode || n.Style&yaml.TaggedStyle != 0 {
		d.failed[path] = true // reported by inspect
		return
	}
	if n.Tag == "!!null" {
		d.empty(n, path)
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch {
	case s.kind == list:
		d.list(s, n, v, path)
	case s.kind == object:
		d.object(s, n, v, path)
	case n.Kind != yaml.ScalarNode:
		d.fail(d.pos(n), path, "must be %s, not %s", s, describe(n))
	default:
		d.scalar(s, n, v, path)
	}
}

// empty judges a key without a value. At the top it is what remains when all
// that stood below was commented out, and counts as if the key were not there.
// In an entry of a list it is an error: `methods:` without methods would turn
// a rule for some requests into a rule for all.
func (d *decoder) empty(n *yaml.Node, path string) {
	switch {
	case strings.HasSuffix(path, "]"):
		d.fail(d.pos(n), path, "an empty entry: fill it in or remove it")
	case strings.Contains(path, "["):
		d.fail(d.pos(n), path, "has no value: give it one, or leave the key out")
	}
}

// list reads a list, or where the key allows it its only item. What the file
// lists replaces the default whole: two lists are never merged, so that what
// stands in the file is all that holds.
func (d *decoder) list(s *shape, n *yaml.Node, v reflect.Value, path string) {
	items := n.Content
	switch {
	case n.Kind == yaml.SequenceNode:
	case s.single:
		items = []*yaml.Node{n}
	case n.Kind == yaml.ScalarNode:
		d.fail(d.pos(n), path, "must be a list, not %s: put it in brackets, [ and ]", describe(n))
		return
	default:
		d.fail(d.pos(n), path, "must be a list, not %s: put a dash (- ) before it", describe(n))
		return
	}
	if len(items) == 0 && mustHoldItems(path) {
		d.fail(d.pos(n), path, "is empty: list something, or leave the key out")
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, one := range items {
		d.value(s.item, one, v.Index(i), item(path, i))
	}
}

// object reads a mapping key by key, after it told those who want to know
// where they stand: a policy's findings and explanations point at that place.
func (d *decoder) object(s *shape, n *yaml.Node, v reflect.Value, path string) {
	for _, index := range s.places {
		pos := d.pos(n)
		v.FieldByIndex(index).Addr().Interface().(placed).SetPos(pos.File, pos.Line, pos.Column)
	}
	switch {
	case n.Kind == yaml.ScalarNode && s.word:
		d.scalar(s, n, v, path)
		return
	case n.Kind != yaml.MappingNode:
		d.fail(d.pos(n), path, "must be %s, not %s", s, describe(n))
		return
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.ScalarNode && seen[key.Value] {
			continue // the second of two, reported by inspect: the first stays
		}
		seen[key.Value] = true
		d.key(s, key, n.Content[i+1], v, path)
	}
	for _, f := range s.fields {
		if f.shape.secret {
			d.secret(f, v, path)
		}
	}
}

// secret looks at a secret of the object at path, which may stand in a file of
// its own. In a list that is read at once: neither environment nor flag reaches
// into lists.
func (d *decoder) secret(f field, v reflect.Value, path string) {
	one, both := join(path, f.name), join(path, f.name+twinSuffix)
	if d.has(one) && d.has(both) {
		d.fail(d.places[both], path, "give either %s or %s, not both", f.name, f.name+twinSuffix)
		delete(d.twins, one)
	}
	if twin, ok := d.twins[one]; ok && strings.Contains(path, "[") {
		d.apply(key{one, f.index, f.shape}, twin, v.FieldByIndex(f.index))
	}
}

// has tells whether the file has the key, rightly written or not.
func (d *decoder) has(path string) bool {
	_, ok := d.places[path]
	return ok
}

// key reads one key of an object, with its value. That below is the path of
// another key says nothing: a key may be written with a dot, which is no key of
// ours.
func (d *decoder) key(s *shape, key, n *yaml.Node, v reflect.Value, path string) {
	below := join(path, key.Value)
	switch f := s.find(key.Value); {
	case key.Kind != yaml.ScalarNode:
		d.fail(d.pos(key), path, "a key must be a word, not %s", describe(key))
	case key.Tag == "!!merge":
		d.fail(d.pos(key), path, "merge keys (<<) are not supported: write the keys out")
	case key.Value == "":
		d.fail(d.pos(key), path, "a key has no name: write one before the colon, or remove the line")
	case f != nil:
		d.value(f.shape, n, v.FieldByIndex(f.index), below)
	case s.findTwin(key.Value) != nil:
		d.twin(n, below)
	default:
		d.unknown[path] = true
		if !d.has(below) {
			d.places[below] = d.pos(n)
		}
		d.find(d.pos(key), "unknown key %q%s", key.Value, s.suggest(key.Value, n.Kind == yaml.SequenceNode))
	}
}

// twin notes a secret that the file has in a file of its own. It is read once
// it is known that neither environment nor flag overrules it.
func (d *decoder) twin(n *yaml.Node, path string) {
	var name string
	d.value(&shape{kind: text}, n, reflect.ValueOf(&name).Elem(), path)
	if name != "" {
		d.twins[strings.TrimSuffix(path, twinSuffix)] = setting{origin: fromFile, pos: d.pos(n), raw: name, twin: true}
	}
}

// notText says what to write for a number or a truth where a text belongs. A
// port alone is the commonest of them.
func notText(s *shape, n *yaml.Node, path string) string {
	switch {
	case s.secret:
		return "must be a text: put it in quotes"
	case path == "listen" && n.Tag == "!!int":
		return fmt.Sprintf(`must be an address: write ":%s", or 127.0.0.1:%s for this machine alone`, n.Value, n.Value)
	case path == "admin.listen" && n.Tag == "!!int":
		return fmt.Sprintf("must be an address: write 127.0.0.1:%s", n.Value)
	}
	return fmt.Sprintf("must be a text: put it in quotes, \"%s\"", n.Value)
}

// scalar reads one word or number. Which of the two it is, YAML decides by how
// it is written, and what is written must be what is meant: 1.10 as a text
// needs quotes, or the next reader takes it for 1.1.
func (d *decoder) scalar(s *shape, n *yaml.Node, v reflect.Value, path string) {
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
	isText := n.Tag == "!!str" || n.Tag == "!!timestamp"
	switch {
	case s.kind == text && !isText:
		d.fail(d.pos(n), path, "%s", notText(s, n, path))
		return
	case n.Value == "" && mustHoldText(path):
		d.fail(d.pos(n), path, "is empty: give it a value, or leave the key out")
		return
	case (s.kind == integer || s.kind == boolean) && quoted:
		d.fail(d.pos(n), path, "must be %s: leave out the quotes", s)
		return
	}
	if err := setScalar(s, n.Value, v); err != nil {
		d.fail(d.pos(n), path, "%v", err)
		return
	}
	if s.kind == object && !isText { // a word of the policy, as self: 010
		d.fail(d.pos(n), path, "%s", notText(s, n, path))
	}
	if s.kind == duration && v.IsZero() && isCondition(path) {
		d.fail(d.pos(n), path, "%s is no condition: give it a time, or leave the key out", n.Value)
	}
}
