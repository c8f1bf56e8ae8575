package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/gateway/config"
	"github.com/posternhq/postern/policy"
)

// recordedIn is what is asked about a request that a gateway has decided.
type recordedIn struct {
	file  *config.File
	table *policy.Table
	id    string
}

// recordedAnswer is what `policy explain --request` prints as JSON.
type recordedAnswer struct {
	Recorded gateway.Decided `json:"recorded"`
	Now      *explained      `json:"now"` // by gateway.yaml as it stands; null where the path was too long to keep
}

// explainRecorded prints what the running gateway decided, and what the file
// says of the same request now.
func explainRecorded(ctx context.Context, sys *system, r recordedIn, form outputForm) error {
	d, err := askRecorded(ctx, r.file.Admin.Listen, r.id)
	if err != nil {
		return err
	}
	answer := recordedAnswer{Recorded: d}
	if len(d.Path) < gateway.RecordedPath && strings.HasPrefix(d.Path, "/") {
		now := explainRequest(r.file, r.table, policy.Request{Method: d.Method, Host: d.Host, Path: d.Path}, callerOf(ctx, r.file, d))
		answer.Now = &now
	}
	if form == "json" {
		return writeJSON(sys.stdout, answer)
	}
	printRecorded(sys, d)
	if answer.Now == nil {
		_, err = fmt.Fprintln(sys.stdout, "The path was not kept whole, so it cannot be explained.")
		return err
	}
	fmt.Fprintf(sys.stdout, "By %s as it stands now:\n\n", r.file.Path)
	return answer.Now.print(sys, form)
}

// printRecorded shows what was decided then. All that came from the client passes
// through visible: a path may hold escape sequences for the terminal.
func printRecorded(sys *system, d gateway.Decided) {
	fmt.Fprintf(sys.stdout, "request   %s at %s\n", d.RequestID, d.Time.UTC().Format(time.RFC3339))
	fmt.Fprintf(sys.stdout, "asked     %s %s%s\n", visible(d.Method), visible(d.Host), visible(d.Path))
	who := describeSubject(policy.Subject{ID: d.UserID, Username: d.User, Roles: splitRoles(d.Roles)})
	fmt.Fprintf(sys.stdout, "by        %s from %s\n", visible(who), orUnknown(d.Client))
	if d.Certificate != "" {
		fmt.Fprintf(sys.stdout, "with      certificate %s\n", visible(d.Certificate))
	}
	fmt.Fprintf(sys.stdout, "decided   %s (%s), status %d, by snapshot %s\n", d.Decision, d.Reason, d.Status, d.Snapshot)
	fmt.Fprintf(sys.stdout, "route     %s\n", d.Route)
	if d.Rule != "" {
		fmt.Fprintf(sys.stdout, "rule      %s\n", d.Rule)
	}
	fmt.Fprintln(sys.stdout)
}

// callerOf is who asked, as the gateway saw them.
func callerOf(ctx context.Context, file *config.File, d gateway.Decided) policy.Caller {
	caller := policy.Caller{Now: d.Time, Subject: policy.Subject{ID: d.UserID, Username: d.User, Roles: splitRoles(d.Roles), AuthTime: d.AuthTime}}
	caller.Client, _ = netip.ParseAddr(d.Client) // empty: behind a unix socket
	caller.Cert = policy.Certificate{Subject: d.Certificate, Hidden: d.CertHidden}
	fieldsOf(ctx, file, &caller.Subject)
	return caller
}

// splitRoles undoes the record's form. No role has a comma in it.
func splitRoles(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// maxDecision bounds what is read of the admin listener's answer.
const maxDecision = 64 << 10

// askRecorded asks the running gateway for a decision.
func askRecorded(ctx context.Context, listen, id string) (d gateway.Decided, err error) {
	client, base, err := adminClient(listen)
	if err != nil {
		return d, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/decisions/"+url.PathEscape(id), nil)
	if err != nil {
		return d, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return d, fmt.Errorf("ask the running gateway (admin.listen): %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return d, fmt.Errorf("the gateway at %s keeps no decision on a request %q: it keeps the last few thousand, since it started", listen, id)
	default:
		return d, fmt.Errorf("ask the running gateway (admin.listen): %s", resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxDecision)).Decode(&d); err != nil {
		return d, fmt.Errorf("read the gateway's answer: %w", err)
	}
	return d, nil
}

// adminClient reaches the admin listener of a gateway on this machine. base is
// what its URLs begin with. No proxy of the environment comes between.
func adminClient(listen string) (client *http.Client, base string, err error) {
	client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, "", usagef("admin.listen %q: no address to ask", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return client, "http://" + net.JoinHostPort(host, port), nil
}
