// Package e2e has nothing but tests, and they treat Postern as a stranger does:
// they build the binary, write it a gateway.yaml, put it in front of real
// applications and speak to it over the wire. The architecture test lives here
// too, because it looks at the house from outside.
//
// harness_test.go runs the binary, apps_test.go the applications and servers
// beside it; client_test.go is who asks, and recorder_test.go an upstream that
// keeps every byte that it was sent. Tests run side by side: each has ports and
// folders of its own, and waits for what it wants to see (eventually).
// What a machine lacks is skipped by name, and is a failure under `make test`.
//
// The soak and the slow clients are short here and long under `make soak`.
package e2e
