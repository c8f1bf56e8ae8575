package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/posternhq/postern/gateway/config"
	"github.com/posternhq/postern/policy"
)

// How a check of the doctor ended.
const (
	checkGood    = "ok"
	checkWarning = "warning"
	checkError   = "error"
)

// checkup is one line of the doctor's report.
type checkup struct {
	Status string `json:"status"`
	Check  string `json:"check"`
	Found  string `json:"found"`
	Advice string `json:"advice"` // what to do; empty where all is well
}

// doctor collects what it finds. It changes nothing: where there is no store
// yet, there is none afterwards.
type doctor struct {
	sys    *system
	now    func() time.Time
	door   *url.URL // the public one; nil: not to be gone through
	kids   []string // of the keys in the store
	page   string   // to learn routers by; empty: what the configuration names
	report []checkup
}

// doctorCommand only reads and asks, so that it can be run beside a gateway that
// is in trouble. It fails when one check does; warnings alone are good enough.
func doctorCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [URL]",
		Short: "Check keys, clock, file modes, the store, the upstreams, and with the public URL the way in",
		Long: `Looks at everything that a gateway needs, also while one runs, and changes
nothing. One line says how each check ended, and what to do about it:

  config     gateway.yaml is read, and its own tests run
  tls        the files of certificates, keys and authorities are there, belong
             together, and are good for some time
  files      who else may read or write gateway.yaml, the store, the master key
  store      the file is whole, of a schema that this version knows, and writable
  keys       the master key opens every key in the store
  clock      nothing in the store is of the future; the upstreams' clocks agree
  upstreams  each address takes connections and answers HTTP
  bypass     an upstream on this machine cannot be reached from outside it
  router     which other spellings of a page each application takes for it, and
             whether router: counts them all. The page is health.path, or paths
             that anybody may read; --page names another. It is asked for without
             a login, past the gateway
  gateway    one is running here, and ready
  door       with the public URL: it leads to this gateway, and a proxy on the
             way loses neither the Host, the scheme (X-Forwarded-Proto) nor a
             cookie

Warnings alone end with 0, an error with 1.`,
		Args: atMostOneArg,
	}
	output := outputFlag(cmd)
	page := cmd.Flags().String("page", "", "a path of the application that anybody may read, to learn its router by")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		d := &doctor{sys: sys, now: time.Now, page: *page}
		if _, wrong := policy.ParsePath(d.page); d.page != "" && (wrong != nil || strings.ContainsAny(d.page, "?#;")) {
			return usagef("--page %q is no path of a page: write /about", d.page)
		}
		if len(args) == 1 {
			if d.door, err = parseDoor(args[0]); err != nil {
				return err
			}
		}
		d.examine(cmd.Context(), cmd)
		err = printList(sys.stdout, *output, d.report, []string{"STATUS", "CHECK", "FOUND"}, func(c checkup) []string {
			if c.Advice != "" {
				c.Found += ": " + c.Advice
			}
			return []string{c.Status, c.Check, c.Found}
		})
		if err == nil && d.failed() {
			err = errShown
		}
		return err
	}
	return cmd
}

// good, warn and fail are how checks end.
func (d *doctor) good(check, format string, args ...any) {
	d.report = append(d.report, checkup{Status: checkGood, Check: check, Found: fmt.Sprintf(format, args...)})
}

// warn is for what works now and is likely not what was meant.
func (d *doctor) warn(check, advice, format string, args ...any) {
	d.report = append(d.report, checkup{checkWarning, check, fmt.Sprintf(format, args...), advice})
}

// fail is for what does not work, or lets in who should not be.
func (d *doctor) fail(check, advice, format string, args ...any) {
	d.report = append(d.report, checkup{checkError, check, fmt.Sprintf(format, args...), advice})
}

// failed tells whether any check did; it decides the exit status.
func (d *doctor) failed() bool {
	for _, c := range d.report {
		if c.Status == checkError {
			return true
		}
	}
	return false
}

// examine runs every check that the configuration allows.
func (d *doctor) examine(ctx context.Context, cmd *cobra.Command) {
	path, err := configPath(d.sys, cmd)
	if err == nil && path == "" {
		err = fmt.Errorf("there is no %s here", defaultConfigFile)
	}
	if err != nil {
		d.fail("config", "name one with --config, or write one with 'postern init'", "%v", err)
		return
	}
	src, err := source(d.sys, path, nil)
	if err != nil {
		d.fail("config", "", "%v", err)
		return
	}
	whole := d.checkConfig(src)
	file := whole
	if file == nil { // the store's part of it may be good
		file, _ = config.CheckAccounts(src)
	}
	if file == nil {
		return
	}
	if whole != nil {
		d.checkCertificates(src, whole)
	}
	d.checkFiles(file)
	d.checkStore(ctx, file.Store)
	if whole != nil {
		d.checkUpstreams(ctx, whole)
		d.checkRouters(ctx, whole)
		d.checkRunning(whole)
		if d.door != nil {
			d.checkDoor(ctx, whole, d.door)
		}
	}
}

// checkConfig is config check, a line each.
func (d *doctor) checkConfig(src config.Source) *config.File {
	file, findings := config.Check(src)
	d.tell("config", findings)
	if len(findings) == 0 {
		d.good("config", "%s: %s", src.Path, count(len(file.Routes), "route"))
	}
	return file
}

// tell reports what config check finds, a line each.
func (d *doctor) tell(check string, findings []config.Finding) {
	for _, f := range findings {
		if f.Warning {
			f.Warning = false // it has a column of its own here
			d.warn(check, "", "%s", f)
		} else {
			d.fail(check, "", "%s", f)
		}
	}
}

// checkCertificates is what config check says of the same files, but that this is
// where they must be.
func (d *doctor) checkCertificates(src config.Source, file *config.File) {
	findings := config.CheckFiles(src, d.now(), true)
	d.tell("tls", findings)
	if len(findings) == 0 && file.TLS.CertFile != "" {
		d.good("tls", "%s and %s belong together", file.TLS.CertFile, file.TLS.KeyFile)
	}
}
