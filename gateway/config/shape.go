package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/posternhq/postern/policy"
)

// kind is what a value looks like in the file.
type kind uint8

const (
	text     kind = iota
	word          // a type of its own that reads one scalar, by UnmarshalText
	integer       // decimal digits alone
	boolean       // true or false
	duration      // Go's durations, and days
	list
	object
)

// shape is a Go type as the file sees it. Decoder, environment and schema all
// work from the one tree, so that they cannot come to disagree.
type shape struct {
	kind   kind
	typ    reflect.Type // with pointers removed
	item   *shape       // of a list
	single bool         // a list that may be written as its only item
	word   bool         // an object that a word may stand for
	secret bool         // has a _file twin, and is never shown
	fields []field      // of an object, in the order of the struct
	places [][]int      // of an object: the fields that are told their place
}

// field is one key of an object.
type field struct {
	name  string
	index []int // for reflect.Value.FieldByIndex
	shape *shape
}

// placed is what wants to know where in the file it stands.
type placed interface {
	SetPos(file string, line, column int)
}

// shapeOf derives the shape of a configuration type. It panics on a type that
// a file cannot express: that is a mistake in this program, which every test
// that loads a file finds.
func shapeOf(t reflect.Type) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	reads := reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	s := &shape{typ: t}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		s.kind = duration
	case t.Kind() == reflect.Struct:
		s.kind, s.word = object, reads
		s.addFields(t, nil)
	case reads:
		s.kind = word
	case t.Kind() == reflect.String:
		s.kind = text
	case t.Kind() == reflect.Bool:
		s.kind = boolean
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		s.kind = integer
	case t.Kind() == reflect.Slice:
		s.kind, s.item = list, shapeOf(t.Elem())
	default:
		panic(fmt.Sprintf("config: no file can express a %s", t))
	}
	return s
}

// addFields collects the keys of a struct, those of inlined structs among
// them.
func (s *shape) addFields(t reflect.Type, base []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int(nil), base...), i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case reflect.PointerTo(f.Type).Implements(reflect.TypeFor[placed]()):
			s.places = append(s.places, index)
		case name == "-":
		case options == "inline":
			s.addFields(f.Type, index)
		case name != "":
			sub := shapeOf(f.Type)
			sub.single, sub.secret = options == "single", options == "secret"
			s.fields = append(s.fields, field{name, index, sub})
		default:
			panic(fmt.Sprintf("config: %s.%s has no name in the file", t, f.Name))
		}
	}
}

// find is the field of that name, or nil.
func (s *shape) find(name string) *field {
	for i := range s.fields {
		if s.fields[i].name == name {
			return &s.fields[i]
		}
	}
	return nil
}

// findTwin is the secret that name is the _file twin of, or nil.
func (s *shape) findTwin(name string) *field {
	base, ok := strings.CutSuffix(name, twinSuffix)
	if !ok {
		return nil
	}
	if f := s.find(base); f != nil && f.shape.secret {
		return f
	}
	return nil
}

// names are all keys that the object takes, twins included.
func (s *shape) names() []string {
	var all []string
	for _, f := range s.fields {
		all = append(all, f.name)
		if f.shape.secret {
			all = append(all, f.name+twinSuffix)
		}
	}
	return all
}

// suggest is the key that name may be a slip for. Whoever gave a list wants a
// key that takes one: roles: [admin] is no slip for role, but for any_role.
func (s *shape) suggest(name string, isList bool) string {
	for _, one := range []string{name, strings.TrimSuffix(name, "s")} {
		if f := s.find("any_" + one); isList && f != nil {
			return fmt.Sprintf(" (did you mean %q?)", f.name)
		}
	}
	return policy.Suggest(name, s.names())
}

// scalar tells the values that are one word or number.
func (s *shape) scalar() bool { return s.kind != list && s.kind != object }

// settable tells the values that environment and flags can give: scalars and
// lists of scalars.
func (s *shape) settable() bool { return s.scalar() || s.kind == list && s.item.scalar() }

// String says what must stand in the file, as in "must be ...".
func (s *shape) String() string {
	switch {
	case s.kind == list && s.single:
		return "a list, or the only item of one"
	case s.kind == list:
		return "a list"
	case s.kind == object && s.word:
		return "a word or a mapping of keys"
	case s.kind == object:
		return "a mapping of keys"
	case s.kind == integer:
		return "a whole number"
	case s.kind == boolean:
		return "true or false"
	case s.kind == duration:
		return "a duration such as 90s, 15m, 12h or 7d"
	}
	return "a text"
}
