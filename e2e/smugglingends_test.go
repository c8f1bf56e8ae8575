package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// backEnd is a real server behind the gateway that writes down each request
// that it takes anything for, and says it in the answer.
type backEnd struct {
	name string
	addr string
	log  func() string
}

// tookLine is how all of them write it down, Apache with its access log.
var tookLine = regexp.MustCompile(`(?m)^took (\S+) (\S+)`)

// took are the requests, as "METHOD /path", that the server took so far.
func (b backEnd) took() []string {
	var all []string
	for _, found := range tookLine.FindAllStringSubmatch(b.log(), -1) {
		path, _, _ := strings.Cut(found[2], "?")
		all = append(all, found[1]+" "+path)
	}
	return all
}

// startBackEnds runs Node, gunicorn, Tomcat and Apache.
func startBackEnds(t *testing.T) []backEnd {
	t.Helper()
	need(t, "node", "/usr/bin/gunicorn", "java")
	dir := filepath.Join("testdata", "smuggling")
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	node := startApp(t, addr, dir, []string{"PORT=" + port}, "node", "echo.js")
	addr = freeAddr(t)
	gunicorn := startApp(t, addr, dir, []string{"PYTHONDONTWRITEBYTECODE=1"}, "/usr/bin/gunicorn", "--bind", addr, "--workers", "1", "--threads", "8", "--keep-alive", "60", "echo:application")
	tomcat := startEchoTomcat(t, dir)
	return []backEnd{
		{"node", node.addr, node.output.String},
		{"gunicorn", gunicorn.addr, gunicorn.output.String},
		{"tomcat", tomcat.addr, tomcat.output.String},
		startEchoApache(t, dir),
	}
}

func startEchoTomcat(t *testing.T, dir string) app {
	t.Helper()
	const home, compiler = "/usr/share/tomcat10", "/usr/share/java/eclipse-jdt-core.jar"
	if _, err := os.Stat(home + "/bin/bootstrap.jar"); err != nil {
		lack(t, home+"/bin/bootstrap.jar")
	}
	page, err := os.ReadFile(filepath.Join(dir, "echo.jsp"))
	if err != nil {
		t.Fatal(err)
	}
	base, addr := t.TempDir(), freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	plant(t, base, map[string]string{
		"conf/server.xml": `<Server port="-1"><Service name="echo"><Connector port="` + port + `" address="127.0.0.1" />` +
			`<Engine name="echo" defaultHost="localhost"><Host name="localhost" appBase="webapps" autoDeploy="false" /></Engine></Service></Server>`,
		"conf/web.xml":                  strings.Replace(tomcatWebXML, "<url-pattern>/</url-pattern>", "<url-pattern>/static</url-pattern>", 1),
		"conf/context.xml":              `<Context><JarScanner scanClassPath="false" /></Context>`,
		"temp/empty":                    "",
		"webapps/ROOT/WEB-INF/echo.jsp": string(page),
		"webapps/ROOT/WEB-INF/web.xml": `<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0" metadata-complete="true">` +
			`<servlet><servlet-name>echo</servlet-name><jsp-file>/WEB-INF/echo.jsp</jsp-file></servlet>` +
			`<servlet-mapping><servlet-name>echo</servlet-name><url-pattern>/*</url-pattern></servlet-mapping></web-app>`,
	})
	return startApp(t, addr, base, nil, "java", "-Xmx128m", "-XX:TieredStopAtLevel=1",
		"-Djava.io.tmpdir="+filepath.Join(base, "temp"), "-Dcatalina.home="+home, "-Dcatalina.base="+base,
		"-cp", home+"/bin/bootstrap.jar:"+home+"/bin/tomcat-juli.jar:"+compiler, "org.apache.catalina.startup.Bootstrap", "start")
}

// plant writes files with the folders that they lie in.
func plant(t testing.TB, base string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(base, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Apache is started in a process group of its own (setsid): it ends by ending its
// whole group.

// apacheConf begins a configuration in a folder that Apache's own user may
// read; a root that starts it gives its rights up for that one.
func apacheConf(t *testing.T, addr string, modules ...string) (dir, conf string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "apache-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	conf = "ServerName localhost\nServerRoot " + dir + "\nPidFile pid\nErrorLog /dev/stderr\nListen " + addr + "\nHttpProtocolOptions Unsafe\n"
	if os.Getuid() == 0 {
		conf += "User www-data\nGroup www-data\n"
	}
	for _, module := range modules {
		file := "/usr/lib/apache2/modules/mod_" + module + ".so"
		if _, err := os.Stat(file); err != nil {
			lack(t, file)
		}
		conf += "LoadModule " + module + "_module " + file + "\n"
	}
	return dir, conf
}

func startEchoApache(t *testing.T, testdata string) backEnd {
	t.Helper()
	apache := program(t, "apache2")
	addr := freeAddr(t)
	dir, conf := apacheConf(t, addr, "mpm_prefork", "authz_core", "alias", "cgi")
	script, err := os.ReadFile(filepath.Join(testdata, "echo.cgi"))
	if err != nil {
		t.Fatal(err)
	}
	plant(t, dir, map[string]string{"cgi/echo.cgi": string(script), "apache.conf": conf + "LogFormat \"took %r %{User-Agent}i\" took\nCustomLog " + dir + "/took.log took\n" +
		"ScriptAliasMatch ^/ " + dir + "/cgi/echo.cgi\n<Directory " + dir + "/cgi>\nRequire all granted\n</Directory>\nKeepAliveTimeout 60\n"})
	if err := os.Chmod(filepath.Join(dir, "cgi/echo.cgi"), 0o755); err != nil {
		t.Fatal(err)
	}
	startApp(t, addr, dir, nil, "setsid", apache, "-D", "FOREGROUND", "-f", dir+"/apache.conf")
	return backEnd{"apache", addr, func() string {
		text, err := os.ReadFile(filepath.Join(dir, "took.log"))
		if err != nil {
			t.Fatal(err)
		}
		// Apache asks itself, over no gateway, to wake up its children.
		return regexp.MustCompile(`(?m)^.*\(internal dummy connection\)$`).ReplaceAllString(string(text), "")
	}}
}

// frontEnds are the real proxies, each told to be as lenient with its clients
// as it can be, and to keep its connections to the gateway for others.
func frontEnds() map[string]func(t *testing.T, gateway string) string {
	return map[string]func(*testing.T, string) string{
		"nginx": smugglingNginx, "haproxy": smugglingHAProxy, "apache": smugglingApache, "varnish": smugglingVarnish,
	}
}

func smugglingNginx(t *testing.T, gateway string) string {
	door := freeAddr(t)
	return serveSite(t, door, t.TempDir(), `	ignore_invalid_headers off;
	underscores_in_headers on;
	merge_slashes off;
	upstream postern { server `+gateway+`; keepalive 16; }
	server {
		listen `+door+`;
		location / {
			proxy_pass http://postern;
			proxy_http_version 1.1;
			proxy_request_buffering off;
			proxy_set_header Host $http_host;
			proxy_set_header Connection "";
		}
	}
`).addr
}

func smugglingHAProxy(t *testing.T, gateway string) string {
	haproxy := program(t, "haproxy")
	dir, door := t.TempDir(), freeAddr(t)
	plant(t, dir, map[string]string{"haproxy.cfg": "defaults\n\tmode http\n\ttimeout connect 10s\n\ttimeout client 30s\n\ttimeout server 30s\n\thttp-reuse always\n" +
		"\toption accept-invalid-http-request\n\toption accept-invalid-http-response\nlisten all\n\tbind " + door + "\n\tserver postern " + gateway + "\n"})
	return startApp(t, door, dir, nil, haproxy, "-db", "-f", filepath.Join(dir, "haproxy.cfg")).addr
}

func smugglingApache(t *testing.T, gateway string) string {
	apache := program(t, "apache2")
	door := freeAddr(t)
	dir, conf := apacheConf(t, door, "mpm_event", "authz_core", "proxy", "proxy_http")
	plant(t, dir, map[string]string{"apache.conf": conf + "ProxyPreserveHost On\nProxyPass / http://" + gateway + "/ enablereuse=on nocanon\n"})
	return startApp(t, door, dir, nil, "setsid", apache, "-D", "FOREGROUND", "-f", dir+"/apache.conf").addr
}

func smugglingVarnish(t *testing.T, gateway string) string {
	varnish := program(t, "varnishd")
	if _, err := exec.LookPath("gcc"); err != nil {
		lack(t, "gcc, which compiles Varnish's configuration")
	}
	host, port, _ := net.SplitHostPort(gateway)
	dir, door := t.TempDir(), freeAddr(t)
	plant(t, dir, map[string]string{"default.vcl": "vcl 4.1;\nbackend default { .host = \"" + host + "\"; .port = \"" + port + "\"; }\nsub vcl_recv { return (pass); }\n"})
	return startApp(t, door, dir, nil, varnish, "-F", "-j", "none", "-n", filepath.Join(dir, "work"), "-f", filepath.Join(dir, "default.vcl"), "-a", door, "-s", "malloc,8m", "-p", "thread_pools=1").addr
}
