package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

func TestAnotherMasterKeyOpensNothingAndChangesNothing(t *testing.T) {
	r := newRig(t)
	g := r.login()
	wrong := r.opts
	wrong.Master = auth.MasterKey{9}
	_, err := auth.New(t.Context(), wrong)
	if err == nil || !strings.Contains(err.Error(), "the key file does not open the keys in this store") {
		t.Fatalf("got %v", err)
	}
	wrong.Config.AccessToken.Algorithm = "HS256" // which has no key yet
	if _, err := auth.New(t.Context(), wrong); err == nil {
		t.Error("a wrong key goes unnoticed with another algorithm")
	}
	keys, err := r.store.Keys(t.Context())
	if err != nil || len(keys) != 2 {
		t.Errorf("%d keys in the store, %v", len(keys), err)
	}
	r.svc = r.restart()
	r.verify(g.AccessToken, nil)
}

func TestWithoutAMasterKeyOrAnIssuerNothingStarts(t *testing.T) {
	r := newRig(t)
	for name, spoil := range map[string]func(*auth.Options){
		"master key": func(o *auth.Options) { o.Master = auth.MasterKey{} },
		"issuer":     func(o *auth.Options) { o.Config.Issuer = "" },
		"algorithm":  func(o *auth.Options) { o.Config.AccessToken.Algorithm = "none" },
		"randomness": func(o *auth.Options) { o.Rand = bytes.NewReader(nil) },
	} {
		o := r.opts
		spoil(&o)
		if s, err := auth.New(t.Context(), o); err == nil || s != nil {
			t.Errorf("starts without: %s", name)
		}
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := auth.New(t.Context(), r.opts)
	wantError(t, err, auth.ErrUnavailable)
}

func TestTwoInstancesThatStartAtOnceUseTheSameKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	conf := auth.DefaultConfig()
	conf.Issuer = issuer
	services := make([]*auth.Service, 4)
	stores := make([]auth.Store, len(services))
	for i := range stores {
		stores[i] = openStore(t, path)
	}
	var wg sync.WaitGroup
	for i := range services {
		wg.Go(func() {
			s, err := auth.New(t.Context(), auth.Options{Store: stores[i], Master: auth.MasterKey{1}, Config: conf})
			if err != nil {
				t.Error(err)
			}
			services[i] = s
		})
	}
	wg.Wait()
	if _, err := services[0].AddAccount(t.Context(), auth.NewAccount{Username: "alice", Password: password}, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	g, err := services[0].Login(t.Context(), auth.Credentials{Username: "alice", Password: password}, home())
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range services {
		if _, err := s.Verify(g.AccessToken); err != nil {
			t.Errorf("instance %d: %v", i, err)
		}
		if _, ok := s.RefreshSession(g.RefreshToken); !ok {
			t.Errorf("instance %d does not know the refresh token", i)
		}
		if !bytes.Equal(s.JWKS(), services[0].JWKS()) {
			t.Errorf("instance %d publishes %s", i, s.JWKS())
		}
	}
}

func TestSE15TheStoreHoldsNoTokenAndNoKeyInTheClear(t *testing.T) {
	r := newRig(t)
	g := r.login()
	row, err := r.store.Session(t.Context(), g.Session)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := r.store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal([]any{row, keys})
	if err != nil {
		t.Fatal(err)
	}
	mac := g.RefreshToken[strings.LastIndexByte(g.RefreshToken, '.')+1:]
	if strings.Contains(string(text), mac) || strings.Contains(string(text), g.AccessToken) {
		t.Error("a token is in the store")
	}
}

func TestAReloadKeepsWhatItMayAndDropsWhatItMust(t *testing.T) {
	r := newRig(t)
	g := r.login()
	ended := r.login()
	wantError(t, r.svc.Logout(t.Context(), ended.Session, home()), nil)
	reload := func(change func(*auth.Config)) error {
		change(&r.opts.Config)
		return r.svc.Reconfigure(t.Context(), r.opts.Config)
	}
	wantError(t, reload(func(*auth.Config) {}), nil)
	r.verify(g.AccessToken, nil)
	r.verify(ended.AccessToken, auth.ErrTokenRevoked)

	wantError(t, reload(func(c *auth.Config) { c.AccessToken.Algorithm = "EdDSA" }), nil)
	r.verify(g.AccessToken, auth.ErrTokenInvalid)
	g = r.refresh(g.RefreshToken)
	r.verify(g.AccessToken, nil)
	if !strings.Contains(string(r.svc.JWKS()), "Ed25519") || !r.told(auth.EventKeyCreated, "") {
		t.Errorf("no new key: %s", r.svc.JWKS())
	}

	wantError(t, reload(func(c *auth.Config) { c.Audience = []string{"other"} }), nil)
	r.verify(g.AccessToken, auth.ErrTokenInvalid)

	before := r.opts.Config
	if err := reload(func(c *auth.Config) { c.AccessToken.TTL = 0 }); err == nil || !strings.Contains(err.Error(), "auth.access_token.ttl") {
		t.Errorf("a bad configuration: %v", err)
	}
	r.opts.Config = before
	g = r.refresh(g.RefreshToken)
	if r.verify(g.AccessToken, nil); g.AccessTTL != before.AccessToken.TTL {
		t.Error("the bad configuration is in force")
	}
}

// A token that was revoked while its life was shortened by a reload does not come
// back when the reload is taken back.
func TestARevocationOutlivesAShorterLifeOfTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		g := r.login()
		live := func(ttl time.Duration) {
			r.opts.Config.AccessToken.TTL = ttl
			wantError(t, r.svc.Reconfigure(t.Context(), r.opts.Config), nil)
		}
		whole := r.opts.Config.AccessToken.TTL
		live(time.Minute)
		wantError(t, r.svc.Logout(t.Context(), g.Session, home()), nil)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		wantError(t, r.svc.Follow(ctx), context.DeadlineExceeded)
		live(whole)
		r.verify(g.AccessToken, auth.ErrTokenRevoked)
	})
}

func TestWhatARequestPresentedIsHandedOn(t *testing.T) {
	p := auth.Presented{Kind: auth.CookieCredential, Token: "x", Err: auth.ErrTokenExpired}
	if got := auth.PresentedIn(auth.WithPresented(context.Background(), p)); got.Kind != p.Kind || got.Err != p.Err || got.Token != "x" {
		t.Errorf("got %+v", got)
	}
	if got := auth.PresentedIn(context.Background()); got.Kind != auth.NoCredential || got.Principal.ID != "" || got.Err != nil {
		t.Errorf("nobody presented %+v", got)
	}
}

// One principal stands for a token in all requests that bring it: what a handler
// does to the one that it is handed must not reach the others.
func TestAHandedOnPrincipalIsTheHandlersOwn(t *testing.T) {
	shared := &auth.Principal{ID: "7", Username: "alice"}
	ctx := auth.WithPresented(context.Background(), auth.Presented{Kind: auth.BearerCredential, Principal: shared})
	auth.PresentedIn(ctx).Principal.Username = "root"
	if got := auth.PresentedIn(ctx).Principal; shared.Username != "alice" || got.Username != "alice" || got.ID != "7" {
		t.Errorf("alice became %+v, and %+v is handed on", shared, got)
	}
}

func TestAFullGateIsToldAndCountsForNothing(t *testing.T) {
	r := newRig(t, func(c *auth.Config) { c.Password.MaxConcurrent = 1; c.Lockout.Attempts = 100 })
	var wg sync.WaitGroup
	results := make(chan error, 60)
	for range 60 {
		wg.Go(func() { results <- r.try("nobody", "wrong", "192.0.2.7") })
	}
	wg.Wait()
	close(results)
	busy, compared := 0, 0
	for err := range results {
		var b *auth.BusyError
		switch {
		case errors.As(err, &b) && b.RetryAfter > 0:
			busy++
		case errors.Is(err, auth.ErrInvalidCredentials):
			compared++
		default:
			t.Error(err)
		}
	}
	if busy == 0 || compared < 33 {
		t.Errorf("%d busy, %d compared", busy, compared)
	}
}
