package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/policy"
)

// Check reads a configuration, asks every package about its part of it, compiles
// the policy, and where that is good runs the file's own tests of it. All
// findings come at once, in the order of the file; the File is nil when one of
// them is an error, and a test that fails is one.
func Check(src Source) (*File, []Finding) {
	file, d := load(src)
	d.checkStore(file.Store)
	d.checkGateway(file)
	d.checkAuth(file)
	d.checkSharedLogin(file)
	d.checkIdentity(file)
	d.checkRoutes(file)
	if table := d.checkPolicy(file); table != nil && !Failed(d.findings) {
		d.checkProvision(file, table)
		d.findings = append(d.findings, RunTests(table, file.Tests)...)
	}
	return outcome(file, d.findings)
}

// CheckAccounts is Check for the commands that work on the store alone: they
// need no upstream and no route, but must not work on another store, or under
// other rules for accounts, than the gateway.
func CheckAccounts(src Source) (*File, []Finding) {
	file, d := load(src)
	d.checkStore(file.Store)
	d.checkAuth(file)
	d.take(file.Config.ValidateProvision()) // what changes is told
	return outcome(file, d.findings)
}

// CheckFiles looks into the certificates' and keys' files that a configuration
// names, which Check does not: see gateway.Config.ExamineFiles. It finds nothing
// else, so the configuration should be one that Check finds good.
func CheckFiles(src Source, now time.Time, here bool) []Finding {
	file, d := load(src)
	d.findings = nil
	d.take(file.Config.ExamineFiles(now, here))
	return sortFindings(d.findings)
}

// CheckPolicy is Check for the commands that look at the policy alone. It runs
// no tests: to explain a decision helps most while they fail.
func CheckPolicy(src Source) (*File, []Finding) {
	file, d := load(src)
	d.checkPolicy(file)
	return outcome(file, d.findings)
}

// take adds what package gateway says.
func (d *decoder) take(faults []gateway.Fault) {
	for _, f := range faults {
		d.judge(f.Path, f.Message, f.Warning)
	}
}

// fault adds an error about the value of a key.
func (d *decoder) fault(path, message string) { d.judge(path, message, false) }

// warn adds a warning about the value of a key.
func (d *decoder) warn(path, message string) { d.judge(path, message, true) }

// judge adds what is said of the value of a key, unless that value, or something
// inside it, could not be read: then a gap was judged.
func (d *decoder) judge(path, message string, warning bool) {
	path = dotted.ReplaceAllString(path, "[$1]")
	if d.blurred(path) {
		return
	}
	finding := at(d.place(path), "%s: %s", path, message)
	if finding.File == upstreamFlag {
		finding.Message = message // the flag names the value well enough
	}
	finding.Warning = warning
	d.findings = append(d.findings, finding)
}

// dotted is a list position as some write it: upstreams.0.urls.
var dotted = regexp.MustCompile(`\.(\d+)\b`)

// broken are the paths of all that could not be read.
func (d *decoder) broken() map[string]bool {
	all := maps.Clone(d.failed)
	maps.Copy(all, d.unknown)
	return all
}

// within tells whether path is below other.
func within(path, other string) bool {
	return strings.HasPrefix(path, other+".") || strings.HasPrefix(path, other+"[") || other == "" && path != ""
}

// place is where a key stands: itself, or for one that is not in the file the
// nearest thing around it that is.
func (d *decoder) place(path string) policy.Pos {
	for ; path != ""; path = parent(path) {
		if pos, ok := d.places[path]; ok {
			return pos
		}
	}
	return policy.Pos{File: d.file}
}

// checkGateway asks the package gateway about its keys and the routes' options.
func (d *decoder) checkGateway(file *File) {
	d.take(file.Config.Validate(file.RouteOptions()))
}

// checkAuth asks the two packages behind the section auth.
func (d *decoder) checkAuth(file *File) {
	faults := append(file.Auth.Accounts.Validate(), file.Auth.Web.Validate()...)
	if u, err := url.Parse(file.PublicURL); err == nil {
		faults = append(faults, file.Auth.Web.ValidateFor(u)...)
	}
	for _, fault := range faults {
		if strings.HasPrefix(fault.Path, "registration.") && d.blurred("auth.roles") {
			continue // which roles there are is not known
		}
		if budget := file.Auth.Accounts.Password.MemoryBudget; fault.Path == "password.memory_budget" && budget > 0 && budget < 1<<14 {
			fault.Message = fmt.Sprintf("needs a unit, %d alone are bytes: write %dMiB", budget, budget)
		}
		d.fault("auth."+fault.Path, fault.Message)
	}
	d.checkRegistration(file)
	d.checkMigration(file)
	d.checkAliases(file)
}

// checkSharedLogin warns of hosts that are answered and cannot share the login: a
// browser keeps no cookie for a domain that the host is not inside.
func (d *decoder) checkSharedLogin(file *File) {
	domain := file.Auth.Web.Cookie.Domain
	if domain == "" {
		return
	}
	for i, host := range file.Config.Hosts {
		name := strings.ToLower(host)
		if bare, _, err := net.SplitHostPort(name); err == nil {
			name = bare
		}
		if name != domain && !strings.HasSuffix(name, "."+domain) {
			d.warn(fmt.Sprintf("hosts[%d]", i), fmt.Sprintf("%s is outside auth.cookie.domain (%s): browsers drop the login's cookies there, "+
				"so only tokens in headers work at it; run a gateway of its own for it, or take it out", host, domain))
		}
	}
}

// checkPolicy compiles the policy. Where the upstreams or fields that a rule
// may name could not be read, it says nothing: every rule would be wrong. Where
// the roles could not be, every role that is named counts as one, so that all
// else is still judged. It returns nil for a policy that does not compile.
func (d *decoder) checkPolicy(file *File) *policy.Table {
	if d.blurred("upstreams") || d.blurred("auth.profile") {
		return nil
	}
	spoilt := make(map[policy.Pos]bool)
	for path := range d.broken() {
		for ; path != ""; path = parent(path) {
			spoilt[d.places[path]] = true
		}
	}
	conf := file.Policy()
	if d.blurred("auth.roles") {
		conf.Roles = rolesNamed(conf.Routes, file.Tests)
	}
	table, findings := policy.Compile(conf)
	for _, f := range append(findings, policy.CheckTests(file.Tests, conf)...) {
		if !spoilt[f.Pos] {
			d.findings = append(d.findings, ofPolicy(f))
		}
	}
	return table
}

// rolesNamed are the roles that rules and tests name.
func rolesNamed(routes []policy.Route, tests []policy.Test) []string {
	var roles []string
	for i := range routes {
		for _, rule := range slices.Concat(routes[i].Allow, routes[i].Deny) {
			roles = slices.Concat(roles, []string{rule.Role}, rule.AnyRole, rule.AllRoles)
		}
	}
	for _, test := range tests {
		if test.As != nil {
			roles = append(roles, test.As.Roles...)
		}
	}
	return roles
}

// ofPolicy is a finding of the compiler as one of the file.
func ofPolicy(f policy.Finding) Finding {
	return Finding{f.Pos.File, f.Pos.Line, f.Pos.Column, f.Message, f.Warning}
}

// blurred tells whether the value of a key is not known for certain: it, or
// something around or inside it, could not be read, or its name may be the one
// that is misspelt.
func (d *decoder) blurred(key string) bool {
	for path := range d.failed {
		if path == key || within(path, key) || within(key, path) {
			return true
		}
	}
	for path := range d.unknown {
		if path == key || within(path, key) {
			return true
		}
	}
	around := key
	for around != "" && !d.has(around) {
		around = parent(around)
	}
	return d.unknown[around]
}

// checkStore judges the section that no other package reads.
func (d *decoder) checkStore(c StoreConfig) {
	switch {
	case c.Driver == "postgres":
		d.fault("store.driver", "postgres comes with a later version of Postern; use sqlite")
	case c.Driver != "sqlite":
		d.fault("store.driver", "must be sqlite")
	case c.DSN != "":
		d.fault("store.dsn", "is for postgres, which comes with a later version of Postern; leave it out")
	case c.ListenDSN != "":
		d.fault("store.listen_dsn", "is for postgres, which comes with a later version of Postern; leave it out")
	}
	if c.Path == "" {
		d.fault("store.path", "must name the file of the database")
	}
	if c.KeyFile == "" {
		d.fault("store.key_file", "must name the file of the master key")
	}
}
