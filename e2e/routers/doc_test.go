// Package routers has nothing but tests. The values of `router:` in gateway.yaml
// claim how the application behind reads a path; here each claim is held
// against the router that it names: Express 5 and 4, Django, Tomcat, Spring 4.3,
// and nginx and Go's ServeMux for exact. No IIS is to be had; that profile is in
// any, and the tests of package policy hold it to its documentation.
//
// Every application has the same places (places_test.go), and so has a policy
// that closes some of them. Thousands of paths, most of them malicious, go to
// both. Three promises are checked for each path, profile and set of
// path_options:
//
//   - A path that the policy lets somebody through on never reaches a place
//     that is closed to him, however the application reads it.
//   - Where the policy compares a value of the path with the caller, it lets
//     through only the caller whom the application takes the value for.
//   - A path that an honest client would send is treated by the policy as the
//     application treats it: neither refused nor taken for another place.
package routers
