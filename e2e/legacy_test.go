package e2e

import (
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// legacyPage is a page of an application that was written when logins lasted
// for ever: forms, an upload, and scripts that expect an answer.
const legacyPage = `<!doctype html><title>legacy</title>
<form id=note method=post action=/app/save?from=form><input name=note><input type=hidden name=umlaut value="ä &amp; ö"><button>save</button></form>
<form id=file method=post action=/app/upload enctype=multipart/form-data><input type=file name=file><input name=about value=me><button>send</button></form>
<script>
async function ask(method, target, body) {
	const r = await fetch(target, body === null ? { method } : { method, body, headers: { "Content-Type": "application/json" } })
	document.title = r.status + " " + await r.text()
}
</script>`

// TestALegacyPageNeverNoticesThatItsTokenExpired: what such a page sends is
// whole when it arrives, once, with its method, its type and its body, though
// the gateway had to get another token first. In a real browser, over plain
// http, where it says nothing of who made a request, and over https.
func TestALegacyPageNeverNoticesThatItsTokenExpired(t *testing.T) {
	t.Parallel()
	for _, public := range []string{"http://legacy.test", "https://legacy.test"} {
		t.Run(public, func(t *testing.T) {
			l := startLegacy(t, map[string]string{"/app/page": legacyPage})
			g, site := publish(t, l, public, "  access_token: { ttl: 2s }\n")
			b := startBrowser(t)
			b.open(site + "/auth/login?rd=/app/page")
			b.login("alice")
			b.at("/app/page", "")
			expire := func() {
				t.Helper()
				if kind := b.script("return document.contentType"); kind != "text/html" {
					t.Fatalf("the page is %v at %s", kind, b.url())
				}
				time.Sleep(3 * time.Second)
			}
			for _, sent := range []struct{ method, body string }{{"POST", `{"a":"ä","list":[1,2]}`}, {"PUT", strings.Repeat("x", 200<<10)}} {
				expire()
				b.call("POST", "/execute/sync", map[string]any{"script": "ask(...arguments)", "args": []any{sent.method, "/app/api?by=fetch", sent.body}}, nil)
				l.once(t, sent.method, "/app/api?by=fetch", "application/json", sent.body)
				eventually(t, "the script has its answer", func() bool { return b.script("return document.title") == "200 ok" })
				l.forget()
			}
			expire()
			b.fill("#note input[name=note]", "a & b = ü")
			b.click("#note button")
			l.once(t, "POST", "/app/save?from=form", "application/x-www-form-urlencoded", url.Values{"note": {"a & b = ü"}, "umlaut": {"ä & ö"}}.Encode())
			b.at("/app/save?from=form", "ok")

			b.open(site + "/app/page")
			expire()
			content := make([]byte, 900<<10)
			for i := range content {
				content[i] = byte(rand.IntN(256))
			}
			path := filepath.Join(t.TempDir(), "holiday.bin")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			b.fill("#file input[type=file]", path)
			b.click("#file button")
			a := l.once(t, "POST", "/app/upload", "multipart/form-data", "")
			judgeUpload(t, a, content)
			b.at("/app/upload", "ok")
			eventually(t, "a refresh for each", func() bool { return len(g.audit("refresh")) >= 4 })
			if lines := append(g.audit("refresh_failed"), g.audit("refresh_reused")...); len(lines) > 0 {
				t.Errorf("refused refreshes: %v", lines)
			}
		})
	}
}

// once waits for the one request to a target, and compares it; the body is not
// compared where none is given.
func (l *legacy) once(t *testing.T, method, target, kind, body string) arrival {
	t.Helper()
	eventually(t, method+" "+target, func() bool { return len(l.arrived(target)) > 0 })
	all := l.arrived(target)
	a := all[0]
	if len(all) > 1 || a.method != method || a.user != "alice" || !strings.HasPrefix(a.kind, kind) || (body != "" && a.body != body) {
		t.Errorf("%d requests, the first %s by %q as %q: %.200q\nwant one %s as %q: %.200q", len(all), a.method, a.user, a.kind, a.body, method, kind, body)
	}
	return a
}

// forget forgets the requests that arrived.
func (l *legacy) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = nil
}

// judgeUpload reads a multipart body as the application would.
func judgeUpload(t *testing.T, a arrival, content []byte) {
	t.Helper()
	_, params, err := mime.ParseMediaType(a.kind)
	if err != nil {
		t.Fatal(err)
	}
	form, err := multipart.NewReader(strings.NewReader(a.body), params["boundary"]).ReadForm(2 << 20)
	if err != nil {
		t.Fatalf("the upload is broken: %v", err)
	}
	defer form.RemoveAll()
	if len(form.File["file"]) != 1 || form.Value["about"][0] != "me" {
		t.Fatalf("the upload holds %v and %v", form.Value, form.File)
	}
	file, err := form.File["file"][0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got, err := io.ReadAll(file); err != nil || string(got) != string(content) || form.File["file"][0].Filename != "holiday.bin" {
		t.Errorf("%d bytes of %q arrived, %v; %d were sent", len(got), form.File["file"][0].Filename, err, len(content))
	}
}

// TestABrowserThatDropsTheCookieIsToldSo: something on the way keeps the fresh
// access cookie from the browser. It is not sent round for ever but to the
// login page, which says what is wrong.
func TestABrowserThatDropsTheCookieIsToldSo(t *testing.T) {
	t.Parallel()
	l := startLegacy(t, nil)
	g, _ := publish(t, l, "http://127.0.0.1", "  access_token: { ttl: 2s }\n")
	target, err := url.Parse("http://" + g.addr)
	if err != nil {
		t.Fatal(err)
	}
	var dropping atomic.Bool
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = target.Host },
		ModifyResponse: func(r *http.Response) error {
			if dropping.Load() && r.Request.URL.Path == "/auth/refresh" {
				cookies := r.Header["Set-Cookie"]
				r.Header.Del("Set-Cookie")
				for _, c := range cookies {
					if !strings.HasPrefix(c, "postern=") {
						r.Header.Add("Set-Cookie", c)
					}
				}
			}
			return nil
		},
	})
	defer proxy.Close()
	g.amend("public_url: http://"+g.addr, "public_url: "+proxy.URL)
	b := startBrowser(t)
	b.open(proxy.URL + "/auth/login?rd=/app/home")
	b.login("alice")
	b.at("/app/home", "ok")
	time.Sleep(3 * time.Second)
	dropping.Store(true)
	b.open(proxy.URL + "/app/home?again")
	b.at("/auth/login?error=cookies&rd=%2Fapp%2Fhome%3Fagain", "does not keep this site's cookies")
	dropping.Store(false)
	b.login("alice")
	b.at("/app/home?again", "ok")
}

// TestABrowserWithoutCookiesComesToRest: it cannot be logged in, but it is not
// sent round and round either.
func TestABrowserWithoutCookiesComesToRest(t *testing.T) {
	t.Parallel()
	l := startLegacy(t, nil)
	_, site := publish(t, l, "http://127.0.0.1", "")
	b := openBrowser(t, t.TempDir(), map[string]any{"profile.default_content_setting_values.cookies": 2})
	b.open(site + "/app/home")
	b.at("/auth/login?rd=%2Fapp%2Fhome", "Password")
	b.login("alice")
	b.at("/auth/login?rd=%2Fapp%2Fhome", "Password")
	if got := l.arrived("/app"); len(got) > 0 {
		t.Errorf("the application was asked: %v", got)
	}
}
