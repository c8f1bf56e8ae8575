package gateway

import (
	"time"

	"golang.org/x/crypto/acme"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/policy"
)

// Config is the part of gateway.yaml that says where the gateway listens,
// whom it believes and what lies behind it. Routes are policy's and
// RouteOptions', accounts are auth's, the store is the wiring's.
type Config struct {
	Listen         string      `yaml:"listen"`          // host:port, or unix:/path
	PublicURL      string      `yaml:"public_url"`      // as browsers see it
	Hosts          []string    `yaml:"hosts"`           // Host values answered beside public_url's; empty: any
	TrustedProxies []string    `yaml:"trusted_proxies"` // CIDRs, addresses, or unix
	Admin          Admin       `yaml:"admin"`
	TLS            TLS         `yaml:"tls"`
	H2C            bool        `yaml:"h2c"` // HTTP/2 without TLS, for clients that begin with it
	Limits         Limits      `yaml:"limits"`
	Shutdown       Shutdown    `yaml:"shutdown"`
	Log            Log         `yaml:"log"`
	Upstreams      []Upstream  `yaml:"upstreams"`
	Identity       Identity    `yaml:"identity"`
	Provision      []Provision `yaml:"provision"` // who is told of what becomes of accounts
}

// Admin is the listener for probes and metrics. It is never the public one.
type Admin struct {
	Listen string `yaml:"listen"` // empty: none
	PProf  bool   `yaml:"pprof"`  // /debug/pprof/ as well
}

// TLS makes the public listener speak HTTPS when both files are named, or
// domains to fetch certificates for.
type TLS struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// ClientCAFile has the authorities (PEM) whose certificates prove who a client
	// is, for the policy's client_cert; empty: no client is asked for one.
	ClientCAFile string `yaml:"client_ca_file"`
	ACME         ACME   `yaml:"acme"`
}

// ACME has certificates fetched from a certificate authority (CA), and renewed
// (RFC 8555). It takes the place of CertFile and KeyFile.
type ACME struct {
	Domains      []string `yaml:"domains"`       // the names to fetch for, and no others; empty: off
	Email        string   `yaml:"email"`         // for the CA to write to
	CacheDir     string   `yaml:"cache_dir"`     // where they are kept; empty: in the store
	DirectoryURL string   `yaml:"directory_url"` // the CA's; default Let's Encrypt
	CAFile       string   `yaml:"ca_file"`       // whom the CA itself is believed by (PEM); empty: as the system has it
	HTTPListen   string   `yaml:"http_listen"`   // for challenges over HTTP, and redirects to https; empty: none
}

// Enabled tells whether certificates are fetched.
func (a *ACME) Enabled() bool { return len(a.Domains) > 0 }

// Limits bound what all clients together take, and how long one may keep the
// gateway waiting.
type Limits struct {
	Connections int `yaml:"connections"` // of the public listener, at once; zero: as many as the system gives
	// ConnectionsPerClient is how many of them one client may have. That is an
	// address, or an IPv6 /64; behind a trusted proxy who that says in PROXY
	// protocol, and the proxy's own connections do not count. Zero: no limit.
	ConnectionsPerClient int `yaml:"connections_per_client"`
	// ClientIdle is for how long a client may send nothing more of a body that is
	// waited for, or take nothing more of an answer that is there. An application
	// that says nothing is not the client's fault, and not meant.
	ClientIdle time.Duration `yaml:"client_idle"` // zero: the default
}

// Shutdown says how the gateway ends. A reload changes it.
type Shutdown struct {
	Delay   time.Duration `yaml:"delay"`   // between /readyz failing and the last new connection
	Timeout time.Duration `yaml:"timeout"` // after that, for requests under way to end
}

// Log says how much is logged, and in which form.
type Log struct {
	Level  string `yaml:"level"`  // debug | info | warn | error
	Format string `yaml:"format"` // auto | json | text
	Access bool   `yaml:"access"` // a line for each request; default true
	File   string `yaml:"file"`   // in place of standard output; empty: there
	// AuditFile has the audit log to itself; empty: it is part of the log.
	AuditFile string `yaml:"audit_file"`
}

// Upstream is an application behind the gateway.
type Upstream struct {
	Pos            policy.Pos  `yaml:"-"`
	Name           string      `yaml:"name"`
	URLs           []string    `yaml:"urls,single"`
	Router         string      `yaml:"router"`          // how it reads paths, see policy.Upstream
	Authorization  string      `yaml:"authorization"`   // strip (default) | pass: Authorization belongs to the application
	MethodOverride bool        `yaml:"method_override"` // it heeds _method in a form, see policy.Upstream
	KeepHeaders    []string    `yaml:"keep_headers"`    // names with _ or . to let through
	Balance        string      `yaml:"balance"`         // least_connections (default) | round_robin: which of several urls a request goes to
	Transport      string      `yaml:"transport"`       // lean (default, see package lean) | standard: net/http's own
	Health         Health      `yaml:"health"`
	Timeouts       Timeouts    `yaml:"timeouts"`
	Host           string      `yaml:"host"`          // keep (default) | rewrite
	ForwardToken   bool        `yaml:"forward_token"` // hand the gateway's access token on as a bearer
	TLS            UpstreamTLS `yaml:"tls"`
}

// Health has the targets of an upstream asked whether they are well, beside
// what requests tell. An empty path asks nobody.
type Health struct {
	Path     string        `yaml:"path"`
	Interval time.Duration `yaml:"interval"` // default 5s
	Timeout  time.Duration `yaml:"timeout"`  // default 1s
}

// Timeouts bound the waiting for an upstream. Zero means the default.
type Timeouts struct {
	Dial           time.Duration `yaml:"dial"`            // default 2s
	ResponseHeader time.Duration `yaml:"response_header"` // default 30s
	Write          time.Duration `yaml:"write"`           // default 1m, in which it must take something of a body
	Idle           time.Duration `yaml:"idle"`            // default 90s, of a kept connection
}

// UpstreamTLS says how an https upstream is verified, and with which
// certificate the gateway presents itself to it.
type UpstreamTLS struct {
	CAFile     string `yaml:"ca_file"`
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
}

// Provision has an upstream told of what becomes of accounts.
type Provision struct {
	Upstream string        `yaml:"upstream"`      // by its name, at most once
	Path     string        `yaml:"path"`          // where it takes the events
	Secret   string        `yaml:"secret,secret"` // that they are signed with: whsec_ and base64, or the bytes themselves
	Events   []string      `yaml:"events"`        // of auth.AccountEvents; empty: all
	Timeout  time.Duration `yaml:"timeout"`       // of one try; default 10s
}

// RouteOptions is what a route asks of the gateway, beside what it says to the
// policy. It stands inline with policy.Route in the file.
type RouteOptions struct {
	CORS        *CORS         `yaml:"cors"`
	StripPrefix string        `yaml:"strip_prefix"` // cut from the path after the decision
	Rewrite     string        `yaml:"rewrite"`      // put in place of strip_prefix, or of the route's literal part, after the decision
	Timeout     time.Duration `yaml:"timeout"`      // of the whole exchange with the upstream; zero: none
	MaxBody     auth.Bytes    `yaml:"max_body"`     // zero: unlimited
	RateLimit   *RateLimit    `yaml:"rate_limit"`
}

// CORS says which other origins may use a route from a browser.
type CORS struct {
	Origins     []string      `yaml:"origins"`
	Methods     []string      `yaml:"methods"` // default: what the route allows
	Headers     []string      `yaml:"headers"`
	Credentials bool          `yaml:"credentials"`
	MaxAge      time.Duration `yaml:"max_age"`
}

// RateLimit bounds how often one caller may ask a route. It counts requests
// that the policy allows, in the memory of this instance.
type RateLimit struct {
	Per      string        `yaml:"per"`      // user: an account, or where nobody is logged in an address | client: an address
	Requests int           `yaml:"requests"` // at most, in one go
	Window   time.Duration `yaml:"window"`   // in which as many come back, evenly
}

// DefaultConfig is the configuration of an empty file. It has no upstream.
func DefaultConfig() Config {
	return Config{
		Listen:    "127.0.0.1:8080",
		PublicURL: "http://localhost:8080",
		Admin:     Admin{Listen: "127.0.0.1:9901"},
		Log:       Log{Level: "info", Format: "auto", Access: true},
		Limits:    Limits{ClientIdle: defaultClientIdle},
		Shutdown:  Shutdown{Timeout: 25 * time.Second},
		TLS:       TLS{ACME: ACME{DirectoryURL: acme.LetsEncryptURL}},
		Identity:  defaultIdentity(),
	}
}

// Fault is something wrong, or with Warning doubtful, with a configuration
// value. Path is the key's path in gateway.yaml, with list positions from
// zero: upstreams[0].urls.
type Fault struct {
	Path    string
	Message string
	Warning bool
}
