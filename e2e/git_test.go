package e2e

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// gitHost is git-http-backend under nginx and fcgiwrap, behind a gateway, as the
// recipe has it, with one empty repository.
type gitHost struct {
	*gateway
	repository string // on the server's disk
	work       string // where clones are made
	nginx      app
}

func startGit(t *testing.T) *gitHost {
	t.Helper()
	need(t, "git")
	fcgiwrap := program(t, "fcgiwrap")
	if _, err := os.Stat("/usr/lib/git-core/git-http-backend"); err != nil {
		lack(t, "git-http-backend")
	}
	dir, addr := t.TempDir(), freeAddr(t)
	h := &gitHost{repository: filepath.Join(dir, "srv", "project.git"), work: t.TempDir()}
	mustTool(t, dir, nil, "git", "init", "--quiet", "--bare", "--initial-branch=main", h.repository)
	mustTool(t, dir, nil, "git", "-C", h.repository, "config", "core.logAllRefUpdates", "true")

	// A path of a socket has at most 107 bytes, and those of tests are long.
	short, err := os.MkdirTemp("", "git-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	socket := filepath.Join(short, "fcgiwrap.socket")
	startProcess(t, dir, nil, fcgiwrap, "-s", "unix:"+socket)
	eventually(t, "fcgiwrap listens", func() bool {
		_, err := os.Stat(socket)
		return err == nil
	})
	site := recipe(t, "git/site.conf", "127.0.0.1:8090", addr, "/srv/git", filepath.Dir(h.repository), "/run/fcgiwrap.socket", socket)
	h.nginx = serveSite(t, addr, dir, site)

	h.gateway = prepareRecipe(t, "git", "https://git.example.com", "{URL}", "http://127.0.0.1:8090", "http://"+addr)
	h.addUser("alice", "user")
	h.addUser("dora", "developer")
	h.addUser("eve")
	h.start()
	return h
}

// git runs git as a user's machine would: nobody is there to be asked.
func (h *gitHost) git(dir string, args ...string) (said string, ok bool) {
	h.t.Helper()
	env := []string{
		"GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=T", "GIT_AUTHOR_EMAIL=t@example.com",
		"GIT_COMMITTER_NAME=T", "GIT_COMMITTER_EMAIL=t@example.com",
	}
	return tool(h.t, filepath.Join(h.work, dir), env, "git", args...)
}

func (h *gitHost) mustGit(dir string, args ...string) string {
	h.t.Helper()
	said, ok := h.git(dir, args...)
	if !ok {
		h.t.Fatalf("git %s\n%s", strings.Join(args, " "), said)
	}
	return strings.TrimSpace(said)
}

// url is the repository as users know it.
func (h *gitHost) url() string { return "http://" + h.addr + "/project.git" }

// head is what the server has on main.
func (h *gitHost) head() string {
	h.t.Helper()
	said, _ := tool(h.t, h.work, nil, "git", "-C", h.repository, "rev-parse", "--verify", "--quiet", "refs/heads/main")
	return strings.TrimSpace(said)
}

// helper has git use a name and a password, as its credential helpers do.
func (h *gitHost) helper(name, password string) []string {
	h.write(name+".password", password)
	return []string{"-c", "credential.helper=!f() { echo username=" + name + "; echo password=$(cat " + filepath.Join(h.dir, name+".password") + "); }; f"}
}

// commit makes a commit with one file that does not compress, and answers the
// file's digest.
func (h *gitHost) commit(dir string, size int) [sha256.Size]byte {
	h.t.Helper()
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(content)
	if err := os.WriteFile(filepath.Join(h.work, dir, "data"), content, 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.mustGit(dir, "add", "data")
	h.mustGit(dir, "commit", "--quiet", "-m", fmt.Sprint(size, " bytes"))
	return sha256.Sum256(content)
}

// TestGitByItsRecipe is one server for all that follows.
func TestGitByItsRecipe(t *testing.T) {
	t.Parallel()
	h := startGit(t)
	c := h.client()
	login := c.login("dora").AccessToken
	dora := h.helper("dora", c.appPassword("dora"))
	alice := []string{"-c", "http.extraHeader=" + bearer(c.login("alice").AccessToken)}

	h.mustGit("", append(dora, "clone", "--quiet", h.url(), "dora")...)
	size := 20 << 20
	if os.Getenv("POSTERN_TEST_SOAK") != "" {
		size = 100 << 20
	}
	sum := h.commit("dora", size)
	// However she is called here, git is told who she is there.
	spoof := []string{"-c", "http.extraHeader=X-Remote-User: mallory", "-c", "http.extraHeader=X_Remote_User: mallory"}
	h.mustGit("dora", append(append(dora, spoof...), "push", "--quiet", "origin", "HEAD:main")...)
	pushed := h.mustGit("dora", "rev-parse", "HEAD")
	if h.head() != pushed {
		t.Fatalf("the server has %q, and %s was pushed", h.head(), pushed)
	}
	mustTool(t, h.work, nil, "git", "-C", h.repository, "fsck", "--strict")
	if log, err := os.ReadFile(filepath.Join(h.repository, "logs", "refs", "heads", "main")); err != nil || !strings.Contains(string(log), " dora <dora@http.127.0.0.1> ") || strings.Contains(string(log), "mallory") {
		t.Errorf("who pushed: %v\n%s", err, log)
	}

	h.mustGit("", append(alice, "clone", "--quiet", h.url(), "alice")...)
	content, err := os.ReadFile(filepath.Join(h.work, "alice", "data"))
	if err != nil || sha256.Sum256(content) != sum {
		t.Errorf("alice has another file: %v, %d bytes of %d", err, len(content), size)
	}
	t.Run("a reader does not push", func(t *testing.T) { aReaderDoesNotPush(t, h, alice, pushed) })
	t.Run("who may not read", func(t *testing.T) { whoMayNotRead(t, h) })

	// The machine is lost: its password ends, and the login does not.
	for _, session := range c.sessionsOf(login) {
		if id, _, current := strings.Cut(session, " "); !current {
			c.do("DELETE", "/auth/sessions/"+id, "", bearer(login)).want(t, 204, "the end of a session")
		}
	}
	h.commit("dora", 1000)
	if said, ok := h.git("dora", append(dora, "push", "origin", "HEAD:main")...); ok || !strings.Contains(said, "Authentication failed") || h.head() != pushed {
		t.Errorf("a push with an ended password: %v, the server has %s\n%s", ok, h.head(), said)
	}
	h.mustGit("dora", "-c", "http.extraHeader="+bearer(login), "push", "--quiet", "origin", "HEAD:main")
}

// aReaderDoesNotPush, by git and by hand: what a push begins with is open to
// readers, what it ends with is not.
func aReaderDoesNotPush(t *testing.T, h *gitHost, alice []string, head string) {
	h.commit("alice", 2<<20) // more than git sends before it has asked
	if said, ok := h.git("alice", append(alice, "push", "origin", "HEAD:main")...); ok || !strings.Contains(said, "403") {
		t.Errorf("alice pushed: %v\n%s", ok, said)
	}
	c := h.client()
	token := bearer(c.login("alice").AccessToken)
	list := c.get("/project.git/info/refs?service=git-receive-pack", token).want(t, 200, "what is there, asked for a push")
	if !strings.Contains(list.body, head+" refs/heads/main") {
		t.Errorf("the list is %q", list.body)
	}
	remove := head + " " + strings.Repeat("0", 40) + " refs/heads/main\x00 report-status delete-refs"
	body := fmt.Sprintf("%04x%s0000", len(remove)+4, remove)
	for _, path := range []string{"/project.git/git-receive-pack", "/project.git/git-upload-pack?service=git-receive-pack", "/project.git/git%2Dreceive-pack",
		"/project.git/git-receive-pack/", "/project.git//git-receive-pack", "/project.git/x/../git-receive-pack", "/project.git/info/refs/../../git-receive-pack",
		"/project.git/git-receive-pack%20", "/project.git/GIT-RECEIVE-PACK", "/x/project.git/git-receive-pack", "/project.git/git-upload-pack;/git-receive-pack"} {
		r := c.do("POST", path, body, token, "Content-Type: application/x-git-receive-pack-request")
		if r.StatusCode < 400 || h.head() != head {
			t.Errorf("POST %s: %s, the server has %q", path, r.Status, h.head())
		}
	}
	// The same body from whom it may come from, so that it is known to bite.
	mustTool(t, h.work, nil, "git", "-C", h.repository, "update-ref", "refs/heads/spare", head)
	remove = strings.Replace(remove, "refs/heads/main", "refs/heads/spare", 1)
	c.do("POST", "/project.git/git-receive-pack", fmt.Sprintf("%04x%s0000", len(remove)+4, remove),
		bearer(h.client().login("dora").AccessToken), "Content-Type: application/x-git-receive-pack-request").want(t, 200, "dora's removal of a branch")
	if _, ok := tool(t, h.work, nil, "git", "-C", h.repository, "rev-parse", "--verify", "--quiet", "refs/heads/spare"); ok {
		t.Error("dora's removal changed nothing: the refusals above show nothing")
	}
}

// whoMayNotRead is nobody, somebody without a role, and everybody past the three
// requests.
func whoMayNotRead(t *testing.T, h *gitHost) {
	if said, ok := h.git("", "clone", h.url(), "nobody"); ok || !strings.Contains(said, "could not read Username") {
		t.Errorf("without a login: %v\n%s", ok, said)
	}
	eve := bearer(h.client().login("eve").AccessToken)
	if said, ok := h.git("", "-c", "http.extraHeader="+eve, "clone", h.url(), "eve"); ok || !strings.Contains(said, "403") {
		t.Errorf("without a role: %v\n%s", ok, said)
	}
	dora := bearer(h.client().login("dora").AccessToken)
	for _, path := range []string{"/project.git/config", "/project.git/HEAD", "/project.git/objects/info/packs", "/project.git/"} {
		h.client().get(path, dora).want(t, 404, path)
	}
}
