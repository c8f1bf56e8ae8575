package routers

import (
	"fmt"
	"strings"
	"testing"
)

// TestWhatEachRouterReads pins what the table of the README says. Each cell is
// the place that the router took the path for, with the value that it read, or
// the status that it refused it with. A new version that reads otherwise fails
// here first: then a profile has to be thought over.
func TestWhatEachRouterReads(t *testing.T) {
	tomcat := startTomcat(t)
	readers := []wire{
		{addr: startExpress(t, "express")}, {addr: startExpress(t, "express4")}, {addr: startDjango(t)}, {addr: startSpring(t)},
		{addr: tomcat["reject"]}, {addr: tomcat["decode"]}, {addr: tomcat["passthrough"]}, {addr: startNginx(t)}, {addr: startMux(t)},
	}
	for _, row := range strings.Split(strings.TrimSpace(readerTable), "\n") {
		cells := strings.Fields(row)
		path, want := cells[0], cells[1:]
		if path == "#" {
			continue
		}
		if len(want) != len(readers) {
			t.Fatalf("%d cells in the row of %s, want %d", len(want), path, len(readers))
		}
		for i := range readers {
			if got := readers[i].ask(t, path).String(); got != want[i] {
				t.Errorf("GET %s: reader %d took it for %s, want %s", path, i, got, want[i])
			}
		}
	}
	for i := range readers {
		readers[i].close()
	}
}

// String is the reply as the table has it.
func (r reply) String() string {
	switch {
	case r.place == "":
		return fmt.Sprint(r.status)
	case r.value != "":
		return r.place + ":" + r.value
	}
	return r.place
}

const readerTable = `
# path                    express5       express4       django   spring   tomcat   decode   passthrough  nginx          mux
/EXACT                    exact          exact          rest     rest     rest     rest     rest         rest           rest
/exact/                   exact          exact          rest     exact    rest     rest     rest         rest           rest
/exact.                   rest           rest           rest     rest     rest     rest     rest         rest           rest
/exact.json               rest           rest           rest     rest     rest     rest     rest         rest           rest
/exact;x                  rest           rest           rest     exact    exact    exact    exact        rest           rest
/exact%3Bx                rest           rest           rest     rest     rest     rest     rest         rest           rest
/items/secret;x           item:secret;x  item:secret;x  item:secret;x secret secret secret  secret       item:secret;x  item:secret;x
/users/a;b                user:a;b       user:a;b       user:a;b user:a   user:a   user:a   user:a       user:a;b       user:a;b
/open%2Fstaff             rest           rest           staff    400      400      staff    rest         staff          rest
/users/a%2Fb              user:a/b       user:a/b       user:a   400      400      user:a   user:a%2Fb   user:a         user:a/b
/users/42%25              user:42%       user:42%       user:42% user:42% user:42% user:42% user:42%25   user:42%       user:42%
/users/%2534              user:%34       user:%34       user:%34 user:%34 user:%34 user:%34 user:%2534   user:%34       user:%34
//exact                   rest           rest           rest     exact    exact    exact    exact        exact          307
/open//staff              open           open           open     staff    staff    staff    staff        staff          307
/%65xact                  rest           rest           exact    exact    exact    exact    exact        exact          exact
/my%20p%61ge              rest           rest           page     page     page     page     page         page           page
/caf%C3%A9                cafe           cafe           cafe     cafe     cafe     cafe     cafe         cafe           cafe
/files/%72eport.txt       report         report         report   report   report   report   report       report         report
/files//report.txt        report         report         report   report   report   report   report       report         307
/files/report.txt/        rest           rest           report   report   404      404      404          404            301
/files/deep%2Freport.txt  deep           deep           deep     400      400      deep     404          deep           deep
`
