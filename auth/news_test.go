package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// listening has the upstream app told of all that becomes of accounts.
func listening(c *auth.Config) {
	c.Subscribers = []auth.Subscriber{{Name: "app", Events: auth.AccountEvents()}}
}

// heard takes and delivers all that waits for app, as "event username".
func (r *rig) heard() []string {
	r.t.Helper()
	var all []string
	for {
		n, err := r.store.TakeNews(r.t.Context(), "app", time.Minute)
		if errors.Is(err, auth.ErrNotFound) {
			slices.Sort(all) // what is due at the same time comes in any order
			return all
		}
		if err != nil {
			r.t.Fatal(err)
		}
		var data struct{ ID, Username string }
		if err := json.Unmarshal(n.Data, &data); err != nil || data.ID != n.Account {
			r.t.Fatalf("%s: %v", n.Data, err)
		}
		if strings.Contains(string(n.Data), "$argon2") {
			r.t.Fatalf("a hash is told: %s", n.Data)
		}
		all = append(all, n.Event+" "+data.Username)
		if err := r.store.NewsDelivered(r.t.Context(), n); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) hears(doing string, want ...string) {
	r.t.Helper()
	if got := r.heard(); !slices.Equal(got, want) {
		r.t.Errorf("after %s the application heard %q, want %q", doing, got, want)
	}
}

// TestEveryWayToChangeAnAccountIsTold goes through all that makes, changes and
// ends accounts.
func TestEveryWayToChangeAnAccountIsTold(t *testing.T) {
	r := newRig(t, listening, func(c *auth.Config) {
		c.Registration.Enabled = true
		c.MigrateFrom.LoginURL = "http://old.test/login"
	})
	ctx := t.Context()
	r.opts.OldLogin = func(_ context.Context, _ auth.MigrateFrom, cr auth.Credentials) (auth.NewAccount, error) {
		if cr.Username != "olga" {
			return auth.NewAccount{}, auth.ErrInvalidCredentials
		}
		return auth.NewAccount{Username: cr.Username}, nil
	}
	r.svc = r.restart()
	r.hears("the first accounts", "created alice", "created root")
	if _, err := r.svc.Register(ctx, auth.Applicant{Username: "rita", Password: password}, home()); err != nil {
		t.Fatal(err)
	}
	r.hears("a registration", "created rita")
	if _, err := r.svc.ImportAccounts(ctx, []auth.Imported{{NewAccount: auth.NewAccount{Username: "ida"}}, {NewAccount: auth.NewAccount{Username: "ivo"}, Disabled: true}}, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	r.hears("an import", "created ida", "created ivo")
	if _, err := r.svc.Login(ctx, auth.Credentials{Username: "olga", Password: password}, home()); err != nil {
		t.Fatal(err)
	}
	r.hears("a first login by way of the old application", "created olga")
	g := r.login()
	r.hears("a login")
	p := r.verify(g.AccessToken, nil)
	if _, err := r.svc.ChangePassword(ctx, p, password, "another horse battery", home()); err != nil {
		t.Fatal(err)
	}
	r.hears("a new password")
	name, email, roles, yes, no := "Alice A.", "a@example.com", []string{"user", "admin"}, true, false
	if _, err := r.svc.SetProfile(ctx, r.alice.ID, auth.ProfileChange{Name: &name}, home()); err != nil {
		t.Fatal(err)
	}
	r.hears("a change by the owner", "changed alice")
	for doing, ch := range map[string]auth.AccountChange{
		"an address": {Email: &email}, "roles": {Roles: &roles}, "a field": {Fields: map[string][]string{"tenant": {"acme"}}},
	} {
		if _, err := r.svc.SetAccount(ctx, r.alice.ID, ch, auth.Actor{}); err != nil {
			t.Fatal(err)
		}
		r.hears(doing, "changed alice")
	}
	for _, step := range []struct {
		event string
		on    *bool
	}{{"disabled alice", &yes}, {"enabled alice", &no}} {
		if _, err := r.svc.SetAccount(ctx, r.alice.ID, auth.AccountChange{Disabled: step.on}, auth.Actor{}); err != nil {
			t.Fatal(err)
		}
		r.hears("disabling and enabling", step.event)
	}
	if err := r.svc.DeleteAccount(ctx, r.alice.ID, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	r.hears("the end", "deleted alice")
}

func TestARehashAtLoginIsNoNews(t *testing.T) {
	r := newRig(t, listening, func(c *auth.Config) { c.Password.Algorithm = "bcrypt" })
	r.heard()
	r.opts.Config.Password.Algorithm = "argon2id"
	r.svc = r.restart()
	r.login()
	r.hears("a login that keeps the password in another way")
}

func TestTheCommandLineIsHeardBeforeAnyGatewayHasStarted(t *testing.T) {
	r := newRig(t)
	r.hears("changes that nobody subscribed to")
	r.opts.Guest = true
	listening(&r.opts.Config)
	r.svc = r.restart()
	if !r.told(auth.EventProvisionBegun, "") {
		t.Error("it is not audited that somebody is told of accounts")
	}
	r.add(auth.NewAccount{Username: "carol"})
	r.opts.Config.Subscribers = nil
	r.restart() // a command with another file
	r.add(auth.NewAccount{Username: "dave"})
	r.hears("what a guest has made", "created carol", "created dave")
}

func TestAReloadWithoutASubscriberForgetsWhatWaitsForIt(t *testing.T) {
	r := newRig(t, listening)
	conf := r.opts.Config
	conf.Subscribers = nil
	r.told("", "")
	if err := r.svc.Reconfigure(t.Context(), conf); err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(r.events, func(e auth.Event) bool { return e.Name == auth.EventProvisionEnded }); i < 0 || r.events[i].Detail != "app: 2 events were not delivered" {
		t.Errorf("the audit log has %+v", r.events)
	}
	r.add(auth.NewAccount{Username: "carol"})
	if all, err := r.store.Backlogs(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v %v", all, err)
	}
	if err := r.svc.Reconfigure(t.Context(), r.opts.Config); err != nil {
		t.Fatal(err)
	}
	r.hears("another reload")
	if _, err := r.svc.Provision(t.Context(), "", auth.Actor{By: "test"}); err != nil {
		t.Fatal(err)
	}
	r.hears("the command that tells of all", "created alice", "created carol", "created root")
}

func TestAccountsThatWereThereAreToldOfWhenAsked(t *testing.T) {
	r := newRig(t)
	if _, err := r.svc.Provision(t.Context(), "", auth.Actor{}); !errors.Is(err, auth.ErrNoSubscriber) {
		t.Errorf("with nobody to tell: %v", err)
	}
	listening(&r.opts.Config)
	r.svc = r.restart()
	r.hears("a subscription")
	r.told("", "")
	n, err := r.svc.Provision(t.Context(), r.alice.ID, auth.Actor{By: "test"})
	if err != nil || n != 1 || !r.told(auth.EventUserProvisioned, "alice") {
		t.Errorf("%d %v", n, err)
	}
	r.hears("asking for one", "created alice")
	if n, err := r.svc.Provision(t.Context(), "", auth.Actor{By: "test"}); err != nil || n != 2 || !r.told(auth.EventUserProvisioned, "") {
		t.Errorf("%d %v", n, err)
	}
	r.hears("asking for all", "created alice", "created root")
	if _, err := r.svc.Provision(t.Context(), "nobody", auth.Actor{}); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

// TestAStoreThatIsAwayChangesNothingAndTellsNothing has the one write fail that tells
// of the other: then neither is there.
func TestAStoreThatIsAwayChangesNothingAndTellsNothing(t *testing.T) {
	r := newRig(t, listening)
	r.heard()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.svc.AddAccount(ctx, auth.NewAccount{Username: "carol"}, auth.Actor{}); err == nil {
		t.Fatal("an account was made for somebody who left")
	}
	r.hears("a change that was not made")
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.svc.Reconfigure(t.Context(), r.opts.Config); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("a reload without the store: %v", err)
	}
	if _, err := r.svc.Provision(t.Context(), "", auth.Actor{}); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("told of accounts without the store: %v", err)
	}
}

func TestWhatIsToldOfAnAccountIsAClosedList(t *testing.T) {
	data, err := auth.AccountData(auth.Account{
		ID: "7", Username: "alice", Email: "a@example.com", EmailVerified: true, Name: "Alice", PasswordHash: "$secret", Disabled: true, Version: 9,
		Fields: map[string][]string{"one": {"1"}, "many": {"1", "2"}}, Created: time.Now(), Updated: time.Now(),
	})
	const want = `{"id":"7","username":"alice","email":"a@example.com","name":"Alice","roles":[],"fields":{"many":["1","2"],"one":"1"},"disabled":true}`
	if err != nil || string(data) != want {
		t.Errorf("got  %s, %v\nwant %s", data, err, want)
	}
}
