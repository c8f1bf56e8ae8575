package auth

import "time"

// Guess is an attempt at a password as the store counts it.
type Guess struct {
	// Name is a digest under a key that is not in the store: of the account's
	// id, or of the folded name when it is nobody's. People type passwords into
	// the field for the name, and a copy of the store must not give them away.
	Name string
	// Network is the address, or for IPv6 its /64; UnknownNetwork where there
	// is none. Never empty.
	Network string
	// Account is the id; empty when the name is nobody's.
	Account string
}

// UnknownNetwork is the Network of who comes without an address, through a unix
// socket. It is no network: only the name counts there.
const UnknownNetwork = "-"

// Tally is what is counted against one thing at one time. Zero: nothing.
type Tally struct {
	Failed int
	Locked bool
	Ends   time.Time // of the lock, or else of the window in which failures add up
}

// Failures is all that is counted against a guess.
type Failures struct {
	Pair    Tally     // the name from this network
	Network Tally     // whoever from this network
	Name    Tally     // the name from wherever the account never logged in
	Known   time.Time // the last login of the account from this network; zero: none within KnownFor
	Now     time.Time // the store's clock
}

// FailureLimits say how many failures lock what, for how long. A limit of 0
// does not count that thing.
type FailureLimits struct {
	Pair, Network, Name int
	Window              time.Duration
	Duration            time.Duration
}

// A network is known to an account for KnownFor after the last login from it.
// An account has at most MaxKnown of them, the newest.
const (
	KnownFor = 30 * 24 * time.Hour
	MaxKnown = 32
)

// Lock says from where a name is refused, and until when.
type Lock struct {
	Network string // "": from wherever its account never logged in; UnknownNetwork: without an address
	Until   time.Time
}
