package config

import (
	"bytes"
	"os"
	"reflect"
	"regexp"
	"testing"

	"github.com/posternhq/postern/policy"
)

func TestTheReferenceIsTheRepositorysOwnFile(t *testing.T) {
	root, err := os.ReadFile("../../gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(root, Reference()) {
		t.Error("gateway/config/reference.yaml is not gateway.yaml: copy it (cp gateway.yaml gateway/config/reference.yaml)")
	}
}

func TestTheReferenceLoadsAsItStandsWithoutAFinding(t *testing.T) {
	file, findings := Check(Source{Path: "gateway.yaml", Data: Reference()})
	for _, f := range findings {
		t.Errorf("%s", f)
	}
	if file == nil || len(file.Upstreams) != 1 || len(file.Routes) == 0 {
		t.Fatalf("got %+v", file)
	}
}

// uncommented is the reference with every key in force that it shows commented
// out: after the # a key, or two or four spaces and a key below it. Examples
// among the words have three.
func uncommented() []byte {
	return regexp.MustCompile(`(?m)^( *)#([^ \n]|  [^ \n]|    [^ \n])`).ReplaceAll(Reference(), []byte("$1$2"))
}

// sections are the top keys of a file, each with all below it and without what
// explains it: the fuzzer gets farther with something short.
func sections(file []byte) []string {
	bare := regexp.MustCompile(`(?m)^ *#.*\n|^\n`).ReplaceAllString(string(file), "")
	return regexp.MustCompile(`(?m)^\w.*\n( .*\n)*`).FindAllString(bare, -1)
}

func TestWhatTheReferenceShowsCommentedOutAreTheDefaults(t *testing.T) {
	short, long := mustLoad(t, Source{Data: Reference()}), mustLoad(t, Source{Data: uncommented()})
	for i := range long.Identity.Headers {
		long.Identity.Headers[i].Pos = policy.Pos{}
	}
	for _, pair := range []struct{ short, long any }{
		{short.Store, long.Store}, {short.Identity.Headers, long.Identity.Headers}, {short.Identity.Assertion, long.Identity.Assertion},
		{short.Identity.Basic, long.Identity.Basic}, {short.Identity.LegacyToken.Header, long.Identity.LegacyToken.Header}, {short.Identity.LegacyToken.Algorithm, long.Identity.LegacyToken.Algorithm},
		{short.Identity.LegacyToken.SecretEncoding, long.Identity.LegacyToken.SecretEncoding}, {short.Identity.LegacyToken.TTL, long.Identity.LegacyToken.TTL}, {short.Log, long.Log}, {short.Admin, long.Admin},
		{short.Auth.Accounts.AccessToken, long.Auth.Accounts.AccessToken}, {short.Auth.Accounts.RefreshToken, long.Auth.Accounts.RefreshToken},
		{short.Auth.Accounts.Password, long.Auth.Accounts.Password}, {short.Auth.Accounts.Lockout, long.Auth.Accounts.Lockout},
		{short.Auth.Accounts.Registration.DefaultRoles, long.Auth.Accounts.Registration.DefaultRoles}, {short.Auth.Accounts.IDFormat, long.Auth.Accounts.IDFormat},
		{short.Auth.Accounts.MigrateFrom.DefaultRoles, long.Auth.Accounts.MigrateFrom.DefaultRoles}, {short.Auth.Accounts.MigrateFrom.Timeout, long.Auth.Accounts.MigrateFrom.Timeout},
		{short.Auth.Accounts.Audience, long.Auth.Accounts.Audience}, {short.Auth.Web.Prefix, long.Auth.Web.Prefix},
		{short.Auth.Web.TokenSources, long.Auth.Web.TokenSources}, {short.Auth.Web.Cookie, long.Auth.Web.Cookie},
	} {
		if !reflect.DeepEqual(pair.short, pair.long) {
			t.Errorf("commented out, the reference shows\n%+v\nthe default is\n%+v", pair.long, pair.short)
		}
	}
	if _, findings := Check(Source{Path: "gateway.yaml", Data: uncommented()}); len(findings) != 0 {
		t.Errorf("with everything uncommented: %v", findings)
	}
}

func TestTheReferenceTellsOfEveryKey(t *testing.T) {
	missing := func(s *shape, path string) {}
	missing = func(s *shape, path string) {
		for _, f := range s.fields {
			if !regexp.MustCompile(`(?m)[\s#{]` + f.name + `(_file)?:`).MatchString(reference) {
				t.Errorf("gateway.yaml does not tell of %s", join(path, f.name))
			}
			below := f.shape
			if below.kind == list {
				below = below.item
			}
			if below.kind == object {
				missing(below, join(path, f.name))
			}
		}
	}
	missing(fileShape(), "")
}
