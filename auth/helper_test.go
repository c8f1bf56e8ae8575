package auth_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

// rig is a real Service on a real SQLite store, with two accounts: alice, a
// user, and root, an administrator.
type rig struct {
	t     *testing.T
	path  string
	store *sqlstore.Store
	opts  auth.Options
	svc   *auth.Service
	alice auth.Account
	root  auth.Account

	mu     sync.Mutex // guards the following
	events []auth.Event
}

const (
	issuer   = "http://gw.test"
	password = "correct horse battery"
)

// home is where the rig's client calls from.
func home() auth.Client {
	return auth.Client{Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "test", RequestID: "r1"}
}

func newRig(t *testing.T, change ...func(*auth.Config)) *rig {
	t.Helper()
	conf := auth.DefaultConfig()
	conf.Issuer = issuer
	conf.Profile.Fields = []auth.ProfileField{{Name: "phone", Editable: true}, {Name: "tenant"}}
	for _, f := range change {
		f(&conf)
	}
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "postern.db")}
	r.store = openStore(t, r.path)
	r.opts = auth.Options{Store: r.store, Master: auth.MasterKey{1, 2, 3}, Config: conf, Audit: r.record}
	r.svc = r.restart()
	r.alice = r.add(auth.NewAccount{Username: "alice", Email: "alice@example.com", Name: "Alice", Password: password, Roles: []string{"user"}})
	r.root = r.add(auth.NewAccount{Username: "root", Roles: []string{"admin"}})
	return r
}

func openStore(t testing.TB, path string) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// restart makes another Service on the same store, as a second instance or a
// new process would be.
func (r *rig) restart() *auth.Service {
	r.t.Helper()
	s, err := auth.New(r.t.Context(), r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) record(_ context.Context, e auth.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// told says whether the audit log has such an event, and forgets all of them.
func (r *rig) told(name, user string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := false
	for _, e := range r.events {
		found = found || e.Name == name && e.User == user
	}
	r.events = nil
	return found
}

// count says how many events of a name there were since told was last asked.
func (r *rig) count(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.Name == name {
			n++
		}
	}
	return n
}

func (r *rig) add(n auth.NewAccount) auth.Account {
	r.t.Helper()
	a, err := r.svc.AddAccount(r.t.Context(), n, auth.Actor{By: "test"})
	if err != nil {
		r.t.Fatalf("add %s: %v", n.Username, err)
	}
	return a
}

func (r *rig) login() auth.Grant {
	r.t.Helper()
	g, err := r.svc.Login(r.t.Context(), auth.Credentials{Username: "alice", Password: password}, home())
	if err != nil {
		r.t.Fatalf("login: %v", err)
	}
	return g
}

// begin is a login without the cost of a password.
func (r *rig) begin() auth.Grant {
	r.t.Helper()
	g, err := auth.Begin(r.t.Context(), r.svc, r.alice, home())
	if err != nil {
		r.t.Fatalf("begin: %v", err)
	}
	return g
}

func (r *rig) refresh(token string) auth.Grant {
	r.t.Helper()
	g, err := r.svc.Refresh(r.t.Context(), token, home())
	if err != nil {
		r.t.Fatalf("refresh: %v", err)
	}
	return g
}

// verify fails the test unless the token's verification ends with want.
func (r *rig) verify(token string, want error) auth.Principal {
	r.t.Helper()
	p, err := r.svc.Verify(token)
	wantError(r.t, err, want)
	return p
}
