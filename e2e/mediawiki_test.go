package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"image"
	"image/png"
	"math/rand/v2"
	"mime/multipart"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mediawiki is where Debian has the wiki's files.
const mediawiki = "/var/lib/mediawiki"

// startWiki installs Debian's MediaWiki with a database of its own, gives it the
// recipe's settings, and runs it under Apache behind a gateway.
func startWiki(t *testing.T) (*gateway, app) {
	t.Helper()
	need(t, "php")
	apache := program(t, "apache2")
	php, err := filepath.Glob("/usr/lib/apache2/modules/libphp*.so")
	if _, missing := os.Stat(mediawiki + "/index.php"); err != nil || len(php) == 0 || missing != nil {
		lack(t, mediawiki+", or PHP for Apache")
	}
	// Apache works as another user when it is started by root, and that one must
	// get to its files: not below t.TempDir().
	dir, err := os.MkdirTemp("", "wiki-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	addr := freeAddr(t)
	mustTool(t, dir, nil, "mkdir", "data", "uploads")
	mustTool(t, dir, nil, "php", mediawiki+"/maintenance/install.php", "--dbtype", "sqlite", "--dbpath", dir+"/data", "--dbname", "wiki", "--confpath", dir,
		"--server", "http://"+addr, "--scriptpath", "", "--pass", "x-"+passwordOf("setup"), "Wiki", "Setup")
	g := prepareRecipe(t, "mediawiki", "https://wiki.example.com", "{URL}", "http://127.0.0.1:8090", "http://"+addr)
	writeWikiSettings(t, dir, "http://"+g.addr)
	conf := "ServerName localhost\nServerRoot " + dir + "\nPidFile pid\nErrorLog /dev/stderr\nKeepAlive Off\n"
	if os.Getuid() == 0 {
		conf += "User www-data\nGroup www-data\n"
		mustTool(t, dir, nil, "chown", "-R", "www-data:www-data", dir)
	}
	for module, file := range map[string]string{"mpm_prefork": "mod_mpm_prefork.so", "authz_core": "mod_authz_core.so", "alias": "mod_alias.so", "dir": "mod_dir.so",
		"access_compat": "mod_access_compat.so", "mime": "mod_mime.so", "php": filepath.Base(php[0])} {
		conf += "LoadModule " + module + "_module /usr/lib/apache2/modules/" + file + "\n"
	}
	conf += "TypesConfig /dev/null\nDirectoryIndex index.php\n<FilesMatch \"\\.php$\">\nSetHandler application/x-httpd-php\n</FilesMatch>\n" +
		"Alias /images " + dir + "/uploads\n<Directory " + dir + "/uploads>\nRequire all granted\n</Directory>\n" +
		recipe(t, "mediawiki/apache.conf", "127.0.0.1:8090", addr)
	if err := os.WriteFile(filepath.Join(dir, "apache.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	wiki := startApp(t, addr, dir, []string{"MW_CONFIG_FILE=" + dir + "/LocalSettings.php"}, apache, "-X", "-f", dir+"/apache.conf")
	g.addUser("alice", "user")
	g.addUser("root", "user", "admin")
	g.addUser("eve")
	return g.start(), wiki
}

// writeWikiSettings puts at the end of what the installer wrote what Postern.php
// says to put there, as it says it.
func writeWikiSettings(t *testing.T, dir, publicURL string) {
	t.Helper()
	text := recipe(t, "mediawiki/Postern.php")
	installed, err := os.ReadFile(dir + "/LocalSettings.php")
	if err != nil {
		t.Fatal(err)
	}
	settings := string(installed)
	for _, line := range regexp.MustCompile(`(?m)^//   (.*;)$`).FindAllStringSubmatch(text, -1) {
		settings += strings.Replace(line[1], "https://wiki.example.com", publicURL, 1) + "\n"
	}
	settings += "$wgEnableUploads = true;\n$wgUploadDirectory = '" + dir + "/uploads';\n"
	for name, content := range map[string]string{"Postern.php": text, "LocalSettings.php": settings} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// wikiUser is whom the wiki takes a request for.
type wikiUser struct {
	Name   string
	Groups []string
}

func askWiki(t *testing.T, c *client, header ...string) wikiUser {
	t.Helper()
	r := c.get("/api.php?action=query&meta=userinfo&uiprop=groups&format=json", header...).want(t, 200, "userinfo")
	var answer struct{ Query struct{ Userinfo wikiUser } }
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return answer.Query.Userinfo
}

// TestMediaWikiByItsRecipe is one wiki for all that follows.
func TestMediaWikiByItsRecipe(t *testing.T) {
	t.Parallel()
	g, wiki := startWiki(t)
	t.Run("it is told who asks", func(t *testing.T) { theWikiIsToldWhoAsks(t, g, wiki) })
	t.Run("titles", func(t *testing.T) { titlesArriveAsTheyAre(t, g) })
	t.Run("a person edits", func(t *testing.T) { aPersonEditsTheWiki(t, g) })
	t.Run("roles", func(t *testing.T) { rolesBindInTheWiki(t, g) })
}

// theWikiIsToldWhoAsks: it believes X-Auth-User, so nobody but the gateway may
// say it.
func theWikiIsToldWhoAsks(t *testing.T, g *gateway, wiki app) {
	past := wiki.client(t)
	if who := askWiki(t, past, "X-Auth-User: mallory", "X-Auth-Session: x", "X-Auth-Roles: user,admin"); who.Name != "Mallory" || !slices.Contains(who.Groups, "sysop") {
		t.Errorf("the wiki alone takes whoever says mallory for %v: this test would show nothing", who)
	}
	if r := past.get("/api.php?action=query&meta=userinfo&format=json").want(t, 200, "an answer for nobody"); !strings.Contains(r.body, "readapidenied") {
		t.Errorf("the wiki tells nobody %s", r.body)
	}
	for _, name := range []string{"a b", "a@b", "a#b", "MediaWiki default"} { // of a_b, and of no user
		past.get("/api.php", "X-Auth-User: "+name, "X-Auth-Session: x").want(t, 403, name)
	}
	c := g.client()
	token := bearer(c.login("alice").AccessToken)
	for _, spoof := range append(spoofs(), []string{"X-Auth-Session: mallory", "X_Auth_Session: mallory", "X-Auth-Roles: admin"}) {
		if who := askWiki(t, c, append(spoof, token)...); who.Name != "Alice" || slices.Contains(who.Groups, "sysop") {
			t.Errorf("%q: the wiki takes alice for %v", spoof, who)
		}
		c.get("/api.php", spoof...).want(t, 401, "the same without a login")
	}
}

// titlesArriveAsTheyAre, in the spellings that MediaWiki itself writes and in
// those that others do.
func titlesArriveAsTheyAre(t *testing.T, g *gateway) {
	c := g.client()
	token := bearer(c.login("alice").AccessToken)
	understood := regexp.MustCompile(`"wgPageName":"((?:[^"\\]|\\.)*)"`)
	for path, want := range map[string]string{
		"/wiki/AC/DC":                           `AC/DC`,
		"/wiki/AC%2FDC":                         `AC/DC`,
		"/wiki/Talk:What%3F_%26_why!":           `Talk:What?_\u0026_why!`,
		"/wiki/What?action=view":                `What`,
		"/wiki/100%25_sure":                     `100%_sure`,
		"/wiki/A;b:c":                           `A;b:c`,
		"/wiki/A%3Bb":                           `A;b`,
		"/wiki/TCP//IP":                         `TCP//IP`,
		"/wiki/Gr%C3%B6%C3%9Fe_(m%C2%B2)*":      `Größe_(m²)*`,
		"/wiki/Dot._..and,more~@$":              `Dot._..and,more~@$`,
		"/index.php?title=AC%2FDC%3F%26%3B%253": `AC/DC?\u0026;%3`,
	} {
		r := c.get(path, token)
		found := understood.FindStringSubmatch(r.body)
		if found == nil || found[1] != want {
			t.Errorf("%s: %s, understood as %q, want %q", path, r.Status, found, want)
		}
	}
	for _, path := range []string{"/wiki/..%2Findex.php", "/wiki/x/../../mw-config/", "/wiki/%252e%252e/maintenance/", "/wiki/a%5Cb", "/mw-config/index.php", "/maintenance/run.php",
		"/includes/x.php", "/vendor/x", "/index.php/AC", "//index.php"} {
		if r := c.get(path, token); r.StatusCode != 400 && r.StatusCode != 404 || r.Header.Get("X-Powered-By") != "" {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
}

// editToken is what a form of the wiki must bring back.
var editToken = regexp.MustCompile(`<input [^>]*value="([0-9a-f]+\+\\)"[^>]*name="wpEditToken"|name="wpEditToken" value="([0-9a-f]+\+\\)"|value="([0-9a-f]+\+\\)" name="wpEditToken"`)

func tokenIn(t *testing.T, r reply) string {
	t.Helper()
	found := editToken.FindStringSubmatch(r.body)
	if found == nil {
		t.Fatalf("%s has no token:\n%s", r.Request.URL.Path, r.body)
	}
	return found[1] + found[2] + found[3]
}

// aPersonEditsTheWiki logs in, changes a page by its form, finds the name in the
// history, uploads a picture, and logs out.
func aPersonEditsTheWiki(t *testing.T, g *gateway) {
	b := g.browser()
	if r := b.get("/wiki/Main_Page").want(t, 303, "no login"); r.location() != "/auth/login?rd=%2Fwiki%2FMain_Page" {
		t.Errorf("sent to %q", r.location())
	}
	b.loginForm("alice")
	if r := b.get("/").want(t, 301, "the front page"); r.location() != b.base+"/wiki/Main_Page" {
		t.Errorf("the front page is %q", r.location())
	}
	const title = "Talk:R&D/100%? yes; no"
	at := "/index.php?title=" + url.QueryEscape(title)
	form := b.get(at+"&action=edit").want(t, 200, "the form")
	fields := url.Values{"wpTextbox1": {"Written by form."}, "wpSummary": {"by form"}, "wpSave": {"1"}, "wpEditToken": {tokenIn(t, form)}, "wpUltimateParam": {"1"}, "wpUnicodeCheck": {"ℳ𝒲♥𝓊𝓃𝒾𝒸ℴ𝒹ℯ"}}
	saved := b.postForm(at+"&action=submit", fields).want(t, 302, "the edit")
	page := strings.TrimPrefix(saved.location(), b.base)
	if r := b.get(page).want(t, 200, page); !strings.Contains(r.body, "Written by form.") || !strings.HasPrefix(page, "/wiki/Talk:R%26D/100%25%3F") {
		t.Errorf("%s does not have it", page)
	}
	history := b.get(at+"&action=history").want(t, 200, "the history").body
	if !strings.Contains(history, "<bdi>Alice</bdi>") || !strings.Contains(history, "by form") || strings.Contains(history, "Setup") {
		t.Errorf("the history does not name Alice:\n%s", history)
	}
	if !strings.Contains(history, `href="/auth/logout"`) {
		t.Error("there is no link to the logout")
	}
	aPictureArrivesWhole(t, b)

	b.postForm("/auth/logout", nil)
	b.get(page).want(t, 303, "the page after the logout")
	b.loginForm("root")
	if who := askWiki(t, b); who.Name != "Root" {
		t.Errorf("the next person at this browser is %v", who)
	}
	fields.Set("wpTextbox1", "Written by somebody else.")
	if r := b.postForm(at+"&action=submit", fields).want(t, 200, "the form again"); !strings.Contains(r.body, "session data") {
		t.Error("alice's token is good for root")
	}
}

// aPictureArrivesWhole uploads a picture that does not compress.
func aPictureArrivesWhole(t *testing.T, b *client) {
	t.Helper()
	noise := image.NewNRGBA(image.Rect(0, 0, 512, 512))
	rand.NewChaCha8([32]byte{1}).Read(noise.Pix)
	var picture, body bytes.Buffer
	if err := png.Encode(&picture, noise); err != nil {
		t.Fatal(err)
	}
	form := multipart.NewWriter(&body)
	for name, value := range map[string]string{"wpEditToken": tokenIn(t, b.get("/wiki/Special:Upload").want(t, 200, "the form for uploads")),
		"wpDestFile": "Noise.png", "wpUploadDescription": "noise", "wpSourceType": "file", "wpIgnoreWarning": "1", "wpUpload": "Upload file"} {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("wpUploadFile", "Noise.png")
	if err != nil {
		t.Fatal(err)
	}
	file.Write(picture.Bytes())
	form.Close()
	r := b.do("POST", "/wiki/Special:Upload", body.String(), "Content-Type: "+form.FormDataContentType(), "Origin: "+b.base).want(t, 302, "the upload")
	described := b.get(strings.TrimPrefix(r.location(), b.base)).want(t, 200, "the file's page")
	at := regexp.MustCompile(`/images/[0-9a-f]/[0-9a-f]{2}/Noise\.png`).FindString(described.body)
	got := b.get(at).want(t, 200, at)
	if sha256.Sum256([]byte(got.body)) != sha256.Sum256(picture.Bytes()) {
		t.Errorf("%d bytes came back of %d", len(got.body), picture.Len())
	}
}

// rolesBindInTheWiki: without user nobody gets to it, and admin makes an
// administrator, for as long as one has it.
func rolesBindInTheWiki(t *testing.T, g *gateway) {
	c := g.client()
	c.get("/wiki/Main_Page", bearer(c.login("eve").AccessToken)).want(t, 403, "without a role")
	alice, root := bearer(c.login("alice").AccessToken), bearer(c.login("root").AccessToken)
	if r := c.get("/wiki/Special:Block", alice).want(t, 200, "Special:Block for a user"); strings.Contains(r.body, `name="wpPreviousTarget"`) {
		t.Error("alice may block people")
	}
	if r := c.get("/wiki/Special:Block", root).want(t, 200, "Special:Block for an administrator"); !strings.Contains(r.body, `name="wpPreviousTarget"`) {
		t.Error("root may not block people")
	}
	mustRun(t, g.dir, "", "user", "set", "root", "--role", "user", "--config", "gateway.yaml")
	eventually(t, "root's token ends", func() bool { return c.get("/api.php", root).StatusCode == 401 })
	if who := askWiki(t, c, bearer(c.login("root").AccessToken)); who.Name != "Root" || slices.Contains(who.Groups, "sysop") {
		t.Errorf("without the role root is %v", who)
	}
}
