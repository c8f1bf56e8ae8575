package e2e

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// object is a part of a document of deploy/, reached by the names on the way.
type object struct{ node any }

// at goes down: into a mapping by its key, into a list by the name of an item.
func (o object) at(names ...string) object {
	for _, name := range names {
		switch node := o.node.(type) {
		case map[string]any:
			o.node = node[name]
		case []any:
			i := slices.IndexFunc(node, func(item any) bool { return object{item}.at("name").text() == name })
			if i < 0 {
				return object{}
			}
			o.node = node[i]
		default:
			return object{}
		}
	}
	return o
}

func (o object) text() string {
	s, _ := o.node.(string)
	return s
}

// list is a list of words.
func (o object) list() []string {
	items, _ := o.node.([]any)
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = object{item}.text()
	}
	return words
}

// documents reads a YAML file of deploy/.
func documents(t *testing.T, name string) []object {
	t.Helper()
	var found []object
	for dec := yaml.NewDecoder(strings.NewReader(read(t, "deploy/"+name))); ; {
		var node any
		err := dec.Decode(&node)
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatalf("deploy/%s: %v", name, err)
		}
		found = append(found, object{node})
	}
}

// accepted fails unless the binary takes a command with its flags, and the
// environment without a warning. Where a file of the command stands is another
// matter there than here.
func accepted(t *testing.T, args []string, env ...string) {
	t.Helper()
	if len(args) == 0 {
		t.Fatal("there is no command")
	}
	g := prepare(t, "upstreams: [{ name: app, urls: ['http://app:3000'] }]\nroutes: [{ path: /**, allow: authenticated }]\n")
	for _, c := range [][]string{append(slices.Clone(args), "--help"), {"config", "check", "gateway.yaml"}} {
		cmd := exec.Command(postern(t), c...)
		cmd.Dir, cmd.Env = g.dir, cleanEnv(env...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil || strings.Contains(stderr.String(), "POSTERN_") {
			t.Errorf("postern %s: %v\n%s", strings.Join(c, " "), err, stderr.String())
		}
	}
}

// imageEnv is the environment that the image sets.
func imageEnv(t *testing.T) []string {
	t.Helper()
	return regexp.MustCompile(`POSTERN_\w+=\S+`).FindAllString(read(t, "Dockerfile"), -1)
}

// TestTheUnitIsWhatSystemdTakes and confines it: systemd's own measure of what a
// service could do to the machine stays low.
func TestTheUnitIsWhatSystemdTakes(t *testing.T) {
	t.Parallel()
	need(t, "systemd-analyze")
	text := read(t, "deploy/postern.service")
	command := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/postern (.*)$`).FindStringSubmatch(text)
	if command == nil {
		t.Fatal("the unit starts something else")
	}
	accepted(t, strings.Fields(command[1]))
	unit := filepath.Join(t.TempDir(), "postern.service")
	text = strings.Replace(text, "/usr/local/bin/postern", postern(t), 1) // verify wants it to be there
	if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"verify", "--man=no", unit},
		{"security", "--offline=yes", "--threshold=20", unit},
	} {
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

func TestTheComposeFileLeavesNoWayPastTheGateway(t *testing.T) {
	t.Parallel()
	file := documents(t, "compose.yaml")[0]
	gateway, app := file.at("services", "postern"), file.at("services", "app")
	var env []string
	set, _ := gateway.at("environment").node.(map[string]any)
	for name, value := range set {
		env = append(env, name+"="+object{value}.text())
	}
	accepted(t, gateway.at("command").list(), append(env, imageEnv(t)...)...)
	if app.at("ports").node != nil || !slices.Equal(app.at("networks").list(), []string{"back"}) || file.at("networks", "back", "internal").node != true {
		t.Errorf("the application can be reached: %v", app.node)
	}
	if gateway.at("read_only").node != true || !slices.Equal(gateway.at("cap_drop").list(), []string{"ALL"}) {
		t.Errorf("the gateway has rights that it needs not: %v", gateway.node)
	}
	if !slices.Equal(gateway.at("volumes").list(), []string{"postern:/data"}) || !slices.Equal(gateway.at("ports").list(), []string{"8080:8080"}) {
		t.Errorf("volumes %v, ports %v", gateway.at("volumes").node, gateway.at("ports").node)
	}
}

// TestTheKubernetesFilesFitTheBinaryAndEachOther: the container of the gateway,
// as a Deployment has it and as a sidecar.
func TestTheKubernetesFilesFitTheBinaryAndEachOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ folder, file, containers, config string }{
		{"kubernetes", "deployment.yaml", "containers", "postern"},
		{"kubernetes-sidecar", "statefulset.yaml", "initContainers", "app-postern"},
	} {
		t.Run(c.folder, func(t *testing.T) {
			kustomization := documents(t, c.folder+"/kustomization.yaml")[0]
			for _, name := range kustomization.at("resources").list() {
				for _, o := range documents(t, c.folder+"/"+name) {
					if o.at("kind").text() == "" || o.at("apiVersion").text() == "" || o.at("metadata", "name").text() == "" {
						t.Errorf("%s is no object: %v", name, o.node)
					}
				}
			}
			if files := kustomization.at("configMapGenerator", c.config, "files").list(); !slices.Equal(files, []string{"gateway.yaml"}) {
				t.Errorf("the ConfigMap %s has %v", c.config, files)
			}
			pod := documents(t, c.folder+"/"+c.file)[0].at("spec", "template", "spec")
			box := pod.at(c.containers, "postern")
			accepted(t, box.at("args").list(), imageEnv(t)...)
			checkBox(t, box)
			if pod.at("volumes", "config", "configMap", "name").text() != c.config {
				t.Errorf("volumes: %v", pod.at("volumes").node)
			}
			if c.containers == "initContainers" && box.at("restartPolicy").text() != "Always" {
				t.Error("the sidecar would have to end before the application starts")
			}
			checkEnd(t, pod, documents(t, c.folder+"/gateway.yaml")[0])
			ports, _ := documents(t, c.folder+"/service.yaml")[0].at("spec", "ports").node.([]any)
			if len(ports) != 1 || (object{ports[0]}).at("targetPort").text() != "http" {
				t.Errorf("the Service leads to more than the public listener: %v", ports)
			}
		})
	}
}

// checkEnd wants the gateway to serve on until everybody has heard that the pod
// is going, and the pod to wait until the gateway has ended by itself.
func checkEnd(t *testing.T, pod, config object) {
	t.Helper()
	const timeout = 25 * time.Second // shutdown.timeout, which none of the files sets
	delay, err := time.ParseDuration(config.at("shutdown", "delay").text())
	grace, _ := pod.at("terminationGracePeriodSeconds").node.(int)
	if err != nil || delay < time.Second || config.at("shutdown", "timeout").node != nil || time.Duration(grace)*time.Second <= delay+timeout {
		t.Errorf("the pod is killed after %d s, and the gateway ends after %v and %v (%v)", grace, delay, timeout, err)
	}
}

// checkBox looks at the gateway's container: its probes ask what the binary
// answers, where the image listens, and it has no rights.
func checkBox(t *testing.T, box object) {
	t.Helper()
	ports := box.at("ports")
	if ports.at("http", "containerPort").node != 8080 || ports.at("admin", "containerPort").node != 9901 {
		t.Errorf("ports: %v; the image listens on 8080 and 9901", ports.node)
	}
	for probe, path := range map[string]string{"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"} {
		if get := box.at(probe, "httpGet"); get.at("path").text() != path || get.at("port").text() != "admin" {
			t.Errorf("%s: %v", probe, get.node)
		}
	}
	rights := box.at("securityContext")
	if rights.at("readOnlyRootFilesystem").node != true || rights.at("allowPrivilegeEscalation").node != false ||
		!slices.Equal(rights.at("capabilities", "drop").list(), []string{"ALL"}) {
		t.Errorf("rights: %v", rights.node)
	}
	mounts := box.at("volumeMounts")
	if mounts.at("config", "mountPath").text() != "/etc/postern" || mounts.at("data", "mountPath").text() != "/data" {
		t.Errorf("mounts: %v", mounts.node)
	}
}

// TestTheConfigurationsOfDeployAreGood: with the image's environment, as there.
func TestTheConfigurationsOfDeployAreGood(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"kubernetes", "kubernetes-sidecar"} {
		cmd := exec.Command(postern(t), "config", "check", filepath.Join(root(t), "deploy", folder, "gateway.yaml"))
		cmd.Dir, cmd.Env = t.TempDir(), cleanEnv(imageEnv(t)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil || strings.Contains(stderr.String(), "unknown") {
			t.Errorf("%s: %v\n%s", folder, err, stderr.String())
		}
	}
}
