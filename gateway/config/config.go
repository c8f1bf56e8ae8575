package config

import (
	"crypto/sha256"
	"reflect"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/web"
	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/policy"
)

// File is gateway.yaml, read: the file itself, with the environment and the
// flags over it and the defaults under it.
type File struct {
	Path           string            `yaml:"-"` // of the file that was read; empty: none
	Digest         [sha256.Size]byte `yaml:"-"` // of its content
	gateway.Config `yaml:",inline"`
	Store          StoreConfig   `yaml:"store"`
	Auth           Auth          `yaml:"auth"`
	Routes         []Route       `yaml:"routes"`
	Tests          []policy.Test `yaml:"tests"` // of the policy; run by Check
}

// StoreConfig says where accounts, sessions and keys are kept. Paths are
// relative to the working directory of the process, as in all of the file.
type StoreConfig struct {
	Driver    string `yaml:"driver"`            // sqlite
	Path      string `yaml:"path"`              // of the embedded database
	DSN       string `yaml:"dsn,secret"`        // of a database server
	ListenDSN string `yaml:"listen_dsn,secret"` // the same, past a transaction pooler
	KeyFile   string `yaml:"key_file"`          // the master key
}

// Auth is the section auth, of which two packages take their keys.
type Auth struct {
	Accounts auth.Config `yaml:",inline"`
	Web      web.Config  `yaml:",inline"`
}

// Route is an entry of routes: who may pass, and how it is then carried.
type Route struct {
	policy.Route         `yaml:",inline"`
	gateway.RouteOptions `yaml:",inline"`
}

// defaults is the configuration of an empty file. It has no upstream and no
// route, and so lets nothing through.
func defaults() *File {
	return &File{
		Config: gateway.DefaultConfig(),
		Store:  StoreConfig{Driver: "sqlite", Path: "postern.db", KeyFile: "postern.key"},
		Auth:   Auth{Accounts: auth.DefaultConfig(), Web: web.DefaultConfig()},
	}
}

// fileShape is the shape of the whole file. It is derived anew for every load,
// in a fraction of a millisecond, so that there is no state to share.
func fileShape() *shape { return shapeOf(reflect.TypeFor[File]()) }

// GatewayConfig is what package gateway takes of the file.
func (f *File) GatewayConfig() gateway.Config { return f.Config }

// AuthConfig is what package auth takes of the file. The issuer defaults to
// the public URL; the longest life of an access token is the aliases',
// there is a key for assertions where there are any, and the upstreams under
// provision are told of accounts.
func (f *File) AuthConfig() auth.Config {
	c := f.Auth.Accounts
	c.Assertions = f.Identity.Assertion.Enabled
	if c.Issuer == "" {
		c.Issuer = f.PublicURL
	}
	c.LongestAccess = f.Auth.Web.LongestAccess()
	c.Subscribers = f.Config.Subscribers()
	return c
}

// WebConfig is what package auth/web takes of the file.
func (f *File) WebConfig() web.Config { return f.Auth.Web }

// RouteOptions are the routes' options, in the order of Policy's routes.
func (f *File) RouteOptions() []gateway.RouteOptions {
	all := make([]gateway.RouteOptions, len(f.Routes))
	for i := range f.Routes {
		all[i] = f.Routes[i].RouteOptions
	}
	return all
}

// Policy is what package policy compiles: the routes, and all that the rest
// of the file says they may refer to.
func (f *File) Policy() policy.Config {
	c := policy.Config{Roles: f.Auth.Accounts.Roles}
	for i := range f.Routes {
		c.Routes = append(c.Routes, f.Routes[i].Route)
	}
	for _, u := range f.Upstreams {
		c.Upstreams = append(c.Upstreams, policy.Upstream{Name: u.Name, Router: u.Router, MethodOverride: u.MethodOverride})
	}
	for _, p := range f.Auth.Accounts.Profile.Fields {
		c.Fields = append(c.Fields, policy.Field{Name: p.Name, Editable: p.Editable})
	}
	for method, path := range f.Auth.Web.Places() {
		c.Taken = append(c.Taken, policy.Place{Method: method, Path: path})
	}
	return c
}
