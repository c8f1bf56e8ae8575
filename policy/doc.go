// Package policy decides whether a caller may make a request.
package policy
