package gateway

import (
	"errors"
	"net/http"
	"strings"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
	"github.com/posternhq/postern/policy"
)

// errAmbiguous is the refusal of credentials that could mean two callers.
var errAmbiguous = errors.New("ambiguous credentials")

// readCredentials fills in what the request presented and what came of it, or
// refuses a request that presents two things at once. It reads every source
// before it judges one: a request never becomes somebody by the order in which
// sources are asked.
func (x *exchange) readCredentials(a Authenticator) bool {
	var found [2]auth.Presented // few requests have more; append copes with those
	list, err := x.collect(found[:0])
	if err == nil {
		for i := range list {
			x.verify(a, &list[i])
		}
		err = x.choose(a, list)
	}
	if err != nil {
		x.refuse(badRequest("The request carries more than one credential. Send one."))
		return false
	}
	return true
}

// verify proves one credential. A malformed one has its error already.
func (x *exchange) verify(a Authenticator, p *auth.Presented) {
	if p.Err == nil {
		p.Principal, p.Err = a.Prove(p.Token, x.start)
	}
	if p.Kind == auth.BasicCredential && p.Principal != nil && !isNamed(p.User, p.Principal) {
		p.Principal, p.Err = nil, auth.ErrTokenInvalid
	}
	if p.Principal == nil {
		p.Principal = new(auth.Principal) // nobody
	}
}

// collect finds the credentials in the configured places: Authorization, a
// token header, the cookie. It refuses two of one kind.
func (x *exchange) collect(list []auth.Presented) ([]auth.Presented, error) {
	h, s := x.r.Header, x.snap
	if (s.bearer || s.basic) && !x.passesAuthorization() {
		values := h["Authorization"]
		if len(values) > 1 {
			return nil, errAmbiguous
		}
		list = s.appendAuthorization(list, values)
	}
	for _, name := range s.tokenHeaders {
		switch values := h[name]; {
		case len(values) > 1:
			return nil, errAmbiguous
		case len(values) == 1 && values[0] != "":
			list = append(list, auth.Presented{Kind: auth.HeaderCredential, Token: values[0]})
		}
	}
	cookies := h["Cookie"]
	access, n := findCookie(cookies, s.cookies.Access)
	if _, m := findCookie(cookies, s.cookies.Refresh); n > 1 || m > 1 {
		return nil, errAmbiguous
	}
	if s.cookie && n == 1 && access != "" {
		list = append(list, auth.Presented{Kind: auth.CookieCredential, Token: access})
	}
	return list, nil
}

// passesAuthorization tells whether Authorization belongs to the application.
func (x *exchange) passesAuthorization() bool {
	return x.rt != nil && x.rt.upstream != nil && x.rt.upstream.passAuthorization
}

// choose picks the credential that speaks for the request: the first, of the
// order bearer, header, cookie. Where anyone may pass, a bad one counts as
// none and the next good one speaks. Two that belong to different sessions
// are refused, whether or not both are still good.
func (x *exchange) choose(a Authenticator, list []auth.Presented) error {
	if len(list) == 0 {
		return nil
	}
	if !oneSession(list) {
		return errAmbiguous
	}
	open := x.rt != nil && x.match.OpenToAnyone()
	chosen := &list[0]
	for i := range list {
		p := &list[i]
		if chosen.Err != nil && p.Err == nil && (open || p.Principal.Session == chosen.Principal.Session) {
			chosen = p
		}
	}
	x.presented = *chosen
	// A bearer that is not one of ours is the application's own.
	x.foreignBearer = open && list[0].Kind == auth.BearerCredential && list[0].Err != nil &&
		list[0].Token != "" && !a.Issued(list[0].Token)
	return nil
}

// oneSession tells whether all credentials with a genuine signature belong to
// one session, whether or not they are still good.
func oneSession(list []auth.Presented) bool {
	session := ""
	for i := range list {
		sid := list[i].Principal.Session
		if sid == "" {
			continue
		}
		if session != "" && sid != session {
			return false
		}
		session = sid
	}
	return true
}

// appendAuthorization reads the one Authorization field, or none, of a scheme
// that is a source.
func (s *Snapshot) appendAuthorization(list []auth.Presented, values []string) []auth.Presented {
	for _, value := range values {
		if p, ok := parseBearer(value); ok && s.bearer {
			return append(list, p)
		}
		if p, ok := parseBasic(value); ok && s.basic {
			return append(list, p)
		}
	}
	return list
}

// parseBearer reads an Authorization field: the scheme in any case, one space,
// a token without spaces (RFC 6750 section 2.1). Other schemes are not the
// gateway's, ok is false for them.
func parseBearer(value string) (p auth.Presented, ok bool) {
	const scheme = "bearer"
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return auth.Presented{}, false
	}
	rest := value[len(scheme):]
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' && rest[0] != ',' {
		return auth.Presented{}, false // another scheme whose name begins so
	}
	p.Kind = auth.BearerCredential
	if len(rest) < 2 || rest[0] != ' ' || !isOneToken(rest[1:]) {
		p.Err = auth.ErrTokenMalformed
		return p, true
	}
	p.Token = rest[1:]
	return p, true
}

// isOneToken tells whether a text is not a list of several, to anybody.
func isOneToken(s string) bool {
	return strings.IndexByte(s, ' ') < 0 && strings.IndexByte(s, ',') < 0 && strings.IndexByte(s, '\t') < 0
}

// findCookie answers the value of a cookie and how often its name occurs.
// net/http's parser would pass over a pair that it finds malformed; the
// application behind may not.
func findCookie(lines []string, name string) (value string, n int) {
	if name == "" {
		return "", 0
	}
	for _, line := range lines {
		if !strings.Contains(line, name) {
			continue
		}
		for pair := range strings.SplitSeq(line, ";") {
			k, v, _ := strings.Cut(pair, "=")
			if strings.Trim(k, " \t") == name {
				value, n = strings.Trim(v, " \t"), n+1
			}
		}
	}
	return value, n
}

// tokenProblem is the answer for a credential that did not prove anything.
func tokenProblem(err error) problem.Problem {
	switch {
	case errors.Is(err, auth.ErrTokenMalformed):
		return problem.Of(problem.TokenMalformed)
	case errors.Is(err, auth.ErrTokenExpired):
		return problem.Of(problem.TokenExpired)
	case errors.Is(err, auth.ErrTokenRevoked):
		return problem.Of(problem.TokenRevoked)
	case errors.Is(err, auth.ErrTokenInvalid):
		return problem.Of(problem.TokenInvalid)
	}
	return problem.Of(problem.Unavailable) // a fault of ours must not look like one of the token's
}

// checkOrigin refuses what another site's page makes a browser send. A cookie
// goes along whoever asks, and so does what was typed into a browser's own box
// for Basic: a request that changes something by either must come from here
// (CSRF); and a WebSocket, which no browser holds back and
// which answers the page that opened it, must come from here even when it
// carries no cookie (cross-site WebSocket hijacking).
func (x *exchange) checkOrigin() bool {
	if x.websocket && !x.websocketOrigin() {
		x.refuse(problem.Of(problem.CrossOrigin))
		return false
	}
	if x.presented.Kind != auth.CookieCredential && x.presented.Kind != auth.BasicCredential {
		return true
	}
	if err := x.snap.crossOrigin.Check(x.r); err != nil {
		x.refuse(problem.Of(problem.CrossOrigin))
		return false
	}
	return true
}

// websocketOrigin accepts the origin that the request came to, public_url's,
// and none at all from a program that brings a bearer: no browser leaves it out.
func (x *exchange) websocketOrigin() bool {
	origins := x.r.Header["Origin"]
	switch len(origins) {
	case 0:
		return x.presented.Kind == auth.BearerCredential || x.presented.Kind == auth.HeaderCredential ||
			x.passesAuthorization() && len(x.r.Header["Authorization"]) > 0 && x.presented.Kind == auth.NoCredential
	case 1:
		return x.isOwnOrigin(origins[0])
	}
	return false
}

// isOwnOrigin tells whether an Origin is the effective one or public_url's.
func (x *exchange) isOwnOrigin(origin string) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok || host == "" {
		return false
	}
	scheme = strings.ToLower(scheme)
	host = canonicalHost(host, scheme)
	return scheme == x.scheme && host == x.host ||
		scheme == x.snap.publicURL.Scheme && host == x.snap.publicHost
}

// decide asks the policy, and answers when it does not allow. Only a proven
// principal is a subject; whatever went wrong with a credential makes the
// caller anonymous to the policy, and the answer one about the credential.
func (g *Gateway) decide(x *exchange) bool {
	caller := policy.Caller{Client: x.client, Now: x.start}
	x.cert = x.certificate(caller.Now)
	caller.Cert = x.cert
	if x.proven() {
		p := x.presented.Principal
		caller.Subject = policy.Subject{
			ID: p.ID, Username: p.Username, Email: p.Email, Roles: p.Roles, Fields: p.Fields, AuthTime: p.AuthTime,
		}
	}
	d := x.match.Decide(caller)
	if x.silentRefresh(d) {
		return false
	}
	x.reason, x.rule = string(d.Reason), d.Rule
	switch d.Effect {
	case policy.Allow:
		x.decision = decisionAllow
		if d.Observed {
			x.decision = decisionObserve
		}
		return x.allowsDestination(caller)
	case policy.Challenge:
		x.challenge(d)
	default:
		x.refuseBy(problem.Of(problem.Forbidden), d.Reason)
	}
	return false
}

// refuseBy is refuse with the policy's own reason in the log.
func (x *exchange) refuseBy(p problem.Problem, reason policy.Reason) {
	x.refuse(p)
	x.reason = string(reason)
}

// challenge answers a request that a (better) identity could get through: a
// browser's navigation goes to the login page and comes back, anything else
// gets 401 and the reason.
func (x *exchange) challenge(d policy.Decision) {
	p := problem.Of(problem.TokenMissing)
	switch {
	case x.presented.Kind != auth.NoCredential && x.presented.Err != nil:
		p = tokenProblem(x.presented.Err)
	case d.Reason == policy.ReasonReauthenticationRequired:
		p = problem.Reauthenticate(d.MaxAge)
	case x.presented.Kind != auth.NoCredential:
		p = problem.Of(problem.Forbidden) // known, and logging in again would not help
	}
	if p.Status != http.StatusUnauthorized || !x.isPage() || x.question != nil {
		x.refuse(p)
		return
	}
	x.decision, x.reason = decisionChallenge, p.Code
	x.redirect(x.loginFor(p), http.StatusSeeOther)
}

// isPage tells whether a person waits for a page, who can be sent elsewhere.
func (x *exchange) isPage() bool { return problem.IsNavigation(x.r) && !x.websocket }

// loginFor is the login page that helps against p, and leads back from there.
func (x *exchange) loginFor(p problem.Problem) string {
	to := x.snap.loginPage(x.target(), false)
	if p.Code == problem.ReauthenticationRequired {
		to += "&again=1" // or the login page would only say that one is logged in
	}
	return to
}
