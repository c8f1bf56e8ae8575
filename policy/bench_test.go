package policy

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// cpuTime is what this process has computed so far. The wall clock says little
// on a machine that others use.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchTable is a policy of n routes: services with versions, each with a
// list, an item of the caller's own and the rest.
func benchTable(tb testing.TB, n int, router string) (*Table, []string) {
	config := Config{Roles: []string{"user", "admin"}, Upstreams: []Upstream{{Name: "app", Router: router}}}
	var paths []string
	for i := range n {
		base := fmt.Sprintf("/service%d/v%d", i/4, i%2)
		r := Route{Path: base + "/users/{id}", Allow: []Rule{{Role: "admin"}, {Self: &SelfRule{Name: "id"}}}}
		path := base + "/users/42"
		if i%4 >= 2 {
			r = Route{Path: base + "/reports/**", Allow: []Rule{{AnyRole: []string{"user", "admin"}}}}
			path = base + "/reports/2026/november"
		}
		config.Routes = append(config.Routes, r)
		paths = append(paths, path)
	}
	t, findings := Compile(config)
	if t == nil {
		tb.Fatal(findings)
	}
	return t, paths
}

// BenchmarkDecide is a whole question: parse, match, decide, at random places
// of the table.
func BenchmarkDecide(b *testing.B) {
	caller := Caller{Subject: Subject{ID: "42", Username: "alice", Roles: []string{"user"}}, Now: time.Unix(1e9, 0)}
	for _, router := range []string{"exact", "any"} {
		for _, n := range []int{10, 1000, 10000, 100000} {
			b.Run(fmt.Sprintf("%s/%d", router, n), func(b *testing.B) {
				table, paths := benchTable(b, n, router)
				b.ReportAllocs()
				start := cpuTime(b)
				i := 0
				for b.Loop() {
					i = (i + 7919) % len(paths)
					p, err := ParsePath(paths[i])
					if err != nil {
						b.Fatal(err)
					}
					m := table.Match("GET", "app.example.com", p)
					if m.Decide(caller).Effect != Allow {
						b.Fatal(paths[i])
					}
				}
				b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// BenchmarkMatch is the search alone.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1000, 10000, 100000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			table, texts := benchTable(b, n, "any")
			paths := make([]Path, len(texts))
			for i, text := range texts {
				paths[i], _ = ParsePath(text)
			}
			b.ReportAllocs()
			start := cpuTime(b)
			i := 0
			for b.Loop() {
				i = (i + 7919) % len(paths)
				m := table.Match("GET", "app.example.com", paths[i])
				if m.Route() != i {
					b.Fatal(texts[i])
				}
			}
			b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
		})
	}
}
