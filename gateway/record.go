package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/gateway/problem"
	"github.com/posternhq/postern/policy"
)

// recordSize is how many decisions are kept, so that an operator who is quoted
// the id of a refusal minutes later still finds it.
const recordSize = 4096

// What one entry may keep of each text: a request can make its texts long. All
// entries together take at most 8 MiB.
const (
	RecordedPath  = 512 // a longer path is cut there
	recordedName  = 128
	recordedRoles = 256
	recordedHost  = 253

	recordedSubject = 256
)

// Decided is one decision as GET /decisions/{id} on the admin listener answers
// it: what the access log says, and what explaining it again takes. It has no
// query, no credential and no header.
type Decided struct {
	RequestID   string    `json:"request_id"`
	Time        time.Time `json:"time"`
	Method      string    `json:"method"`
	Host        string    `json:"host"`
	Scheme      string    `json:"scheme"`      // that the client uses; empty: not settled
	SchemeFrom  string    `json:"scheme_from"` // what told it: public_url, listener, proxy
	Path        string    `json:"path"`        // as it was sent; cut when it is longer than what is kept
	Client      string    `json:"client"`
	Certificate string    `json:"certificate"`        // the subject of the client's own; empty: it has none, or is not known
	CertHidden  bool      `json:"certificate_hidden"` // it is not known whether the client has one
	UserID      string    `json:"user_id"`            // empty: nobody was proven
	User        string    `json:"user"`
	Roles       string    `json:"roles"`     // joined with ","
	AuthTime    time.Time `json:"auth_time"` // when the password was given; zero: nobody was proven
	Decision    string    `json:"decision"`
	Reason      string    `json:"reason"`
	Route       string    `json:"route"`
	Rule        string    `json:"rule"` // file:line:column of the rule that decided; empty: none did
	Status      int       `json:"status"`
	Snapshot    string    `json:"snapshot"` // the configuration that it was decided by
}

// record keeps the last decisions in a ring. Its slots keep their memory, so
// that once it has gone round, keeping one more allocates nothing; and they
// copy their texts, because a path is part of a longer text, with the query
// in it, that must not live on with it.
type record struct {
	next  atomic.Uint64
	slots [recordSize]slot
}

// slot is one entry. Two requests meet in one only when the ring goes round
// between the steps of the first.
type slot struct {
	mu       sync.Mutex // guards the following
	number   uint64     // from 1; zero: empty
	text     []byte     // the texts that a request brings, one after the other
	ends     [recordedTexts]int
	time     time.Time
	authTime time.Time
	client   netip.Addr
	hidden   bool // the client's certificate
	scheme   string
	from     string // the scheme
	decision string // these are of closed sets, and belong to the program or a snapshot
	reason   string
	route    string
	snapshot string
	rule     policy.Pos
	status   int
}

// recordedTexts is how many texts an entry copies: see slot.fill.
const recordedTexts = 8

// add keeps the decision of an exchange that has ended.
func (c *record) add(x *exchange, status int) {
	number := c.next.Add(1)
	s := &c.slots[number%recordSize]
	s.mu.Lock()
	defer s.mu.Unlock()
	if number < s.number { // overtaken by a whole round
		return
	}
	s.number, s.status = number, status
	s.time, s.client, s.hidden = x.start, x.client, x.cert.Hidden
	s.scheme, s.from = x.scheme, x.schemeFrom
	s.decision, s.reason, s.route, s.rule, s.snapshot = x.decision, x.reason, x.label, x.rule, x.snap.id
	s.fill(x)
}

// fill copies the texts, each cut to what is kept of it.
func (s *slot) fill(x *exchange) {
	id, user, roles := "", "", []string(nil)
	s.authTime = time.Time{}
	if x.proven() {
		p := x.presented.Principal
		id, user, roles, s.authTime = p.ID, p.Username, p.Roles, p.AuthTime
	}
	s.text = s.text[:0]
	for i, text := range [...]struct {
		text string
		most int
	}{{x.id, maxRequestID}, {x.r.Method, maxMethod}, {x.loggedHost(), recordedHost}, {x.loggedPath(), RecordedPath}, {id, recordedName}, {user, recordedName}, {x.cert.Subject, recordedSubject}} {
		s.text = append(s.text, text.text[:min(len(text.text), text.most)]...)
		s.ends[i] = len(s.text)
	}
	begin := len(s.text)
	for _, role := range roles {
		if len(s.text)-begin+1+len(role) > recordedRoles {
			break
		}
		if len(s.text) > begin {
			s.text = append(s.text, ',')
		}
		s.text = append(s.text, role...)
	}
	s.ends[recordedTexts-1] = len(s.text)
}

// part returns one of the texts.
func (s *slot) part(i int) string {
	begin := 0
	if i > 0 {
		begin = s.ends[i-1]
	}
	return string(s.text[begin:s.ends[i]])
}

// find returns the newest decision of that id: clients may choose ids, and so
// may choose one twice.
func (c *record) find(id string) (found Decided, ok bool) {
	newest := uint64(0)
	for i := range c.slots {
		s := &c.slots[i]
		s.mu.Lock()
		if s.number > newest && string(s.text[:s.ends[0]]) == id {
			newest, found = s.number, s.decided()
		}
		s.mu.Unlock()
	}
	return found, newest > 0
}

// decided is the slot as it is answered.
func (s *slot) decided() Decided {
	d := Decided{
		RequestID: s.part(0), Method: s.part(1), Host: s.part(2), Path: s.part(3), UserID: s.part(4), User: s.part(5), Certificate: s.part(6), Roles: s.part(7),
		Time: s.time, AuthTime: s.authTime, Decision: s.decision, Reason: s.reason, Route: s.route, Status: s.status, Snapshot: s.snapshot, CertHidden: s.hidden, Scheme: s.scheme, SchemeFrom: s.from,
	}
	if s.client.IsValid() {
		d.Client = s.client.String()
	}
	if s.rule.Line > 0 {
		d.Rule = s.rule.String()
	}
	return d
}

// ServeHTTP answers GET /decisions/{id}.
func (c *record) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d, ok := c.find(r.PathValue("id"))
	if !ok {
		p := problem.Of(problem.NoRoute)
		p.Title = "No such decision is kept"
		p.Detail = fmt.Sprintf("The last %d requests are kept, and none of them has this id.", recordSize)
		problem.Write(w, r, p)
		return
	}
	text, err := json.Marshal(d)
	if err != nil { // texts, numbers and times of this century: cannot happen
		problem.Write(w, r, problem.Of(problem.Unavailable))
		return
	}
	answerJSON(w, http.StatusOK, string(text))
}
