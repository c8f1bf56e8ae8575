package routers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTomcatProfileReadsLikeTomcat tries each way in which Tomcat can be told
// to treat an encoded slash; it refuses one by default.
func TestTomcatProfileReadsLikeTomcat(t *testing.T) {
	for setting, addr := range startTomcat(t) {
		t.Run("encodedSolidusHandling "+setting, func(t *testing.T) {
			witness{addr: addr, profiles: []string{"tomcat", "any"}}.testify(t)
		})
	}
}

// startTomcat returns the address of each connector of testdata/tomcat.
func startTomcat(t testing.TB) map[string]string {
	t.Helper()
	const home = "/usr/share/tomcat10"
	needFile(t, home+"/bin/bootstrap.jar")
	classes := home + "/bin/bootstrap.jar:" + home + "/bin/tomcat-juli.jar"
	addrs := startCatalina(t, "tomcat", home, classes, "port.reject", "port.decode", "port.pass")
	return map[string]string{"reject": addrs[0], "decode": addrs[1], "passthrough": addrs[2]}
}

// TestSpringProfileReadsLikeSpring runs Debian's Spring MVC 4.3 in Debian's
// Tomcat 9. Later versions, which mind a final slash before a controller, are
// not to be had from Debian: for them the profile only counts a reading more.
func TestSpringProfileReadsLikeSpring(t *testing.T) {
	witness{
		addr: startSpring(t), profiles: []string{"spring", "any"},
		stricter: map[string]string{
			"/closed": "Spring adds a slash to a pattern and takes none away",
		},
	}.testify(t)
}

func startSpring(t testing.TB) string {
	t.Helper()
	const jars = "/usr/share/java/"
	needFile(t, jars+"tomcat9-catalina.jar", jars+"spring3-web.servlet.jar")
	classes := []string{jars + "commons-logging.jar", jars + "eclipse-jdt-core.jar"}
	for _, pattern := range []string{"tomcat9-*.jar", "spring3-*.jar"} {
		found, err := filepath.Glob(jars + pattern)
		if err != nil {
			t.Fatal(err)
		}
		classes = append(classes, found...)
	}
	return startCatalina(t, "spring", jars, strings.Join(classes, ":"), "port")[0]
}

// startCatalina runs a Tomcat with the server.xml and the web application of
// this folder of testdata, in a folder of its own. Each port is a property that
// server.xml asks for; the addresses come in the same order.
func startCatalina(t testing.TB, folder, home, classes string, ports ...string) (addrs []string) {
	t.Helper()
	java := needProgram(t, "java")
	base := t.TempDir()
	for _, dir := range []string{"conf", "temp", "work", "webapps"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	app := filepath.Join(base, "webapps", "ROOT")
	copyTree(t, testdata(t, folder, "WEB-INF"), filepath.Join(app, "WEB-INF"))
	copyTree(t, testdata(t, "files"), filepath.Join(app, "files"))
	copyFile(t, testdata(t, folder, "server.xml"), filepath.Join(base, "conf", "server.xml"))

	args := []string{
		"-Xmx128m", "-XX:TieredStopAtLevel=1", "-Djava.io.tmpdir=" + filepath.Join(base, "temp"),
		"-Dcatalina.home=" + home, "-Dcatalina.base=" + base, "-cp", classes,
	}
	for _, property := range ports {
		addr := freeAddr(t)
		_, port, _ := net.SplitHostPort(addr)
		args = append(args, fmt.Sprintf("-D%s=%s", property, port))
		addrs = append(addrs, addr)
	}
	cmd := exec.Command(java, append(args, "org.apache.catalina.startup.Bootstrap", "start")...)
	cmd.Dir = base
	start(t, cmd, addrs...)
	return addrs
}
