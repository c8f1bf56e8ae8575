package gateway

import (
	"slices"
	"time"
)

// What sessions last in the model, and in the stack that is held against it:
// short enough that a few jumps of the clock reach every end.
const (
	modelAccess  = 15 * time.Minute
	modelIdle    = 2 * time.Hour // refresh_token.ttl
	modelSession = 6 * time.Hour
	modelGrace   = 30 * time.Second
)

// world is the model of issue 7: all that has to be known to say what any token
// that was ever issued is worth. It is written from the design and not from the
// code: sessions, counters and versions as plain numbers, no store, no keys.
type world struct {
	now      time.Duration // since the beginning
	started  time.Duration // the last start of the gateway
	people   []*person
	accesses []*access
	refreshs []*refresh
}

// person is an account.
type person struct {
	name, id, password string
	roles              []string
	disabled           bool
	version            int // raised by each change that outdates access tokens
	sessions           []*life
}

// life is one session.
type life struct {
	who              *person
	sid              string
	created, rotated time.Duration
	head, floor      int    // the number of the current refresh token; the first that a late repeat may show
	ended            string // what its refresh tokens are answered; empty: it lives
}

// access is an access token that was issued.
type access struct {
	raw     string
	of      *life
	version int
	roles   []string
	expires time.Duration
}

// refresh is a refresh token that was issued.
type refresh struct {
	raw    string
	of     *life
	number int
}

// verdict is what a request must be answered.
type verdict struct {
	status int
	code   string
}

// worth says whether an access token opens /admin.
func (w *world) worth(a *access) verdict {
	switch {
	case w.now >= a.expires:
		return verdict{401, "token_expired"}
	case a.of.ended != "" || a.version < a.of.who.version:
		return verdict{401, "token_revoked"}
	case !slices.Contains(a.roles, "admin"):
		return verdict{403, "forbidden"}
	}
	return verdict{200, ""}
}

// proves says whether an access token proves who asks, whatever they may do.
func (w *world) proves(a *access) (verdict, bool) {
	v := w.worth(a)
	return v, v.status != 401
}

// outOfTime says whether a session has ended by itself.
func (w *world) outOfTime(l *life) bool {
	return w.now-l.rotated >= modelIdle || w.now-l.created >= modelSession
}

// begin is a login with a password.
func (w *world) begin(p *person, password string) (*life, verdict) {
	if p.disabled || password != p.password {
		return nil, verdict{401, "invalid_credentials"}
	}
	l := &life{who: p, created: w.now, rotated: w.now, head: 1, floor: 1}
	p.sessions = append(p.sessions, l)
	return l, verdict{200, ""}
}

// spend is a refresh. The session's head is the number of the token that must be
// answered.
func (w *world) spend(r *refresh) verdict {
	l := r.of
	switch {
	case l.ended != "":
		return verdict{401, l.ended}
	case w.outOfTime(l):
		return verdict{401, "refresh_expired"}
	case r.number == l.head:
		w.rotate(l)
	case r.number >= l.floor && w.now-l.rotated < modelGrace:
	case r.number >= l.floor && r.number == l.head-1 && w.now-w.started < modelGrace:
	default:
		w.end(l, "refresh_reused")
		return verdict{401, "refresh_reused"}
	}
	return verdict{200, ""}
}

// rotate spends the current token.
func (w *world) rotate(l *life) {
	if w.now-l.rotated >= modelGrace {
		l.floor = l.head
	}
	l.floor = max(l.floor, l.head-7)
	l.head, l.rotated = l.head+1, w.now
}

// end ends a session, once.
func (w *world) end(l *life, answer string) {
	if l.ended == "" {
		l.ended = answer
	}
}

// endAll ends the sessions of an account but one.
func (w *world) endAll(p *person, but *life) {
	for _, l := range p.sessions {
		if l != but {
			w.end(l, "refresh_invalid")
		}
	}
}

// endsAll says whether an access token may end every session of its account. One
// that no longer opens anything may while its session lives.
func (w *world) endsAll(a *access) verdict {
	if _, proves := w.proves(a); !proves && (a.of.ended != "" || w.outOfTime(a.of)) {
		return verdict{401, "token_revoked"}
	}
	return verdict{204, ""}
}

// setRoles, setDisabled and setPassword are an administrator's.
func (w *world) setRoles(p *person, roles []string) {
	if !slices.Equal(p.roles, roles) {
		p.roles, p.version = roles, p.version+1
	}
}

func (w *world) setDisabled(p *person, disabled bool) {
	if p.disabled == disabled {
		return
	}
	p.disabled, p.version = disabled, p.version+1
	if disabled {
		w.endAll(p, nil)
	}
}

func (w *world) setPassword(p *person, password string) {
	p.password, p.version = password, p.version+1
	w.endAll(p, nil)
}

// changePassword is its owner's: their session goes on, and no token that it had
// is good for a repeat.
func (w *world) changePassword(a *access, current, next string) verdict {
	v, proves := w.proves(a)
	switch p := a.of.who; {
	case !proves:
		return v
	case w.outOfTime(a.of):
		return verdict{401, "token_revoked"}
	case current != p.password:
		return verdict{422, "invalid"}
	default:
		p.password, p.version = next, p.version+1
		w.endAll(p, a.of)
	}
	a.of.head += 2
	a.of.floor, a.of.rotated = a.of.head-1, w.now
	return verdict{200, ""}
}
