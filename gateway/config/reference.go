package config

import _ "embed"

// reference is a copy of the gateway.yaml at the root of the repository, which
// embedding cannot reach; a test keeps the two the same.
//
//go:embed reference.yaml
var reference string

// Reference returns the commented configuration that is the manual, and a
// working configuration as it stands.
func Reference() []byte { return []byte(reference) }
