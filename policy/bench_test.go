package policy

import (
	"fmt"
	"math/rand/v2"
	"runtime"
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

// benchConfig is a policy of n routes: services with versions, each with a list,
// an item of the caller's own and the rest. It returns a path of each route.
func benchConfig(n int, router string) (config Config, paths []string) {
	config = Config{Roles: []string{"user", "admin"}, Upstreams: []Upstream{{Name: "app", Router: router}}}
	for i := range n {
		base := fmt.Sprintf("/service%d/v%d", i/4, i%2)
		r := Route{Path: base + "/users/{id}", Allow: []Rule{{Role: "admin"}, {Self: &SelfRule{Name: "id"}}}}
		path := base + "/users/42"
		if i%4 >= 2 {
			r = Route{Path: base + "/reports/**", Allow: []Rule{{AnyRole: []string{"user", "admin"}}}}
			path = base + "/reports/2026/november"
		}
		r.Pos = Pos{File: "gateway.yaml", Line: i + 1, Column: 3}
		config.Routes = append(config.Routes, r)
		paths = append(paths, path)
	}
	return config, paths
}

// benchTable is that policy, compiled.
func benchTable(tb testing.TB, n int, router string) (*Table, []string) {
	config, paths := benchConfig(n, router)
	t, findings := Compile(config)
	if t == nil {
		tb.Fatal(findings)
	}
	return t, paths
}

// errand is one request of a benchmark, and the route that must answer.
type errand struct {
	path  string
	route int
}

// workload draws what is asked for: distinct routes at random places of the
// table. The texts lie one behind the other in memory, since a gateway has read
// the path just before; that the table does not is what is to be measured.
func workload(paths []string, distinct int) []errand {
	var list []errand
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(paths))[:distinct] {
		list = append(list, errand{string([]byte(paths[i])), i})
	}
	return list
}

// eachLoad runs a benchmark for tables of several sizes: asked for a thousand
// paths again and again, as a gateway is, and for every path of the
// table in turn, where all has to come from memory.
func eachLoad(b *testing.B, routers []string, run func(b *testing.B, t *Table, work []errand)) {
	for _, router := range routers {
		for _, n := range []int{10, 1000, 10000, 100000} {
			table, paths := benchTable(b, n, router)
			for _, load := range []string{"hot", "every"} {
				distinct := n
				if load == "hot" {
					distinct = min(n, 1000)
				}
				work := workload(paths, distinct)
				b.Run(fmt.Sprintf("%s/%s/%d", router, load, n), func(b *testing.B) {
					runtime.GC() // not while we count
					b.ReportAllocs()
					start := cpuTime(b)
					run(b, table, work)
					b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
				})
			}
		}
	}
}

// BenchmarkMatch is the search alone.
func BenchmarkMatch(b *testing.B) {
	eachLoad(b, []string{"any"}, func(b *testing.B, t *Table, work []errand) {
		var paths []Path
		for _, w := range work {
			p, _ := ParsePath(w.path)
			paths = append(paths, p)
		}
		for i := 0; b.Loop(); i++ {
			if i == len(work) {
				i = 0
			}
			m := t.Match("GET", "app.example.com", paths[i])
			if m.Route() != work[i].route {
				b.Fatal(work[i])
			}
		}
	})
}

// BenchmarkMatchDecide is the search and the decision.
func BenchmarkMatchDecide(b *testing.B) {
	caller := Caller{Subject: Subject{ID: "42", Username: "alice", Roles: []string{"user"}}, Now: time.Unix(1e9, 0)}
	eachLoad(b, []string{"any"}, func(b *testing.B, t *Table, work []errand) {
		var paths []Path
		for _, w := range work {
			p, _ := ParsePath(w.path)
			paths = append(paths, p)
		}
		for i := 0; b.Loop(); i++ {
			if i == len(work) {
				i = 0
			}
			m := t.Match("GET", "app.example.com", paths[i])
			if m.Decide(caller).Effect != Allow {
				b.Fatal(work[i])
			}
		}
	})
}

// BenchmarkDecide is a whole question: parse, match, decide.
func BenchmarkDecide(b *testing.B) {
	caller := Caller{Subject: Subject{ID: "42", Username: "alice", Roles: []string{"user"}}, Now: time.Unix(1e9, 0)}
	eachLoad(b, []string{"exact", "any"}, func(b *testing.B, t *Table, work []errand) {
		for i := 0; b.Loop(); i++ {
			if i == len(work) {
				i = 0
			}
			p, err := ParsePath(work[i].path)
			if err != nil {
				b.Fatal(err)
			}
			m := t.Match("GET", "app.example.com", p)
			if m.Decide(caller).Effect != Allow {
				b.Fatal(work[i])
			}
		}
	})
}

// BenchmarkCompile is what a reload costs.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{1000, 10000, 100000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			config, _ := benchConfig(n, "any")
			b.ReportAllocs()
			var table *Table
			for b.Loop() {
				table, _ = Compile(config)
			}
			b.StopTimer()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			runtime.KeepAlive(table)
			table = nil
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(before.HeapAlloc-after.HeapAlloc)/float64(n), "table-B/route")
		})
	}
}
