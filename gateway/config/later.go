package config

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// laterKeys lists the keys of gateway.yaml that this version does not heed and
// that no package has a field for. Written with nothing in them they pass, so
// that a file which spells out every default keeps loading. Keys that have a
// field are judged by the package whose field it is.
func laterKeys() []string {
	return []string{"auth.aliases.problems"}
}

var listPosition = regexp.MustCompile(`\[\d+\]`)

// later is what is said of such a key, after its path.
const later = "comes with a later version of Postern; leave it out"

// comesLater is the key of a later version that path is, or lies below; or
// nothing.
func comesLater(path string) string {
	bare := listPosition.ReplaceAllString(path, "")
	for _, key := range laterKeys() {
		if bare == key || strings.HasPrefix(bare, key+".") {
			return key
		}
	}
	return ""
}

// isOff tells whether a value says nothing: empty, zero or false, or made of
// such values only.
func isOff(n *yaml.Node) bool {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Tag == "!!null" || n.Value == "" || n.Tag == "!!bool" && n.Value == "false" || n.Tag == "!!int" && n.Value == "0"
	case yaml.SequenceNode:
		return len(n.Content) == 0
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			if n.Content[i].Kind != yaml.ScalarNode || !isOff(n.Content[i]) {
				return false
			}
		}
		return true
	}
	return false
}
