package auth

import (
	"net/netip"
	"testing"
	"time"
)

func TestTheCountOfApplicantsIsBounded(t *testing.T) {
	as, conf, now := newApplicants(), DefaultConfig().Lockout, time.Unix(1e9, 0)
	address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range applicantsSize + 100 {
		if err := as.admit(conf, address(i), now); err != nil || len(as.from) > applicantsSize {
			t.Fatalf("%d: %v, %d are kept", i, err, len(as.from))
		}
	}
	// What is over makes room for what is not.
	later := now.Add(conf.Window)
	if err := as.admit(conf, address(1<<20), later); err != nil || len(as.from) != 1 {
		t.Errorf("%v, %d are kept", err, len(as.from))
	}
}

func TestWhoHasNoAddressIsNotCountedAndNobodyWithLockoutOff(t *testing.T) {
	as, conf := newApplicants(), Lockout{Attempts: 1, Window: time.Hour}
	for range 2 * registrationFactor {
		if err := as.admit(conf, netip.Addr{}, time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
		if err := as.admit(Lockout{}, netip.MustParseAddr("192.0.2.1"), time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
	}
	as.charge(netip.MustParseAddr("192.0.2.1"), costOfTaken) // of nobody that is known
	if len(as.from) != 0 {
		t.Errorf("%d are kept", len(as.from))
	}
}
