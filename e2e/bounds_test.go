package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// tooMuch is more memory than any refusal may cost. The race detector multiplies
// what is used, by five and more.
func tooMuch() int {
	if raceEnabled {
		return 1 << 30
	}
	return 400 << 20
}

// TestWhatIsTooMuchIsRefusedWithinBounds sends requests that are larger than
// anything honest, several at once, and looks at what they cost.
func TestWhatIsTooMuchIsRefusedWithinBounds(t *testing.T) {
	t.Parallel()
	g, up := startPolicy(t, "")
	get := func(lines string) string {
		return "GET /app/home HTTP/1.1\r\nHost: " + g.addr + "\r\n" + lines + "Connection: close\r\n\r\n"
	}
	post := func(path, kind, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", path, g.addr, kind, len(body), body)
	}
	dots := strings.Repeat(".", 1_000_000)
	for name, test := range map[string]struct {
		request string
		want    []int // 0: closed before all of it was sent
	}{
		"100000 fields":                      {get(strings.Repeat("A: b\r\n", 100_000)), []int{0, 431}},
		"one field of 10 MiB":                {get("X: " + strings.Repeat("a", 10<<20) + "\r\n"), []int{0, 431}},
		"64 KiB of cookies":                  {get("Cookie: " + strings.Repeat("a=b; ", 13_000) + "c=d\r\n"), []int{0, 431}},
		"1000 cookies of the gateway's":      {get("Cookie: " + strings.Repeat("postern=a; ", 1000) + "c=d\r\n"), []int{400, 431}},
		"a bearer of a million dots":         {get("Authorization: Bearer " + dots + "\r\n"), []int{0, 431}},
		"a bearer of 50000 dots":             {get("Authorization: Bearer " + dots[:50_000] + "\r\n"), []int{400, 401}},
		"a cookie of 50000 dots":             {get("Cookie: postern=" + dots[:50_000] + "\r\n"), []int{400, 401}},
		"a path of 10 MiB":                   {strings.Replace(get(""), "/app/home", "/app/"+strings.Repeat("a/", 5<<20), 1), []int{0, 400, 414, 431}},
		"a path of percent signs":            {strings.Replace(get(""), "/app/home", "/app/"+strings.Repeat("%25", 10_000), 1), []int{400, 414}},
		"a method of 50 KiB":                 {strings.Replace(get(""), "GET", strings.Repeat("A", 50<<10), 1), []int{0, 400, 405}},
		"a password of 1 MiB":                {post("/auth/login", "application/json", `{"username":"alice","password":"`+strings.Repeat("x", 1<<20)+`"}`), []int{0, 413}},
		"a password of 60 KiB":               {post("/auth/login", "application/json", `{"username":"alice","password":"`+strings.Repeat("x", 60<<10)+`"}`), []int{400, 401}},
		"a name of 60 KiB that folds":        {post("/auth/login", "application/json", `{"password":"x","username":"`+strings.Repeat("ﷺ", 20_000)+`"}`), []int{400, 401}},
		"a refresh token of a million dots":  {post("/auth/refresh", "application/json", `{"refresh_token":"`+dots+`"}`), []int{0, 413}},
		"a refresh token of 60000 dots":      {post("/auth/refresh", "application/json", `{"refresh_token":"`+dots[:60_000]+`"}`), []int{400, 401}},
		"a form of 30000 fields":             {post("/auth/login", "application/x-www-form-urlencoded", strings.Repeat("a&", 30_000)), []int{400, 401, 403}},
		"JSON in 10000 levels":               {post("/auth/login", "application/json", strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_000)), []int{400}},
		"a token to introspect of many dots": {post("/auth/introspect", "application/x-www-form-urlencoded", "token="+dots[:60_000]), []int{400, 401, 403}},
		"a return address of 60 KiB":         {strings.Replace(get(""), "/app/home", "/auth/login?rd=/"+strings.Repeat("a", 50<<10), 1), []int{0, 200, 400, 414, 431}},
	} {
		t.Run(name, func(t *testing.T) {
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					if got := statusOf(exchange(t, g.addr, test.request)); !slices.Contains(test.want, got) {
						t.Errorf("status %d, want one of %v", got, test.want)
					}
				})
			}
			all.Wait()
			if seen := up.take(); len(seen) > 0 {
				t.Errorf("the upstream was reached: %.200q", seen[0].raw)
			}
		})
	}
	g.client().login("alice")
	if peak := peakMemory(t, g); peak > tooMuch() {
		t.Errorf("the gateway used %d MiB", peak>>20)
	}
}

// TestFilesThatAskForTooMuchAreRefusedWithinBounds are a configuration that
// unfolds without end, and hashes whose parameters would take the machine.
func TestFilesThatAskForTooMuchAreRefusedWithinBounds(t *testing.T) {
	t.Parallel()
	g := prepare(t, goodConfig)
	g.addUser("alice", "user")
	bomb := g.read("gateway.yaml") + "a: &a [x,x,x,x,x,x,x,x,x]\n" + laughs()
	g.write("bomb.yaml", bomb)
	if status, said, peak := measured(t, g.dir, "config", "check", "bomb.yaml"); status != 2 || peak > tooMuch() {
		t.Errorf("a bomb of YAML: exit status %d with %d MiB\n%.500s", status, peak>>20, said)
	}
	for name, hash := range map[string]string{
		"argon2 of 4 TiB":            "$argon2id$v=19$m=4294967295,t=4294967295,p=255$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObGV2bHCyDrqk0",
		"bcrypt of cost 31":          "$2b$31$abcdefghijklmnopqrstuuq5XIOSm8Y1hYcC7sTlWy6wGxk5G8e6a",
		"a trillion rounds":          "pbkdf2_sha256$999999999999$salt$RdescudvJCsgt3ub+b4dWRWJTmaaJObGV2bHCyDrqk0=",
		"scrypt of 2^63":             "$scrypt$ln=63,r=4294967295,p=4294967295$c2FsdHNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObGV2bHCyDrqk0",
		"a hash of a mebibyte":       "$2b$10$" + strings.Repeat("a", 1<<20),
		"a million dollars":          strings.Repeat("$", 1_000_000),
		"Spring's prefix over again": strings.Repeat("{bcrypt}", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			g.write("users.jsonl", fmt.Sprintf("{\"username\":\"mallory\",\"password_hash\":%q}\n", hash))
			status, said, peak := measured(t, g.dir, "user", "import", "users.jsonl", "--config", "gateway.yaml")
			if status != 1 && status != 2 || peak > tooMuch() || strings.Contains(said, hash) || len(said) > 10_000 {
				t.Errorf("exit status %d with %d MiB\n%.500s", status, peak>>20, said)
			}
		})
	}
}

// measured runs a command and tells the most memory that it ever held.
func measured(t *testing.T, dir string, args ...string) (status int, said string, peak int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, postern(t), args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, cleanEnv(), &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = int(usage.Maxrss) << 10
	}
	return cmd.ProcessState.ExitCode(), out.String(), peak
}

// TestManyLoginAttemptsLeaveBoundedMemory guesses at endless names from a few
// addresses. In the long form, of make soak, there are a hundred thousand, and
// every tenth comes from an address of its own, which is not locked out: its
// password is hashed.
func TestManyLoginAttemptsLeaveBoundedMemory(t *testing.T) {
	t.Parallel()
	attempts, fresh := 1_000, int64(0)
	if os.Getenv("POSTERN_TEST_SOAK") != "" {
		attempts, fresh = 100_000, 10
	}
	g, up := startPolicy(t, "  password: { memory_budget: 64MiB }\n")
	alice := g.client().login("alice")
	var next, locked atomic.Int64
	var guessers sync.WaitGroup
	for worker := range 8 {
		guessers.Go(func() {
			few := g.from(fmt.Sprintf("127.0.0.%d", 10+worker%2))
			for n := next.Add(1); n <= int64(attempts); n = next.Add(1) {
				c := few
				if fresh > 0 && n%fresh == 0 {
					c = g.from(fmt.Sprintf("127.1.%d.%d", n/fresh>>8, n/fresh&0xff))
				}
				r, err := c.try("POST", "/auth/login", fmt.Sprintf(`{"username":"nobody-%d","password":"guess-guess"}`, n), "Content-Type: application/json")
				switch {
				case err != nil:
					t.Error(err)
					return
				case r.StatusCode == 429:
					locked.Add(1)
				case r.StatusCode != 401 && r.StatusCode != 503:
					t.Errorf("a guess got %s", r.Status)
				}
			}
		})
	}
	guessers.Wait()
	if locked.Load() == 0 {
		t.Error("nobody was locked out")
	}
	g.client().get("/app/home", bearer(alice.AccessToken)).want(t, 200, "a page afterwards")
	up.take()
	g.client().login("alice")
	if peak := peakMemory(t, g); peak > tooMuch() {
		t.Errorf("the gateway used %d MiB", peak>>20)
	} else {
		t.Logf("%d attempts, %d of them locked: at most %d MiB", attempts, locked.Load(), peak>>20)
	}
}
