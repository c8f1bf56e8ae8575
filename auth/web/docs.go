package web

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/posternhq/postern/gateway/problem"
)

// description is the OpenAPI description as it stands in the source: for the
// default prefix and public URL.
//
//go:embed openapi.yaml
var description string

// docsScript is all the script there is on a page of the gateway: it logs in,
// sends what the page's forms say, and shows what came back. It keeps the token
// in a variable, so that closing the page forgets it.
//
//go:embed pages/docs.js
var docsScript string

// docs is the description of this gateway's own endpoints, and its page.
type docs struct {
	text string
	page func() (problem.Page, error) // made when it is first asked for: few ever do, and each reload would
}

// newDocs fills the prefix and the public URL in.
func newDocs(c Config, publicURL *url.URL) docs {
	site := publicURL.Scheme + "://" + publicURL.Host
	access, _ := CookieNames(c, publicURL)
	text := strings.NewReplacer("\n  /auth/", "\n  "+c.Prefix+"/", "{prefix}", c.Prefix,
		"http://localhost:8080", site, "in: cookie, name: postern,", "in: cookie, name: "+access+",").Replace(description)
	return docs{text, sync.OnceValues(func() (problem.Page, error) { return docsPage(text, c.Prefix, site) })}
}

// docsPage makes the page. An error is a fault of the embedded description,
// found by its test.
func docsPage(text, prefix, site string) (problem.Page, error) {
	operations, err := parseOperations(text)
	if err != nil {
		return problem.Page{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	var content bytes.Buffer
	err = pages.ExecuteTemplate(&content, "docs.html", map[string]any{"Prefix": prefix, "Site": site, "Operations": operations})
	if err != nil {
		return problem.Page{}, fmt.Errorf("docs.html: %w", err)
	}
	return problem.Page{Title: "The endpoints", Content: template.HTML(content.String()), Script: docsScript}, nil
}

// operation is what the page shows of one method of one path.
type operation struct {
	Method, Path string
	Summary      string `yaml:"summary"`
	Description  string `yaml:"description"`
	Body         string // an example to begin with; empty: none is sent
	Form         bool   // the body is a form, not JSON
	Answers      []string
}

// operationNode is an operation as the description writes it.
type operationNode struct {
	operation   `yaml:",inline"`
	RequestBody struct {
		Content map[string]struct {
			Schema schemaNode `yaml:"schema"`
		} `yaml:"content"`
	} `yaml:"requestBody"`
	Responses yaml.Node `yaml:"responses"`
}

// schemaNode is as much of a schema as an example needs.
type schemaNode struct {
	Ref        string    `yaml:"$ref"`
	Required   []string  `yaml:"required"`
	Properties yaml.Node `yaml:"properties"`
}

// parseOperations reads the operations in the description's own order, which is
// the one that a reader wants; a map would lose it.
func parseOperations(text string) ([]operation, error) {
	var doc struct {
		Paths      yaml.Node `yaml:"paths"`
		Components struct {
			Schemas map[string]schemaNode `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	var all []operation
	for path, methods := range pairs(&doc.Paths) {
		for method, node := range pairs(methods) {
			if method == "parameters" {
				continue
			}
			var n operationNode
			if err := node.Decode(&n); err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			all = append(all, n.shown(strings.ToUpper(method), path, doc.Components.Schemas))
		}
	}
	return all, nil
}

// shown is the operation with an example of its body. JSON is preferred: a form
// would put tokens into cookies.
func (n *operationNode) shown(method, path string, schemas map[string]schemaNode) operation {
	o := n.operation
	o.Method, o.Path = method, path
	for status := range pairs(&n.Responses) {
		o.Answers = append(o.Answers, status)
	}
	content, isJSON := n.RequestBody.Content[jsonType]
	if !isJSON {
		content, o.Form = n.RequestBody.Content[formType]
	}
	if schema := content.Schema; isJSON || o.Form {
		if name, ok := strings.CutPrefix(schema.Ref, "#/components/schemas/"); ok {
			schema = schemas[name]
		}
		o.Body = schema.example(o.Form)
	}
	return o
}

// example is a body with every text that an operation can be given, to be
// filled in.
func (s schemaNode) example(form bool) string {
	var names []string
	for name, property := range pairs(&s.Properties) {
		var p struct {
			Type string `yaml:"type"`
		}
		if property.Decode(&p) == nil && p.Type == "string" && name != "rd" {
			names = append(names, name)
		}
	}
	if form {
		return strings.Join(names, "=&") + "="
	}
	if len(names) == 0 {
		return "{}"
	}
	return `{ "` + strings.Join(names, `": "", "`) + `": "" }`
}

// pairs are the keys and values of a mapping, in the order of the text.
func pairs(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

// openAPI answers the description. It is the same for everybody.
func (h *Handler) openAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, h.docs.text) // the client has gone: nobody is left to tell
	}
}

// docsPage shows the description, with a form to try each operation.
func (h *Handler) docsPage(w http.ResponseWriter, r *http.Request) {
	page, err := h.docs.page()
	if err != nil {
		h.fail(w, r, err)
		return
	}
	problem.WritePage(w, r, http.StatusOK, page)
}
