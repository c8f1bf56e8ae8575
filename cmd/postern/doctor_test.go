package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/gateway/config"
)

// said fails unless the report has a line of the check with a status and words.
func (d *doctor) said(t *testing.T, status, check, words string) {
	t.Helper()
	for _, c := range d.report {
		if c.Status == status && c.Check == check && strings.Contains(c.Found+": "+c.Advice, words) {
			return
		}
	}
	t.Errorf("no %s of %s that says %q in\n%+v", status, check, words, d.report)
}

// TestTheDoctorFindsAGatewayThatServesInGoodHealth: warnings alone end with 0.
func TestTheDoctorFindsAGatewayThatServesInGoodHealth(t *testing.T) {
	s := startServeFile(t, "routes: [{ path: /open, allow: anyone }]\n")
	admin := s.stdout.await(t, `"admin":"([^"]+)"`)
	var out, errs transcript
	env := []string{"POSTERN_ADMIN_LISTEN=" + admin}
	status := run(&system{ctx: t.Context(), env: env, stdin: strings.NewReader(""), stdout: &out, stderr: &errs}, []string{"doctor", "-o", "json"})
	if status != exitDone {
		t.Errorf("ended with %d: %s", status, errs.String())
	}
	d := &doctor{}
	if err := json.Unmarshal([]byte(out.String()), &d.report); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for check, words := range map[string]string{
		"store": "is whole, with 1 account", "keys": "opens 2 keys", "clock": "nothing in the store is newer",
		"upstreams": "answers 200", "gateway": admin + " is ready", "bypass": "on this machine alone",
	} {
		d.said(t, checkGood, check, words)
	}
}

// TestTheDoctorsExitStatusIsThatOfItsWorstFinding: an error is 1, wrong usage 2.
func TestTheDoctorsExitStatusIsThatOfItsWorstFinding(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		args []string
		want int
	}{
		{[]string{"doctor"}, exitFailed}, // there is no file
		{[]string{"doctor", "localhost"}, exitUsage},
		{[]string{"doctor", "http://localhost", "http://localhost"}, exitUsage},
		{[]string{"doctor", "--output", "xml"}, exitUsage},
	} {
		var out, errs transcript
		if status := run(&system{ctx: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &errs}, test.args); status != test.want {
			t.Errorf("%v: ended with %d, want %d\n%s%s", test.args, status, test.want, out.String(), errs.String())
		}
	}
}

func TestTheDoctorSeesAClockThatWasSetBack(t *testing.T) {
	written := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		now    time.Time
		status string
		words  string
	}{
		{written.Add(-time.Hour), checkError, "1h0m0s after the time that it is now"},
		{written.Add(-clockSlack), checkGood, "2026-05-01T11:59:30Z"},
		{written.Add(time.Hour), checkGood, "nothing in the store is newer"},
	} {
		d := &doctor{now: func() time.Time { return test.now }}
		d.checkClock(written)
		d.said(t, test.status, "clock", test.words)
	}
}

func TestTheDoctorComparesTheUpstreamsClockAndAnswer(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	d := &doctor{now: func() time.Time { return now }}
	d.judgeProbe("slow", gateway.Probe{URL: "http://a", Status: 302, Date: now.Add(-2 * time.Minute)})
	d.judgeProbe("ill", gateway.Probe{URL: "http://b", Status: 503, Date: now.Add(clockSlack)})
	d.judgeProbe("mute", gateway.Probe{URL: "http://c", Status: 401})
	d.judgeProbe("gone", gateway.Probe{URL: "http://d", Err: fmt.Errorf("dial:\nrefused")})
	d.said(t, checkGood, "upstreams", "slow: http://a answers 302")
	d.said(t, checkWarning, "clock", "http://a and this one are 2m0s apart")
	d.said(t, checkWarning, "upstreams", "ill: http://b answers 503")
	d.said(t, checkGood, "upstreams", "mute: http://c answers 401")
	d.said(t, checkError, "upstreams", "gone: http://d: dial: refused: start the application")
	if len(d.report) != 5 {
		t.Errorf("%d lines: %+v", len(d.report), d.report)
	}
}

// TestTheDoctorReachesAnUpstreamPastTheGateway: 127.0.0.2 stands for the address
// at which other machines reach this one.
func TestTheDoctorReachesAnUpstreamPastTheGateway(t *testing.T) {
	outside := []netip.Addr{netip.MustParseAddr("127.0.0.2")}
	for _, test := range []struct {
		listen string
		status string
		words  string
	}{
		{"127.0.0.1:0", checkGood, "on this machine alone"},
		{"0.0.0.0:0", checkWarning, "can be reached at 127.0.0.2, past the gateway"},
	} {
		ln, err := net.Listen("tcp4", test.listen)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		d := &doctor{}
		d.checkBypass(t.Context(), "app", "127.0.0.1:"+port, outside)
		d.said(t, test.status, "bypass", test.words)
	}
	d := &doctor{}
	d.checkBypass(t.Context(), "socket", "", outside)
	d.checkBypass(t.Context(), "elsewhere", "192.0.2.1:80", outside)
	if len(d.report) != 0 {
		t.Errorf("what cannot be told from here: %+v", d.report)
	}
}

// TestTheDoctorTellsOfAStoreWithoutKeys: another command made it, or nobody yet.
func TestTheDoctorTellsOfAStoreWithoutKeys(t *testing.T) {
	s := newServed(t)
	s.write(t, "routes: [{ path: /open, allow: anyone }]\n")
	store, err := sqlstore.Open(t.Context(), "postern.db")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.CreateAccount(context.Background(), auth.Account{ID: "1", Username: "one"}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("postern.key", []byte(strings.Repeat("0a", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.app.Config.Handler = http.NotFoundHandler()
	var out, errs transcript
	status := run(&system{ctx: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &errs}, []string{"doctor"})
	if status != exitDone || !strings.Contains(out.String(), "the store has no keys yet: the first start makes them") || !strings.Contains(out.String(), "answers 404") {
		t.Errorf("ended with %d:\n%s%s", status, out.String(), errs.String())
	}
}

// TestTheDoctorLooksIntoTheCertificate of the public listener, where there is one.
func TestTheDoctorLooksIntoTheCertificate(t *testing.T) {
	t.Chdir(t.TempDir())
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"gw.test"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})...)
	if err := os.WriteFile("both.pem", both, 0o600); err != nil {
		t.Fatal(err)
	}
	src := config.Source{Path: "gateway.yaml", Data: []byte("public_url: https://gw.test\ntls: { cert_file: both.pem, key_file: both.pem }\n" +
		"upstreams: [{ name: app, urls: [http://127.0.0.1:9] }]\nroutes: [{ path: /**, allow: authenticated }]\n")}
	for at, want := range map[time.Time][2]string{
		now.AddDate(0, 6, 0):   {checkGood, "both.pem and both.pem belong together"},
		now.AddDate(0, 11, 20): {checkWarning, "gateway.yaml:2:19: tls.cert_file: both.pem expires at 2027-05-01T12:00:00Z: renew it"},
		now.AddDate(2, 0, 0):   {checkError, "gateway.yaml:2:19: tls.cert_file: both.pem expired at 2027-05-01T12:00:00Z: renew it"},
	} {
		d := &doctor{now: func() time.Time { return at }}
		file := d.checkConfig(src)
		d.checkCertificates(src, file)
		d.said(t, want[0], "tls", want[1])
		if len(d.report) != 2 {
			t.Errorf("%s: %+v", at, d.report)
		}
	}
}
