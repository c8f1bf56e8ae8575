// Package e2e has nothing but tests, and they treat Postern as a stranger does:
// they build the binary, write it a gateway.yaml, put it in front of real
// applications and speak to it over the wire. The architecture test lives here
// too, because it looks at the house from outside.
package e2e
