package gateway

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// countingMint is a mint of assertions that are numbered.
func countingMint(ttl time.Duration) (*mint, *int) {
	n := 0
	id := newIdentity(Identity{Assertion: Assertion{Enabled: true, Header: "X-Auth-Assertion", TTL: ttl}})
	m := newMint("app", id, func(p *auth.Principal, audience string, expires time.Time) (string, error) {
		n++
		return fmt.Sprintf("%s for %s until %d, %d", p.ID, audience, expires.Unix(), n), nil
	})
	return m, &n
}

func tokenOf(token, id string, expires time.Time) *auth.Presented {
	return &auth.Presented{Kind: auth.BearerCredential, Token: token, Principal: &auth.Principal{ID: id, Expires: expires}}
}

func TestWhatWasMintedServesForHalfItsLife(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m, n := countingMint(time.Minute)
	x := tokenOf("t1", "7", now.Add(time.Hour))
	first, err := m.of(x, now)
	must(t, err)
	for _, after := range []time.Duration{0, time.Second, 29 * time.Second} {
		again, err := m.of(x, now.Add(after))
		if must(t, err); again != first {
			t.Errorf("after %s another one: %+v", after, again)
		}
	}
	later, err := m.of(x, now.Add(30*time.Second))
	if must(t, err); later == first || *n != 2 {
		t.Errorf("after half its life still %+v", later)
	}
}

func TestWhatWasMintedIsForOneTokenAlone(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m, _ := countingMint(time.Minute)
	for i := range 3 * mintShards * mintShardSize {
		id := fmt.Sprint(i)
		for range 2 {
			got, err := m.of(tokenOf("token-"+id, id, now.Add(time.Hour)), now)
			if must(t, err); !strings.HasPrefix(got.assertion, id+" for app") {
				t.Fatalf("%s got %s", id, got.assertion)
			}
		}
	}
	held := 0
	for i := range m.shards {
		if n := len(m.shards[i].entries); n > mintShardSize {
			t.Errorf("shard %d holds %d", i, n)
		} else {
			held += n
		}
	}
	if held < mintShards*mintShardSize/2 {
		t.Errorf("only %d are remembered", held)
	}
}

// TestTwoTokensOfOneHashAreToldApart puts another token's entry where a token
// is looked for.
func TestTwoTokensOfOneHashAreToldApart(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m, _ := countingMint(time.Minute)
	_, err := m.of(tokenOf("alice's", "1", now.Add(time.Hour)), now)
	must(t, err)
	for i := range m.shards {
		for sum, e := range m.shards[i].entries {
			e.raw = "root's"
			m.shards[i].entries[sum] = e
		}
	}
	got, err := m.of(tokenOf("alice's", "2", now.Add(time.Hour)), now)
	if must(t, err); !strings.HasPrefix(got.assertion, "2 for") {
		t.Errorf("got %s", got.assertion)
	}
}

func TestNothingMintedOutlivesItsAccessToken(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for left, want := range map[time.Duration]time.Duration{time.Hour: time.Minute, 40 * time.Second: 40 * time.Second, time.Second: minMintTTL} {
		if got := lifeEnd(&auth.Principal{Expires: now.Add(left)}, now, time.Minute).Sub(now); got != want {
			t.Errorf("with %s left it lives for %s, want %s", left, got, want)
		}
	}
}

func TestAFullShardForgetsWhatIsOverFirst(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var s mintShard
	for i := range uint64(mintShardSize) {
		s.put(i, mintEntry{until: now.Add(time.Duration(i) * time.Second)}, now)
	}
	s.put(1000, mintEntry{until: now.Add(time.Hour)}, now.Add(10*time.Second))
	if len(s.entries) != mintShardSize-10 {
		t.Errorf("%d entries", len(s.entries))
	}
	for i := range uint64(mintShardSize) {
		if _, there := s.entries[i]; there != (i > 10) {
			t.Errorf("entry %d is there: %v", i, there)
		}
	}
}

// TestARequestWhoseUserCannotBeToldEndsHere: the application must not take a
// fault of the gateway for nobody.
func TestARequestWhoseUserCannotBeToldEndsHere(t *testing.T) {
	s := newStack(t, withLegacyToken)
	snap := s.gateway.snap.Load()
	snap.upstreams[0].mint.assert = func(*auth.Principal, string, time.Time) (string, error) { return "", errors.New("no key") }
	snap.identity.assertion, snap.identity.assertionTTL = "X-Auth-Assertion", time.Minute
	for _, path := range []string{"/app/x", "/public/x"} {
		r := s.get(path, bearer(s.token("alice")))
		r.wants(t, 503, "unavailable")
		r.notAsked(t)
	}
	s.get("/public/x").wants(t, 200, "")
}

// TestAMintServesMany asks from several goroutines, under the race detector.
func TestAMintServesMany(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	id := newIdentity(Identity{LegacyToken: LegacyToken{Header: "X-T", Secret: legacySecret, TTL: time.Minute, Claims: []LegacyClaim{{Name: "id", Value: "id"}}}})
	m := newMint("app", id, nil)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 500 {
				who := fmt.Sprint(i % 50)
				got, err := m.of(tokenOf("token-"+who, who, now.Add(time.Hour)), now)
				if err != nil || legacyClaims(t, got.legacy, "HS256", legacySecret, now)["id"] != who {
					t.Errorf("%s got %q, %v", who, got.legacy, err)
				}
			}
		})
	}
	group.Wait()
}
