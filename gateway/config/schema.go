package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/web"
	"github.com/posternhq/postern/policy"
)

// node is a schema, or any part of one.
type node = map[string]any

// Patterns for what the schema can only describe by its letters.
const (
	// plainText has no control character.
	plainText = `^[^\x00-\x1f\x7f-\x9f]*$`
	sizeForm  = `^(0|[1-9][0-9]*)( ?(KiB|MiB|GiB))?$`
)

// Schema returns the JSON Schema (2020-12) of gateway.yaml, from which editors
// complete and check. It accepts what can be read, and of what Check judges
// it knows the closed lists of words and the keys that must be there.
func Schema() []byte {
	root := schemaOf(fileShape(), "", false)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "gateway.yaml, the configuration of Postern"
	addDefaults(root)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		panic(err) // maps, strings and numbers alone: cannot happen
	}
	return out.Bytes()
}

// schemaOf describes the value of a key. Outside lists a key may stay without
// a value; see decoder.empty.
func schemaOf(s *shape, path string, entry bool) node {
	described := bareSchema(s, path, entry)
	if !entry {
		return orNull(described)
	}
	return described
}

// bareSchema describes a value that is there. path has no list positions:
// entries of a list are all alike.
func bareSchema(s *shape, path string, entry bool) node {
	switch s.kind {
	case list:
		one := schemaOf(s.item, path, true)
		many := node{"type": "array", "items": one}
		if mustHoldItems(path) {
			many["minItems"] = 1
		}
		if s.single {
			return node{"anyOf": []any{one, many}}
		}
		return many
	case object:
		object := objectSchema(s, path, entry)
		if s.word {
			return node{"anyOf": []any{wordSchema(s.typ), object}}
		}
		return object
	case word:
		return wordSchema(s.typ)
	case integer:
		return node{"type": "integer"}
	case boolean:
		return node{"type": "boolean"}
	case duration:
		described := node{"type": "string", "pattern": durationForm, "minLength": 2}
		if isCondition(path) {
			described["not"] = node{"pattern": "^[^1-9]*$"}
		}
		return described
	}
	if words := closedLists()[path]; words != nil {
		return node{"type": "string", "enum": words}
	}
	described := node{"type": "string", "pattern": plainText}
	if mustHoldText(path) {
		described["minLength"] = 1
	}
	return described
}

// objectSchema describes a mapping: its keys and no others, a secret or its
// _file twin but not both.
func objectSchema(s *shape, path string, entry bool) node {
	properties := node{}
	described := node{"type": "object", "properties": properties, "additionalProperties": false}
	for _, f := range s.fields {
		properties[f.name] = schemaOf(f.shape, join(path, f.name), entry)
		if f.shape.secret {
			twin := f.name + twinSuffix
			properties[twin] = schemaOf(&shape{kind: text}, join(path, twin), entry)
			either, _ := described["dependentSchemas"].(node)
			if either == nil {
				either = node{}
				described["dependentSchemas"] = either
			}
			either[f.name] = node{"properties": node{twin: false}}
		}
	}
	if keys := requiredKeys()[path]; keys != nil {
		described["required"] = keys
	}
	return described
}

// wordSchema describes the types that read a scalar by themselves.
func wordSchema(t reflect.Type) node {
	switch t {
	case reflect.TypeFor[auth.Bytes]():
		return node{"type": []string{"string", "integer"}, "pattern": sizeForm, "minimum": 0}
	case reflect.TypeFor[web.Constant]():
		return node{"type": []string{"string", "integer", "number", "boolean"}}
	case reflect.TypeFor[policy.Rule]():
		return node{"enum": []string{"anyone", "authenticated"}}
	}
	return node{"type": "string", "pattern": plainText, "minLength": 1}
}

// orNull lets a key stay without a value.
func orNull(described node) node {
	if words, ok := described["enum"].([]string); ok {
		values := make([]any, 0, len(words)+1)
		for _, word := range words {
			values = append(values, word)
		}
		described["enum"] = append(values, nil)
	}
	switch t := described["type"].(type) {
	case string:
		described["type"] = []string{t, "null"}
	case []string:
		described["type"] = append(t, "null")
	}
	return described
}

// addDefaults shows the defaults of the keys that stand in no list.
func addDefaults(root node) {
	file := reflect.ValueOf(defaults()).Elem()
	for _, k := range settableKeys(fileShape(), "", nil) {
		value := file.FieldByIndex(k.index)
		described := root
		for name := range strings.SplitSeq(k.path, ".") {
			described = described["properties"].(node)[name].(node)
		}
		if shown := k.shape.show(value); shown != nil {
			described["default"] = shown
		}
	}
}

// show is a value as it would be written in the file, or nil where that says
// nothing.
func (s *shape) show(v reflect.Value) any {
	switch {
	case s.secret || s.kind == list && v.Len() == 0:
		return nil
	case s.kind == duration:
		return formatDuration(time.Duration(v.Int()))
	case s.kind == word:
		if size, ok := v.Interface().(auth.Bytes); ok {
			return size.String()
		}
		return nil
	}
	return v.Interface()
}

// formatDuration writes a duration as a person would: 7d, 15m, 1h30m.
func formatDuration(d time.Duration) string {
	if day := 24 * time.Hour; d > 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return zeroUnits.ReplaceAllString(d.String(), "$1")
}

// zeroUnits are the 0m0s that Go puts after hours and minutes.
var zeroUnits = regexp.MustCompile(`([hm])(?:0m)?0s$`)
