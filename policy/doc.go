// Package policy decides whether a caller may make a request.
//
// A policy is a list of routes. A route has a path, perhaps a host, and rules;
// any one rule is enough, and inside a rule every condition must hold:
//
//	routes:
//	  - path: /public/**
//	    allow: anyone
//	  - path: /api/users/{id}
//	    methods: [GET, PUT]
//	    allow:
//	      - role: admin
//	      - self: id              # the path's {id} is the caller's own id
//	  - path: /admin/**
//	    allow: { role: admin }
//	    deny: { user: mallory }   # goes before allow
//
// A request that no route answers is refused, and so is one that no rule
// covers. The zero value of everything here denies.
//
// # Which route
//
// Host and path alone choose, wherever the route stands in the file. An exact
// host beats *.b.example.com beats *.example.com beats none; a host whose own
// routes have none for the path leaves it to the less specific ones. Of the
// routes whose path matches, from left to right: a literal beats {name} and *,
// these beat the end of the path, and that beats **. /a/** answers /a and /a/
// too. Methods never send a request on to another path: one that no route of
// the path names is refused (GET includes HEAD, in rules as well).
//
// A literal and a segment are compared decoded: /caf%C3%A9 is /café.
//
// # One path, and its readings
//
// ParsePath refuses what no honest client sends. What is left may still be
// read in two ways by the application behind, for two reasons, and the
// strictest decision of all readings counts. The exact rule:
//
//  1. The route is chosen by the path as it was sent, as the router profile of
//     the route's own upstream reads it (any, exact and django: exactly).
//     A host is compared as one too: ports, case and one final dot do not
//     matter, [0:0::1] is [::1], and what is no host has no route.
//  2. A doubtful character (; %2f %25 %23 %3f //) is refused unless that route
//     admits it. Then the texts to decide on are the closure of the path under
//     what programs do with it: parameters cut, escapes decoded again, slashes
//     merged, the rest dropped. A text that is no path, or that uncovers a
//     doubt which the route does not admit, refuses the request.
//  3. Each text is looked up once per form of the profile (see profileForms).
//     A form folds both sides, the text and the patterns: under a router that
//     ignores case, /Admin and /admin are one path, whichever of them
//     stands in the policy. Patterns that a form makes one all count.
//  4. Every endpoint that was found must name the method and let the caller
//     in. A text and form that finds none refuses the request.
//
// Folding both sides is what keeps /app/x allowed under `any`: its reading as
// /app/x/ finds the same route, because for that reading the pattern has the
// slash too. `any` counts the exact form first, so /ADMIN/x with only /admin/**
// in the policy has no route; with /** beside it, both decide.
//
// Values of the path ({id}) are compared decoded and exactly, and only where
// the segment is the same in the reading as in the path that was sent, and has
// no encoded percent sign. For an allowing rule an unclear value is a no, for a
// denying one a yes.
//
// # Why
//
// The tree is searched once for an ordinary path: where neither the path nor
// any literal has what a form folds, all forms are the same search. Parsing,
// matching and deciding such a path allocates nothing.
//
// Spring before 5.3 also served /admin.json as /admin. No form reads it so: it
// would make /app.js as closed as /app. Give such an application /** behind a
// login, or turn its suffix patterns off.
package policy
