package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestLG06SprayingOnePasswordOverManyNamesIsStopped(t *testing.T) {
	th, conf, now := newThrottle(1000), DefaultConfig().Lockout, time.Unix(1e9, 0)
	from := netip.MustParseAddr("203.0.113.9")
	compared := 0
	for i := range 500 {
		a, err := th.begin(conf, fmt.Sprintf("user%d", i), from, now)
		if err != nil {
			continue
		}
		compared++
		a.failed(now)
	}
	if compared != conf.Attempts*addressFactor {
		t.Errorf("%d names were tried", compared)
	}
	_, err := th.begin(conf, "user7", from, now)
	var l *LockedError
	if !errors.As(err, &l) || l.RetryAfter != conf.Duration {
		t.Errorf("got %v", err)
	}
	if _, err := th.begin(conf, "user7", netip.MustParseAddr("203.0.113.10"), now); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
}

func TestLG10AMillionNamesTakeBoundedMemory(t *testing.T) {
	const size = 64
	th, conf, now := newThrottle(size), DefaultConfig().Lockout, time.Unix(1e9, 0)
	for i := range 20_000 {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		a, err := th.begin(conf, fmt.Sprintf("user%d", i), from, now)
		if err != nil {
			t.Fatal(err)
		}
		a.failed(now)
	}
	for _, cs := range []*counters{th.pairs, th.addresses} {
		if cs.order.Len() != size || len(cs.byKey) != size {
			t.Errorf("%d in order, %d by key, want %d", cs.order.Len(), len(cs.byKey), size)
		}
	}
}

func TestAddressesCountAsTheirNetwork(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8::1", "2001:db8::ffff", true},
		{"2001:db8:0:0:1::1", "2001:db8::1", true},
		{"2001:db8:0:1::1", "2001:db8::1", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		same := network(netip.MustParseAddr(test.a)) == network(netip.MustParseAddr(test.b))
		if same != test.same {
			t.Errorf("%s and %s: same %t", test.a, test.b, same)
		}
	}
	if network(netip.Addr{}).IsValid() {
		t.Error("no address is a network")
	}
}

func TestWithoutAnAddressOnlyTheNameCounts(t *testing.T) {
	th, conf, now := newThrottle(1000), DefaultConfig().Lockout, time.Unix(1e9, 0)
	for i := range 500 {
		a, err := th.begin(conf, fmt.Sprintf("user%d", i), netip.Addr{}, now)
		if err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
		a.failed(now)
	}
	for range conf.Attempts - 1 {
		a, err := th.begin(conf, "user1", netip.Addr{}, now)
		if err != nil {
			t.Fatal(err)
		}
		a.failed(now)
	}
	if _, err := th.begin(conf, "user1", netip.Addr{}, now); err == nil {
		t.Error("the name is not locked")
	}
}

func TestFailuresOutsideTheWindowDoNotAdd(t *testing.T) {
	th, conf, now := newThrottle(1000), DefaultConfig().Lockout, time.Unix(1e9, 0)
	from := netip.MustParseAddr("203.0.113.9")
	for range 4 * conf.Attempts {
		a, err := th.begin(conf, "alice", from, now)
		if err != nil {
			t.Fatal(err)
		}
		a.failed(now)
		now = now.Add(conf.Window / time.Duration(conf.Attempts-1))
	}
}

// The address keeps its failures when one of its names succeeds: an attacker
// with an account of his own must not be able to clear them.
func TestASuccessDoesNotClearTheAddress(t *testing.T) {
	th, conf, now := newThrottle(1000), DefaultConfig().Lockout, time.Unix(1e9, 0)
	from := netip.MustParseAddr("203.0.113.9")
	failures := 0
	for i := range 500 {
		own, err := th.begin(conf, "mallory", from, now)
		if err != nil {
			break
		}
		own.succeeded()
		a, err := th.begin(conf, fmt.Sprintf("user%d", i), from, now)
		if err != nil {
			break
		}
		a.failed(now)
		failures++
	}
	if failures != conf.Attempts*addressFactor {
		t.Errorf("%d failures", failures)
	}
}

func TestAnAttemptThatComparedNothingDoesNotCount(t *testing.T) {
	th, conf, now := newThrottle(1000), DefaultConfig().Lockout, time.Unix(1e9, 0)
	from := netip.MustParseAddr("203.0.113.9")
	for range 100 {
		a, err := th.begin(conf, "alice", from, now)
		if err != nil {
			t.Fatal(err)
		}
		a.cancelled()
	}
}
