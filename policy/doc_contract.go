// Package policy: see api.go; the full doc follows.
package policy

// CONTRACT (helper A makes it real, then deletes this file):
//
//	type Path struct{ ... }                    // immutable; only ParsePath makes one
//	func ParsePath(raw string) (Path, error)   // raw: the request target's path, undecoded, without the query
//	func (Path) String() string                // byte for byte the raw text
//
//	type Finding struct { Pos Pos; Message string; Warning bool }
//	func (Finding) String() string             // "gateway.yaml:42:7: ..." 
//	func Compile(Config) (*Table, []Finding)   // *Table is nil when any finding is no warning
//
//	func (*Table) Match(method, host string, p Path) Match  // value, no allocation
//	func (*Match) Route() int                  // index into Config.Routes; -1 when no route answers
//	func (*Match) Refusal() Reason             // "" | no_route | method_not_allowed | bad_path
//	func (*Match) Allowed() []string           // with method_not_allowed: for the Allow header
//	func (*Match) Decide(Caller) Decision      // strictest of all readings
//	func (*Match) OpenToAnyone() bool          // the route has an allow rule that needs no identity (bad tokens count as none)
//	func (*Table) Routes() []RouteInfo         // for listing and for metric labels: RouteInfo{Label string; Pos Pos; Upstream string}
