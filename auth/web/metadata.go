package web

import (
	"net/http"
	"net/url"
)

// metadataPath is where OAuth clients look for the endpoints (RFC 8414).
const metadataPath = "/.well-known/oauth-authorization-server"

// metadata is the document of RFC 8414 section 2: what there is, and nothing
// else. There is no authorization endpoint, so response_types_supported, which
// must be there, is empty.
type metadata struct {
	Issuer                string   `json:"issuer"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	JWKS                  string   `json:"jwks_uri"`
	GrantTypes            []string `json:"grant_types_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	Documentation         string   `json:"service_documentation"`
}

// newMetadata fills in where the endpoints are as clients see them. The issuer
// is added to each answer: it is the service's, exact to the byte, as clients
// compare it with the iss of tokens.
func newMetadata(c Config, publicURL *url.URL) metadata {
	site := publicURL.Scheme + "://" + publicURL.Host
	return metadata{
		TokenEndpoint:         site + c.Prefix + "/token",
		RevocationEndpoint:    site + c.Prefix + "/revoke",
		IntrospectionEndpoint: site + c.Prefix + "/introspect",
		JWKS:                  site + jwksPath,
		GrantTypes:            []string{grantPassword, grantRefresh},
		ResponseTypes:         []string{},
		TokenAuth:             []string{"none"},
		RevocationAuth:        []string{"none"},
		IntrospectionAuth:     []string{"Bearer"}, // of the access token types, as section 2 allows
		Documentation:         site + c.Prefix + "/docs",
	}
}

// describeServer answers the metadata. They are everybody's, and change with the
// configuration alone.
func (h *Handler) describeServer(w http.ResponseWriter, r *http.Request) {
	m := h.metadata
	m.Issuer = h.service.Issuer()
	w.Header().Set("Cache-Control", "public, max-age=300")
	writeJSON(w, r, m)
}
