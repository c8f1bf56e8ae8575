package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/spf13/viper"

	"github.com/posternhq/postern/policy"
)

const (
	envPrefix  = "POSTERN_"
	twinSuffix = "_file"
	maxSecret  = 64 << 10
)

// origin is where a setting comes from.
type origin uint8

const (
	fromDefault origin = iota
	fromFile
	fromEnvironment
	fromFlag
)

// setting is the text of a value and where it was given.
type setting struct {
	origin origin
	pos    policy.Pos
	raw    string
	twin   bool // raw names the file that holds the value
}

// key is a value that environment and flags can give: a scalar, or a list of
// scalars, that stands in no list.
type key struct {
	path  string // as in findings: store.dsn
	index []int  // in File
	shape *shape
}

// env is the key's name in the environment.
func (k key) env() string { return envName(k.path) }

// envName is POSTERN_STORE_DSN for store.dsn. A test holds that no two keys come
// to one name.
func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// settableKeys lists the keys of an object that environment and flags can
// give.
func settableKeys(s *shape, path string, index []int) []key {
	var keys []key
	for _, f := range s.fields {
		below := append(append([]int(nil), index...), f.index...)
		switch {
		case f.shape.settable():
			keys = append(keys, key{join(path, f.name), below, f.shape})
		case f.shape.kind == object:
			keys = append(keys, settableKeys(f.shape, join(path, f.name), below)...)
		}
	}
	return keys
}

// overlay lays environment and flags over what was read from the file.
//
// Viper decides which source wins: flag, environment, file, default. It is
// given no value, only where each stands, since its own conversions would take
// 15 for 15 ns and split and lower-case what they should not.
func (d *decoder) overlay(src Source, file reflect.Value) {
	env := d.environment(src.Env)
	keys := settableKeys(fileShape(), "", nil)
	d.warnUnknown(env, keys, src.Known)

	v := viper.NewWithOptions(viper.KeyDelimiter("::"))
	fromTree, fromEnv := make(map[string]any), make(map[string]any)
	for _, k := range keys {
		v.SetDefault(k.path, setting{})
		if twin, ok := d.twins[k.path]; ok {
			fromTree[k.path] = twin
		} else if pos, ok := d.places[k.path]; ok {
			fromTree[k.path] = setting{origin: fromFile, pos: pos}
		}
		if s, ok := d.fromEnvironment(env, k); ok {
			fromEnv[k.path] = s
		}
		if raw, ok := src.Flags[k.path]; ok {
			v.Set(k.path, setting{origin: fromFlag, pos: policy.Pos{File: flagName(k.path)}, raw: raw})
		}
	}
	d.merge(v, fromTree)
	d.merge(v, fromEnv)
	for _, k := range keys {
		if s, ok := v.Get(k.path).(setting); ok {
			d.apply(k, s, file.FieldByIndex(k.index))
		}
	}
}

// merge lays a layer over those that were merged before.
func (d *decoder) merge(v *viper.Viper, layer map[string]any) {
	if err := v.MergeConfigMap(layer); err != nil {
		d.find(policy.Pos{File: d.file}, "%v", err)
	}
}

// apply puts the setting that won into place. The file's own values stand
// there already.
func (d *decoder) apply(k key, s setting, v reflect.Value) {
	if s.twin {
		secret, err := readSecret(s.raw)
		if err != nil {
			d.refuse(k, s, err)
			return
		}
		s.raw = secret
	} else if s.origin <= fromFile {
		return
	}
	d.displace(k.path, s.pos)
	if err := setText(k.shape, s.raw, v); err != nil {
		d.refuse(k, s, err)
	}
}

// refuse adds the fault of a setting. The place of one that environment or flag
// gave is its name; what the file gave needs the key beside the place.
func (d *decoder) refuse(k key, s setting, err error) {
	d.failed[k.path] = true
	if s.origin == fromFile {
		err = fmt.Errorf("%s: %w", k.path+twinSuffix, err)
	}
	d.find(s.pos, "%v", err)
}

// displace notes that the value of a key stands elsewhere than in the file.
func (d *decoder) displace(path string, pos policy.Pos) {
	for place := range d.places {
		if strings.HasPrefix(place, path+"[") {
			delete(d.places, place)
		}
	}
	d.places[path] = pos
}

// setText reads a value that came as one text: a list has commas.
func setText(s *shape, raw string, v reflect.Value) error {
	if s.kind != list {
		return setScalar(s, raw, v)
	}
	var words []string
	for word := range strings.SplitSeq(raw, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	v.Set(reflect.MakeSlice(v.Type(), len(words), len(words)))
	for i, word := range words {
		if err := setScalar(s.item, word, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// environment picks Postern's own out of os.Environ's form. An empty value is
// as if the name were not set: that is what a compose file makes of an unset
// variable.
func (d *decoder) environment(environ []string) map[string]string {
	env := make(map[string]string)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && value != "" {
			env[name] = value
		}
	}
	return env
}

// fromEnvironment is what the environment says of a key, itself or in a file
// that it names.
func (d *decoder) fromEnvironment(env map[string]string, k key) (setting, bool) {
	value, direct := env[k.env()]
	s := setting{origin: fromEnvironment, pos: policy.Pos{File: k.env()}, raw: value}
	if !k.shape.secret {
		return s, direct
	}
	twinName := envName(k.path + twinSuffix)
	name, inFile := env[twinName]
	if direct && inFile {
		d.find(policy.Pos{File: twinName}, "set either %s or %s, not both", k.env(), twinName)
	}
	if inFile {
		s = setting{origin: fromEnvironment, pos: policy.Pos{File: twinName}, raw: name, twin: true}
	}
	return s, direct || inFile
}

// warnUnknown warns of names that look like Postern's and are not. They are no
// errors: Kubernetes makes POSTERN_SERVICE_HOST and the like of its own accord
// for a service that is called postern, and other names for other services.
func (d *decoder) warnUnknown(env map[string]string, keys []key, known []string) {
	names := make(map[string]bool)
	var all []string
	for _, k := range keys {
		all = append(all, k.env())
		if k.shape.secret {
			all = append(all, envName(k.path+twinSuffix))
		}
	}
	for _, name := range append(all, known...) {
		names[name] = true
	}
	for name := range env {
		switch {
		case names[name], isIgnored(name, known):
		default:
			message := unsettable(fileShape(), "", name)
			if message == "" {
				message = "no such setting" + suggestEnv(name, all)
			}
			warning := at(policy.Pos{File: name}, "%s", message)
			warning.Warning = true
			d.findings = append(d.findings, warning)
		}
	}
}

// unsettable says of a name that belongs to a key, but to one that has keys of
// its own, what to do instead; nothing of any other name.
func unsettable(s *shape, path, name string) string {
	for _, f := range s.fields {
		below := join(path, f.name)
		same, keys := envName(below) == name, settableKeys(f.shape, below, nil)
		switch {
		case f.shape.settable():
		case same && f.shape.kind == list:
			return below + " is a list of objects, which cannot come from the environment: write it in gateway.yaml"
		case same && len(keys) == 0: // a group of such lists
			return below + " is a group of settings that cannot come from the environment: write it in gateway.yaml"
		case same:
			return fmt.Sprintf("%s is a group of settings (did you mean %q?)", below, keys[0].env())
		case f.shape.kind == object:
			if message := unsettable(f.shape, below, name); message != "" {
				return message
			}
		}
	}
	return ""
}

// suggestEnv is policy.Suggest for names that all begin alike.
func suggestEnv(name string, all []string) string {
	rest := make([]string, len(all))
	for i, other := range all {
		rest[i] = strings.TrimPrefix(other, envPrefix)
	}
	return strings.Replace(policy.Suggest(strings.TrimPrefix(name, envPrefix), rest), `"`, `"`+envPrefix, 1)
}

// isIgnored tells the names that are none of this package's business: those
// that Kubernetes makes, and those that known gives with a * at the end.
func isIgnored(name string, known []string) bool {
	for _, prefix := range append([]string{"POSTERN_PORT*", "POSTERN_SERVICE_*"}, known...) {
		if start, ok := strings.CutSuffix(prefix, "*"); ok && strings.HasPrefix(name, start) {
			return true
		}
	}
	return false
}

// readSecret reads a secret from a file of its own, without one newline at its
// end, which editors add. No error repeats any of it.
func readSecret(name string) (string, error) {
	file, err := os.Open(name)
	if here, _ := os.Getwd(); errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(name) {
		return "", fmt.Errorf("%w (in %s)", err, here) // of another service manager, mostly
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("%s: more than %d KiB is no secret", name, maxSecret>>10)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if secret == "" {
		return "", errors.New(name + ": the file is empty")
	}
	return secret, nil
}

// flagName is how a finding calls the flag of a key: --auth-prefix.
func flagName(path string) string {
	return "--" + strings.NewReplacer(".", "-", "_", "-").Replace(path)
}
