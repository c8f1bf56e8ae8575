package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCertificatesFilesAreRefusedByTheirPlace, wherever they are named, while
// Check reads none of them.
func TestCertificatesFilesAreRefusedByTheirPlace(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none.pem")
	for _, test := range []struct {
		yaml string
		env  []string
		want []string
	}{
		{"tls:\n  cert_file: " + none + "\n  key_file: " + dir + "\n", nil, []string{
			"gateway.yaml:2:14: warning: tls.cert_file: stat " + none + ": no such file or directory: where the gateway runs",
			"gateway.yaml:3:13: tls.key_file: read " + dir + ": is a directory"}},
		{"", []string{"POSTERN_TLS_CERT_FILE=" + dir, "POSTERN_TLS_KEY_FILE=" + dir}, []string{
			"POSTERN_TLS_CERT_FILE: tls.cert_file: read " + dir, "POSTERN_TLS_KEY_FILE: tls.key_file: read " + dir}},
		{"tls: { acme: { ca_file: " + dir + " } }\nupstreams:\n  - { name: app, urls: [https://a], tls: { ca_file: " + dir + " } }\n", nil, []string{
			"gateway.yaml:1:25: tls.acme.ca_file: read", "gateway.yaml:3:53: upstreams[0].tls.ca_file: read"}},
		{"tls: { cert_file: a.pem }\n", nil, nil}, // Check has said what is wrong
		{"", nil, nil},
	} {
		src := Source{Path: "gateway.yaml", Data: []byte(test.yaml), Env: test.env}
		found := CheckFiles(src, time.Now(), false)
		if len(found) != len(test.want) {
			t.Errorf("%s: %v", test.yaml, found)
			continue
		}
		for i, want := range test.want {
			if got := found[i].String(); !strings.HasPrefix(got, want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		if _, findings := Check(src); strings.Contains(fmt.Sprint(findings), dir) {
			t.Errorf("Check says %v", findings)
		}
	}
}
