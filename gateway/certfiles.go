package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// soonest is how long before its end a certificate is told to end soon, or a
// sixth of its life where that is less: some live for days.
const soonest = 14 * 24 * time.Hour

// ExamineFiles answers what is wrong with the files of certificates, keys and
// authorities that the configuration names. Validate reads none of them, and
// serve does at its start.
//
// An error is what serve refuses, a warning what it serves with all the same.
// Where here is false this may be another machine than the gateway's: then a
// file that is missing is a warning, as one is always that this user may not
// read. Where it is true a certificate that is not good at this time is an error.
// What is no regular file is left alone: reading it may take it away.
func (c Config) ExamineFiles(now time.Time, here bool) []Fault {
	e := examiner{now: now, here: here}
	site := ""
	if u, err := url.Parse(c.PublicURL); err == nil && u.Scheme == "https" {
		site = u.Hostname()
	}
	e.pair("tls", c.TLS.CertFile, c.TLS.KeyFile, site)
	e.authorities("tls.client_ca_file", c.TLS.ClientCAFile)
	e.authorities("tls.acme.ca_file", c.TLS.ACME.CAFile)
	for i := range c.Upstreams {
		path, files := fmt.Sprintf("upstreams[%d].tls", i), &c.Upstreams[i].TLS
		e.pair(path, files.CertFile, files.KeyFile, "")
		e.authorities(path+".ca_file", files.CAFile)
	}
	return e.faults
}

// examiner looks into files, and collects what is wrong with them.
type examiner struct {
	faults
	now  time.Time
	here bool
}

// pair looks at a certificate and its key. site is the host that it is for;
// empty: it is a client's.
func (e *examiner) pair(path, certFile, keyFile, site string) {
	if certFile == "" || keyFile == "" { // none, or Validate has said that they belong together
		return
	}
	cert, hasCert := e.read(path+".cert_file", certFile)
	key, hasKey := e.read(path+".key_file", keyFile)
	if hasCert {
		hasCert = e.certificate(path+".cert_file", certFile, cert, site)
	}
	if hasKey {
		hasKey = e.key(path+".key_file", keyFile, key)
	}
	if !hasCert || !hasKey {
		return
	}
	switch _, err := tls.X509KeyPair(cert, key); {
	case err == nil:
	case strings.Contains(err.Error(), "does not match"):
		e.add(path+".key_file", "%s is the key of another certificate than the first one in %s: name the two that belong together, and put the server's own certificate before those of its authorities", keyFile, certFile)
	default:
		e.add(path+".key_file", "%s and %s cannot be used: %v", keyFile, certFile, err)
	}
}

// mostOfFile bounds what is read of a file. All authorities of a system are a
// quarter of a MiB.
const mostOfFile = 8 << 20

// read is the content of a file. Where it cannot be had, or must not be, ok is
// false.
func (e *examiner) read(path, file string) (data []byte, ok bool) {
	info, err := os.Stat(file)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil, false
	}
	if err == nil && info.Size() > mostOfFile {
		e.warn(path, "%s has more than %d MiB: that is no file of certificates or keys", file, mostOfFile>>20)
		return nil, false
	}
	if err == nil {
		data, err = os.ReadFile(file)
	}
	switch {
	case err == nil:
		return data, true
	case errors.Is(err, fs.ErrPermission):
		e.warn(path, "%v: this user cannot tell whether it is good; run this as the gateway's", err)
	case errors.Is(err, fs.ErrNotExist) && !e.here:
		e.warn(path, "%v: where the gateway runs it must be there, or it does not start", err)
	default:
		e.add(path, "%v: name the file, in PEM", err)
	}
	return nil, false
}

// blocks are the PEM blocks of a file, of which one type is wanted.
func blocks(data []byte, wanted string) (found []*pem.Block, others []string) {
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return found, others
		}
		if b.Type == wanted || wanted == "PRIVATE KEY" && strings.HasSuffix(b.Type, " "+wanted) {
			found = append(found, b)
		} else {
			others = append(others, b.Type)
		}
	}
}

// instead says what a file has in the place of what is wanted.
func instead(others []string) string {
	if len(others) == 0 {
		return ""
	}
	return ", but " + strings.Join(slices.Compact(others), " and ")
}

// certificate looks at the first certificate of a file, which is the server's
// own, and answers false where there is none that could be used.
func (e *examiner) certificate(path, file string, data []byte, site string) bool {
	found, others := blocks(data, "CERTIFICATE")
	if len(found) == 0 {
		e.add(path, "there is no certificate (PEM) in %s%s", file, instead(others))
		return false
	}
	leaf, err := x509.ParseCertificate(found[0].Bytes)
	if err != nil {
		e.add(path, "the first certificate in %s cannot be read: %v", file, err)
		return false
	}
	e.time(path, file, leaf)
	if site != "" && leaf.VerifyHostname(site) != nil {
		e.warn(path, "%s is not for the host of public_url, %s, but for %s: browsers will refuse it", file, site, namesOf(leaf))
	}
	return true
}

// time looks at when a certificate is good.
func (e *examiner) time(path, file string, leaf *x509.Certificate) {
	say, words := e.add, ""
	if !e.here {
		say = e.warn
	}
	switch soon := min(soonest, leaf.NotAfter.Sub(leaf.NotBefore)/6); {
	case e.now.After(leaf.NotAfter):
		words = fmt.Sprintf("%s expired at %s: renew it", file, leaf.NotAfter.UTC().Format(time.RFC3339))
	case e.now.Before(leaf.NotBefore):
		words = fmt.Sprintf("%s is good from %s on, and this machine's clock says %s", file, leaf.NotBefore.UTC().Format(time.RFC3339), e.now.UTC().Format(time.RFC3339))
	case leaf.NotAfter.Sub(e.now) < soon:
		say = e.warn
		words = fmt.Sprintf("%s expires at %s: renew it", file, leaf.NotAfter.UTC().Format(time.RFC3339))
	default:
		return
	}
	say(path, "%s", words)
}

// namesOf lists what a certificate is for.
func namesOf(leaf *x509.Certificate) string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "no name at all (what counts is subjectAltName)"
	case len(names) > 5:
		names = append(names[:5], "others")
	}
	return strings.Join(names, ", ")
}

// key looks whether a file has a private key, without any of it in its words.
func (e *examiner) key(path, file string, data []byte) bool {
	found, others := blocks(data, "PRIVATE KEY")
	switch {
	case len(found) == 0:
		e.add(path, "there is no private key (PEM) in %s%s", file, instead(others))
		return false
	case found[0].Type == "ENCRYPTED PRIVATE KEY" || found[0].Headers["DEK-Info"] != "":
		e.add(path, "%s is locked by a passphrase, which nobody is there to type: write it without one, by openssl pkey -in %s -out FILE", file, file)
		return false
	}
	return true
}

// authorities looks whether a file has certificates of authorities.
func (e *examiner) authorities(path, file string) {
	if file == "" {
		return
	}
	data, ok := e.read(path, file)
	if ok && !x509.NewCertPool().AppendCertsFromPEM(data) {
		_, others := blocks(data, "CERTIFICATE")
		e.add(path, "there is no certificate (PEM) in %s%s", file, instead(others))
	}
}

// readAuthorities reads the certificates of authorities from the file that a key
// of the configuration names.
func readAuthorities(key, file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s: there is no certificate (PEM) in %s", key, file)
	}
	return pool, nil
}
