package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/auth/web"
	"github.com/posternhq/postern/gateway/config"
	"github.com/posternhq/postern/policy"
)

// asking is who a command asks as.
type asking struct {
	user   string
	roles  []string
	client string
	cert   string
	age    age
}

// age is a duration as gateway.yaml has them: Go's, and days.
type age time.Duration

func (a *age) String() string { return time.Duration(*a).String() }

// Type names the values in the help text.
func (a *age) Type() string { return "duration" }

// Set takes the flag's value: 90s, 2h, 1d12h.
func (a *age) Set(value string) error {
	d, err := config.ParseDuration(value)
	*a = age(d)
	return err
}

// anywhere stands for an address that no rule names, where none is given
// (RFC 5737), as in the tests of a policy.
const anywhere = "192.0.2.1"

// policyExplainCommand asks the very code that decides on requests, so that what
// it says is not a second opinion.
func policyExplainCommand(sys *system) *cobra.Command {
	var who asking
	var request string
	cmd := &cobra.Command{
		Use:   "explain METHOD URL | --request ID",
		Short: "The decision on a request, and why: every route and rule that was looked at",
		Long: `Decides one request by gateway.yaml and says why. URL is a path, or a full URL
where routes have hosts. Without --user and --role nobody is logged in.

  postern policy explain GET /admin/reports --user alice
  postern policy explain DELETE https://shop.example.com/cart/7 --role user --role staff

With --request it asks the running gateway, at admin.listen, what it decided on
the request of that id (answers, refusal pages and log lines name it), and then
explains that request by gateway.yaml as it stands now.

The exit status is 0 whatever the decision is.`,
		Args: argCount(0, 2),
	}
	cmd.Flags().StringVar(&who.user, "user", "", "ask as this account of the store: its roles, fields and id")
	cmd.Flags().Var((*roleList)(&who.roles), "role", "ask as somebody with this role; may be given several times")
	cmd.Flags().StringVar(&who.client, "client", anywhere, "the client's address, for cidr")
	cmd.Flags().StringVar(&who.cert, "client-cert", "", "the subject, or the common name, of the client's certificate, for client_cert")
	cmd.Flags().Var(&who.age, "age", "how long ago the password was given, for max_age")
	cmd.Flags().StringVar(&request, "request", "", "the id of a request that the running gateway has decided")
	cmd.MarkFlagsMutuallyExclusive("user", "role")
	for _, flag := range []string{"user", "role", "client", "client-cert", "age"} {
		cmd.MarkFlagsMutuallyExclusive("request", flag)
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (request == "") == (len(args) == 0) || len(args) == 1 {
			return usagef("give a method and a URL, as in GET /admin, or an id with --request")
		}
		file, table, err := readPolicy(sys, cmd)
		if err != nil {
			return err
		}
		if request != "" {
			return explainRecorded(cmd.Context(), sys, recordedIn{file, table, request}, *output)
		}
		target, err := policy.ParseRequest(args[0] + " " + args[1])
		if err != nil {
			return usageError{err}
		}
		caller, err := who.caller(sys, cmd, file)
		if err != nil {
			return err
		}
		return explainRequest(file, table, target, caller).print(sys, *output)
	}
	return cmd
}

// caller is the one to ask as. An account is looked up: what it may do depends
// on more than its name.
func (a asking) caller(sys *system, cmd *cobra.Command, file *config.File) (policy.Caller, error) {
	caller := policy.Caller{Now: time.Now(), Cert: policy.CertificateOf(a.cert)}
	var err error
	if caller.Client, err = netip.ParseAddr(a.client); err != nil {
		return caller, usagef("--client %q is no address such as 10.1.2.3", a.client)
	}
	if strings.Contains(a.cert, "=") {
		if _, err := policy.NormalSubject(a.cert); err != nil {
			return caller, usagef("--client-cert %q %w", a.cert, err)
		}
	}
	given := caller.Now.Add(-time.Duration(a.age))
	switch {
	case a.user != "":
		caller.Subject, err = subjectOf(sys, cmd, a.user)
		caller.Subject.AuthTime = given
	case cmd.Flags().Changed("role"):
		for _, role := range a.roles {
			if !slices.Contains(file.Policy().Roles, role) {
				return caller, usagef("there is no role %q; the roles are %s (auth.roles)", role, strings.Join(file.Policy().Roles, ", "))
			}
		}
		caller.Subject = policy.Subject{ID: somebody, Roles: a.roles, AuthTime: given}
	}
	return caller, err
}

// somebody is the id of one who is known by roles alone. No path has it: a
// control character is refused in every spelling.
const somebody = "\x00"

// subjectOf looks an account up, as its access token would show it.
func subjectOf(sys *system, cmd *cobra.Command, name string) (s policy.Subject, err error) {
	look := withDesk(sys, openExistingStore, func(d *desk, cmd *cobra.Command, _ []string) error {
		a, err := d.find(cmd.Context(), name)
		if err != nil {
			return err
		}
		if a.Disabled {
			fmt.Fprintf(sys.stderr, "%s is disabled and cannot log in; this is what the account could do otherwise\n", a.Username)
		}
		s = policy.Subject{ID: a.ID, Username: a.Username, Roles: a.Roles, Fields: a.Fields}
		if a.EmailVerified {
			s.Email = a.Email
		}
		return nil
	})
	return s, look(cmd, nil)
}

// explained is a decision and the way to it, as it is printed.
type explained struct {
	Method   string    `json:"method"`
	Host     string    `json:"host"`
	Path     string    `json:"path"`
	As       string    `json:"as"`
	Client   string    `json:"client"`
	Readings []string  `json:"readings"`
	Steps    []stepRow `json:"steps"`
	Decision string    `json:"decision"` // allow | deny | challenge | observe, as in the access log
	Reason   string    `json:"reason"`
	Rule     string    `json:"rule"` // that decided; empty: none did
	Why      string    `json:"why"`
}

// stepRow is one route or rule that was looked at.
type stepRow struct {
	Place   string `json:"place"`
	Part    string `json:"part"` // route | deny | allow
	Text    string `json:"text"`
	Reading string `json:"reading"` // empty: the path as it was sent
	Hit     bool   `json:"hit"`
	Why     string `json:"why"`
}

// explainRequest decides a request by the table, and says why.
func explainRequest(file *config.File, table *policy.Table, r policy.Request, caller policy.Caller) explained {
	path, bad := policy.ParsePath(r.Path)
	if bad == nil && isOwn(file, r.Method, r.Path) {
		return explained{
			Method: r.Method, Host: r.Host, Path: r.Path, As: describeSubject(caller.Subject), Client: addressOf(caller),
			Readings: []string{r.Path}, Steps: []stepRow{}, Decision: "allow", Reason: ownRoute,
			Why: "this is an endpoint of the gateway's own (auth.prefix, auth.aliases), answered before any route is looked for",
		}
	}
	x := table.Explain(r.Method, r.Host, path, caller)
	e := explained{
		Method: r.Method, Host: r.Host, Path: r.Path, As: describeSubject(caller.Subject), Client: addressOf(caller),
		Readings: nonNil(x.Readings), Decision: decisionWord(x.Decision), Reason: string(x.Decision.Reason), Why: x.Why,
		Steps: []stepRow{},
	}
	if bad != nil {
		e.Why = bad.Error()
	}
	if x.Decision.Rule.Line > 0 {
		e.Rule = x.Decision.Rule.String()
	}
	for _, s := range x.Steps {
		place := s.Rule
		if s.Part == "route" {
			place = s.Route.Pos
		}
		e.Steps = append(e.Steps, stepRow{place.String(), s.Part, s.Text, s.Reading, s.Hit, strings.ReplaceAll(s.Why, strconv.Quote(somebody), "not known")})
	}
	return e
}

// isOwn tells whether a request is for one of the gateway's own endpoints.
func isOwn(file *config.File, method, path string) bool {
	prefix := file.WebConfig().Prefix
	for of, alias := range file.WebConfig().Places() {
		if path == alias && (method == of || method == http.MethodHead && of == http.MethodGet) {
			return true
		}
	}
	return path == prefix || strings.HasPrefix(path, prefix+"/") || web.WellKnown(path)
}

// addressOf is the client's address, or empty where it is not known.
func addressOf(c policy.Caller) string {
	if !c.Client.IsValid() {
		return ""
	}
	return c.Client.String()
}

// decisionWord names a decision as logs and metrics do.
func decisionWord(d policy.Decision) string {
	switch {
	case d.Observed:
		return "observe"
	case d.Effect == policy.Allow:
		return "allow"
	case d.Effect == policy.Challenge:
		return "challenge"
	}
	return "deny"
}

// describeSubject names who asks.
func describeSubject(s policy.Subject) string {
	name := s.Username
	switch {
	case name == "" && s.ID == "" && len(s.Roles) == 0:
		return "nobody"
	case name == "":
		name = "somebody"
	}
	if len(s.Roles) == 0 {
		return name + " without a role"
	}
	return name + " with " + strings.Join(s.Roles, ", ")
}

// print writes an explanation for a person, the decision last, or as JSON.
func (e explained) print(sys *system, form outputForm) error {
	if form == "json" {
		return writeJSON(sys.stdout, e)
	}
	fmt.Fprintf(sys.stdout, "%s %s%s as %s from %s\n\n", visible(e.Method), visible(e.Host), visible(e.Path), visible(e.As), orUnknown(e.Client))
	if len(e.Readings) > 1 {
		fmt.Fprintf(sys.stdout, "The path can be read as %s. The strictest decision counts.\n\n", strings.Join(e.Readings, ", "))
	}
	if len(e.Steps) > 0 {
		err := printList(sys.stdout, form, e.Steps, []string{"PLACE", "PART", "WHAT", "RESULT", "WHY"}, stepRow.cells)
		if err != nil {
			return err
		}
		fmt.Fprintln(sys.stdout)
	}
	_, err := fmt.Fprintf(sys.stdout, "decision: %s (%s): %s\n", e.Decision, e.Reason, e.Why)
	return err
}

// cells are a step's columns; the reading stands with the reason where a path has
// more than one.
func (s stepRow) cells() []string {
	result, why := "miss", s.Why
	if s.Hit {
		result = "hit"
	}
	if s.Reading != "" {
		why = "read as " + s.Reading + ": " + why
	}
	return []string{s.Place, s.Part, s.Text, result, why}
}

// orUnknown stands for the address of who came through a unix socket.
func orUnknown(text string) string {
	if text == "" {
		return "an unknown address"
	}
	return text
}

// visible keeps what a client sent from speaking to the terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// fieldsOf completes a subject with what the store has of it today, where it
// can be read: a record has neither fields nor an address.
func fieldsOf(ctx context.Context, file *config.File, s *policy.Subject) {
	store := peek(ctx, file)
	if store == nil || s.ID == "" {
		return
	}
	defer store.Close()
	a, err := store.Account(ctx, s.ID)
	if err != nil {
		return
	}
	s.Fields = a.Fields
	if a.EmailVerified {
		s.Email = a.Email
	}
}
