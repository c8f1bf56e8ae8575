package auth_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// benchService is a Service on a real store, with alice logged in.
func benchService(b *testing.B, algorithm string) (*auth.Service, auth.Options, auth.Grant) {
	b.Helper()
	conf := auth.DefaultConfig()
	conf.Issuer, conf.AccessToken.Algorithm = issuer, algorithm
	o := auth.Options{Store: openStore(b, filepath.Join(b.TempDir(), "postern.db")), Master: auth.MasterKey{1}, Config: conf}
	svc, err := auth.New(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := svc.AddAccount(b.Context(), auth.NewAccount{Username: "alice", Password: password, Roles: []string{"user"}}, auth.Actor{}); err != nil {
		b.Fatal(err)
	}
	g, err := svc.Login(b.Context(), auth.Credentials{Username: "alice", Password: password}, home())
	if err != nil {
		b.Fatal(err)
	}
	return svc, o, g
}

func BenchmarkVerifyCached(b *testing.B) {
	svc, _, g := benchService(b, "ES256")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := svc.Verify(g.AccessToken); err != nil {
			b.Fatal(err)
		}
	}
}

// The cache is emptied each time, so that each sight is the first.
func BenchmarkVerifyCold(b *testing.B) {
	for _, algorithm := range []string{"HS256", "RS256", "ES256", "EdDSA"} {
		b.Run(algorithm, func(b *testing.B) {
			svc, _, g := benchService(b, algorithm)
			b.ReportAllocs()
			for b.Loop() {
				auth.ForgetTokens(svc)
				if _, err := svc.Verify(g.AccessToken); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRefresh(b *testing.B) {
	svc, _, g := benchService(b, "ES256")
	b.ReportAllocs()
	token := g.RefreshToken
	for b.Loop() {
		next, err := svc.Refresh(b.Context(), token, home())
		if err != nil {
			b.Fatal(err)
		}
		token = next.RefreshToken
	}
}

// A forged refresh token must cost its sender more than us.
func BenchmarkRefreshForged(b *testing.B) {
	svc, _, g := benchService(b, "ES256")
	forged := g.RefreshToken[:len(g.RefreshToken)-2] + "AA"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := svc.Refresh(b.Context(), forged, home()); err == nil {
			b.Fatal("accepted")
		}
	}
}

// TestACachedVerificationAllocatesNothing holds the hot path to its word.
func TestACachedVerificationAllocatesNothing(t *testing.T) {
	r := newRig(t)
	g := r.login()
	r.verify(g.AccessToken, nil)
	allocated := testing.AllocsPerRun(200, func() {
		if _, err := r.svc.Verify(g.AccessToken); err != nil {
			t.Error(err)
		}
	})
	if allocated > 0 {
		t.Errorf("%.1f allocations", allocated)
	}
	if left := time.Until(g.AccessExpires); left > 15*time.Minute {
		t.Errorf("expires in %s", left)
	}
}

// TestATokenOfALoginIsReadTheShortWay: it would be as good the long way, which
// takes three times as long, and no other test would tell.
func TestATokenOfALoginIsReadTheShortWay(t *testing.T) {
	r := newRig(t)
	if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Fields: map[string][]string{"phone": {"+43 1"}, "tenant": {"t1", "t2"}}}, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	g := r.login()
	for _, token := range []string{g.AccessToken, r.refresh(g.RefreshToken).AccessToken} {
		if p := r.verify(token, nil); !auth.OwnSpelling(r.svc, token) || p.Fields["tenant"][1] != "t2" {
			t.Errorf("%s is read the long way, as %+v", token, p)
		}
	}
}

// The three ways to fail a login must take the same time: read it with
// -benchtime 500x. They take turns, so that a machine whose speed changes is
// the same to all of them; spread is how far the medians are apart, in percent.
func BenchmarkLoginOutcomes(b *testing.B) {
	_, o, _ := benchService(b, "ES256")
	o.Config.Lockout.Attempts = 10000
	svc, err := auth.New(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	disabled, err := svc.AddAccount(b.Context(), auth.NewAccount{Username: "dave", Password: password, Roles: []string{"user"}}, auth.Actor{})
	if err != nil {
		b.Fatal(err)
	}
	yes := true
	if _, err := svc.SetAccount(b.Context(), disabled.ID, auth.AccountChange{Disabled: &yes}, auth.Actor{}); err != nil {
		b.Fatal(err)
	}
	ways := []struct{ name, user, password string }{
		{"unknown-ms", "nobody", password}, {"wrong-ms", "alice", "not the password"}, {"disabled-ms", "dave", password},
	}
	took := make([][]time.Duration, len(ways))
	for b.Loop() {
		for i, way := range ways {
			began := time.Now()
			_, err := svc.Login(b.Context(), auth.Credentials{Username: way.user, Password: way.password}, home())
			took[i] = append(took[i], time.Since(began))
			if !errors.Is(err, auth.ErrInvalidCredentials) {
				b.Fatalf("%s: %v", way.name, err)
			}
		}
	}
	var medians []float64
	for i, way := range ways {
		slices.Sort(took[i])
		median := took[i][len(took[i])/2].Seconds() * 1000
		medians = append(medians, median)
		b.ReportMetric(median, way.name)
	}
	least, most := slices.Min(medians), slices.Max(medians)
	b.ReportMetric(100*(most-least)/least, "spread-%")
}
