package main

// Keeps the modules that others are about to use in go.mod while the parts are
// being written.
import (
	_ "github.com/google/uuid"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/santhosh-tekuri/jsonschema/v6"
	_ "go.uber.org/goleak"
	_ "pgregory.net/rapid"
)
