package e2e

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/websocket"
)

// tomcatWebXML is the little of Tomcat's own conf/web.xml, which Debian packs
// elsewhere, without which it has neither files, nor JSP, nor WebSockets.
const tomcatWebXML = `<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
  <servlet><servlet-name>default</servlet-name><servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class></servlet>
  <servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
  <servlet><servlet-name>jsp</servlet-name><servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class></servlet>
  <servlet-mapping><servlet-name>jsp</servlet-name><url-pattern>*.jsp</url-pattern></servlet-mapping>
</web-app>`

// buildTomcatValve compiles the recipe's valve with the compiler that Debian's
// Tomcat has for its JSP: there need not be a javac.
func buildTomcatValve(t *testing.T, home, compiler, base string) {
	t.Helper()
	jars, err := filepath.Glob(home + "/lib/*.jar")
	if err != nil {
		t.Fatal(err)
	}
	mustTool(t, base, nil, "java", "-cp", compiler, "org.eclipse.jdt.internal.compiler.batch.Main", "-proc:none", "-17",
		"-cp", strings.Join(jars, ":"), "-d", "lib", filepath.Join(root(t), "deploy", "recipes", "tomcat", "PosternValve.java"))
}

// startTomcatRecipe runs Debian's Tomcat with the recipe's server.xml and
// Debian's package of examples, and the recipe's gateway before it.
func startTomcatRecipe(t *testing.T) (*gateway, app) {
	t.Helper()
	need(t, "java")
	const home, examples, compiler = "/usr/share/tomcat10", "/etc/tomcat10/Catalina/localhost/examples.xml", "/usr/share/java/eclipse-jdt-core.jar"
	descriptor, err := os.ReadFile(examples)
	if err != nil {
		lack(t, examples)
	}
	base, addr := t.TempDir(), freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	for name, text := range map[string]string{
		"conf/server.xml":                      recipe(t, "tomcat/server.xml", `port="8081"`, `port="`+port+`"`),
		"conf/Catalina/localhost/examples.xml": string(descriptor),
		"conf/web.xml":                         tomcatWebXML,
		"conf/context.xml":                     `<Context><JarScanner scanClassPath="false" /></Context>`, // a start takes a fifth of the time
		"temp/empty":                           "",
		"webapps/empty":                        "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(base, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	buildTomcatValve(t, home, compiler, base)
	a := startApp(t, addr, base, nil, "java", "-Xmx128m", "-XX:TieredStopAtLevel=1",
		"-Djava.io.tmpdir="+filepath.Join(base, "temp"), "-Dcatalina.home="+home, "-Dcatalina.base="+base,
		"-cp", home+"/bin/bootstrap.jar:"+home+"/bin/tomcat-juli.jar:"+compiler, "org.apache.catalina.startup.Bootstrap", "start")

	g := prepareRecipe(t, "tomcat", "/etc/postern/cert.pem", "cert.pem", "/etc/postern/key.pem", "cert.key", "127.0.0.1:8081", addr)
	g.writeCertificate("app.example.com")
	g.addUser("alice", "user")
	g.addUser("root", "admin", "tomcat")
	return g.start(), a
}

const tomcatServlets = "/examples/servlets/servlet/"

// TestRecipeOfTomcat has one Tomcat for all of it, since a Java takes its time.
func TestRecipeOfTomcat(t *testing.T) {
	t.Parallel()
	g, _ := startTomcatRecipe(t)
	for name, test := range map[string]func(*testing.T, *gateway){
		"the servlet is told who asks":               tomcatIsTold,
		"the session is found by cookie and by path": tomcatKeepsSessions,
		"a session is its user's":                    tomcatForgetsTheLastUser,
		"roles hold for every spelling":              tomcatRoles,
		"answers in chunks and trailers arrive":      tomcatChunks,
		"streams end with the login":                 tomcatStreams,
	} {
		t.Run(name, func(t *testing.T) {
			g := *g
			g.t = t
			test(t, &g)
		})
	}
}

// tomcatIsTold reads the headers as the servlet gets them, one value a name.
func tomcatIsTold(t *testing.T, g *gateway) {
	c := g.visitor("https://app.example.com")
	token := c.login("alice").AccessToken
	headers := func(more ...string) map[string]string {
		t.Helper()
		r := c.get(tomcatServlets+"RequestHeaderExample", append(more, bearer(token), "Accept: application/json")...).want(t, 200, "the headers")
		var list []map[string]string
		if err := json.Unmarshal([]byte(r.body), &list); err != nil {
			t.Fatalf("%v in %q", err, r.body)
		}
		told := map[string]string{}
		for _, line := range list {
			for name, value := range line {
				told[strings.ToLower(name)] += value
			}
		}
		return told
	}
	for _, spoof := range append(spoofs(), []string{"X-Remote-User: mallory"}, []string{"x_remote_user: mallory"}) {
		told := headers(spoof...)
		for name, want := range map[string]string{"x-remote-user": "alice", "x-auth-user": "alice", "x-auth-roles": "user", "x-forwarded-proto": "https", "authorization": "", "cookie": ""} {
			if told[name] != want {
				t.Errorf("%s: the servlet was told %s: %q, want %q", strings.Join(spoof, " "), name, told[name], want)
			}
		}
		for name, value := range told {
			if strings.Contains(value, "mallory") {
				t.Errorf("%s: the servlet was told %s: %s", strings.Join(spoof, " "), name, value)
			}
		}
	}
	r := c.get(tomcatServlets+"RequestInfoExample", bearer(token), "X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1").want(t, 200, "the request")
	if !strings.Contains(r.body, "127.0.0.1") || strings.Contains(r.body, "192.0.2.1") {
		t.Errorf("the client's address is another: %s", r.body)
	}
	c.get(tomcatServlets+"RequestHeaderExample", "X-Remote-User: mallory").want(t, 401, "the headers without a login")
}

// tomcatKeepsSessions posts a form, and finds what it said again: by the cookie,
// which is Secure because Tomcat knows of the TLS before it, and by ;jsessionid.
func tomcatKeepsSessions(t *testing.T, g *gateway) {
	b := g.person()
	b.loginForm("alice")
	first := b.get(tomcatServlets+"SessionExample").want(t, 200, "the session")
	if set := strings.Join(first.Header["Set-Cookie"], "\n"); !strings.HasPrefix(set, "JSESSIONID=") || !strings.Contains(set, "; Path=/examples; Secure; HttpOnly") {
		t.Errorf("Tomcat's cookie came as %q", set)
	}
	link := regexp.MustCompile(`action="(SessionExample;jsessionid=(\w+))"`).FindStringSubmatch(first.body)
	if link == nil || link[2] != b.cookie("/examples", "JSESSIONID") {
		t.Fatalf("no link with ;jsessionid of the cookie in %s", first.body)
	}
	b.postForm(tomcatServlets+link[1], url.Values{"dataname": {"tea"}, "datavalue": {"Earl Grey"}}).want(t, 200, "the form, to its link")
	page := b.get(tomcatServlets + "RequestHeaderExample").body
	if !strings.Contains(page, "JSESSIONID="+link[2]) || strings.Contains(page, "postern") {
		t.Errorf("Tomcat was sent other cookies than its own: %s", page)
	}

	for _, test := range []struct {
		name, path string
		remembers  bool
	}{
		{"alice", "SessionExample", false}, {"alice", link[1], true}, {"root", link[1], false}, {"alice", link[1], false}, // root's use of it ended it
	} {
		plain := g.visitor("https://app.example.com")
		token := plain.login(test.name).AccessToken
		body := plain.get(tomcatServlets+test.path, bearer(token)).want(t, 200, test.path).body
		if strings.Contains(body, "tea = Earl Grey") != test.remembers {
			t.Errorf("%s remembers for %s: %v, want %v", test.path, test.name, !test.remembers, test.remembers)
		}
	}
}

// tomcatForgetsTheLastUser logs another one in at the same browser, after a
// session of one request and after one of more.
func tomcatForgetsTheLastUser(t *testing.T, g *gateway) {
	for _, more := range []int{0, 1} {
		b := g.person()
		b.loginForm("alice")
		for range more {
			b.get(tomcatServlets + "SessionExample")
		}
		b.postForm(tomcatServlets+"SessionExample", url.Values{"dataname": {"tea"}, "datavalue": {"Earl Grey"}}).want(t, 200, "the form")
		own := b.cookie("/examples", "JSESSIONID")
		b.postForm("/auth/logout", nil)
		b.loginForm("root")
		body := b.get(tomcatServlets+"SessionExample").want(t, 200, "root's session").body
		if now := b.cookie("/examples", "JSESSIONID"); strings.Contains(body, "Earl Grey") || now == own || own == "" {
			t.Errorf("at alice's browser root has the session %q, hers was %q: %s", now, own, body)
		}
	}
}

// tomcatRoles asks for pages that are closed to alice, in the ways in which
// Tomcat would find them.
func tomcatRoles(t *testing.T, g *gateway) {
	alice, root := g.person(), g.person()
	alice.loginForm("alice")
	root.loginForm("root")
	for _, path := range []string{
		"/examples/jsp/security/protected/index.jsp", "/examples/jsp/security;x=1/protected/index.jsp",
		"/examples/jsp;x/security/protected/index.jsp", "/examples;/jsp/security/protected/index.jsp",
	} {
		alice.get(path).want(t, 403, path+" for alice")
		r := root.get(path+"?role=tomcat").want(t, 200, path+" for root")
		if !strings.Contains(r.body, "logged in as remote user\n<b>root</b>") || !strings.Contains(r.body, "You have been granted role\n      <b>tomcat</b>") {
			t.Errorf("%s is another page: %s", path, r.body)
		}
	}
	for _, path := range []string{"/examples/x/..;/jsp/security/", "/examples/..;/manager/html", "/manager;x/html"} {
		root.get(path).want(t, 400, path+" for root")
	}
	alice.get("/manager/html").want(t, 403, "the manager for alice")
	g.person().get("/examples").want(t, 303, "the examples without a login")
	if page := alice.get("/examples/").want(t, 200, "the first page"); !strings.Contains(page.body, "Apache Tomcat Examples") {
		t.Errorf("the first page is %s", page.body)
	}
	if r := alice.get("/examples").want(t, 302, "the examples without their slash"); r.location() != "/examples/" {
		t.Errorf("sent to %q", r.location())
	}
}

func tomcatChunks(t *testing.T, g *gateway) {
	b := g.person()
	b.loginForm("alice")
	r := b.get("/examples/servlets/nonblocking/numberwriter").want(t, 200, "ten thousand numbers")
	if lines := strings.Fields(r.body); len(lines) != 10000 || r.ContentLength >= 0 || !strings.HasSuffix(lines[len(lines)-1], "10000") {
		t.Errorf("%d numbers in %d bytes", len(lines), r.ContentLength)
	}
	counted := b.do("POST", "/examples/servlets/nonblocking/bytecounter", strings.Repeat("x", 3<<20), "Origin: "+b.base, "Content-Type: text/plain").want(t, 200, "a large body")
	if !strings.Contains(counted.body, "[3145728]") {
		t.Errorf("Tomcat counted %s", counted.body)
	}
	r = b.get("/examples/servlets/trailers/response", "TE: trailers").want(t, 200, "an answer with trailers")
	if r.Trailer.Get("X-Trailer-1") != "Trailer value one" {
		t.Errorf("trailers: %v", r.Trailer)
	}
}

// tomcatStreams opens what lasts: the echo over a WebSocket, and the ticker, an
// answer without an end. Both are over with the logout.
func tomcatStreams(t *testing.T, g *gateway) {
	const path = "/examples/websocket/echoAnnotation"
	b := g.person()
	b.get(path, handshake(b.base)...).want(t, 401, "the WebSocket without a login")
	b.loginForm("alice")
	b.get(path, handshake("https://evil.example.com")...).want(t, 403, "the WebSocket for another site's page")
	ws := b.socket(g, path)
	var said string
	for _, word := range []string{"tea", strings.Repeat("long ", 20000)} {
		if err := websocket.Message.Send(ws, word); err != nil {
			t.Fatal(err)
		}
		for rest := word; rest != ""; rest = strings.TrimPrefix(rest, said) { // Tomcat repeats frame by frame
			if err := websocket.Message.Receive(ws, &said); err != nil || said == "" || !strings.HasPrefix(rest, said) {
				t.Fatalf("the echo of %.20q is %.20q, %v", rest, said, err)
			}
		}
	}

	req, err := http.NewRequest("GET", b.base+"/examples/async/stockticker", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	stocks := bufio.NewReader(res.Body)
	if line, err := stocks.ReadString('\n'); err != nil || !strings.HasPrefix(line, "STOCK#") {
		t.Fatalf("the ticker says %q, %v", line, err)
	}

	b.postForm("/auth/logout", nil)
	wantEnded(t, "the WebSocket", func() error { return websocket.Message.Receive(ws, &said) })
	wantEnded(t, "the ticker", func() error { _, err := stocks.ReadString('\n'); return err })
	b.get(path, handshake(b.base)...).want(t, 401, "the WebSocket after the logout")
}
