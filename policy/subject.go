package policy

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// attributeNames are the types of attributes, by what RFC 4514, crypto/x509 and
// openssl call them in capital letters. The values are what they are called
// here: two names of one type are one.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
	"CN": "CN", "C": "C", "L": "L", "ST": "ST", "STREET": "STREET", "O": "O", "OU": "OU", "UID": "UID", "DC": "DC",
	"2.5.4.5": "SERIALNUMBER", "SERIALNUMBER": "SERIALNUMBER", "2.5.4.17": "POSTALCODE", "POSTALCODE": "POSTALCODE",
	"2.5.4.4": "SN", "SN": "SN", "2.5.4.42": "GN", "GN": "GN", "2.5.4.12": "TITLE", "TITLE": "TITLE",
	"2.5.4.46": "DNQUALIFIER", "DNQUALIFIER": "DNQUALIFIER", "2.5.4.97": "ORGANIZATIONIDENTIFIER", "ORGANIZATIONIDENTIFIER": "ORGANIZATIONIDENTIFIER",
	"1.2.840.113549.1.9.1": "EMAILADDRESS", "EMAILADDRESS": "EMAILADDRESS", "E": "EMAILADDRESS",
}

// errSubject is a text that is no subject as RFC 4514 writes it.
var errSubject = errors.New("is not written as RFC 4514 does")

// NormalSubject is a subject in the one spelling in which two are compared.
// RFC 4514 admits many: DC=x or its number and the bytes of the value, \C3\BC
// or the letter itself, any order within one relative name (A+B). A rule in
// another spelling than the certificate's would never be met: one that denies,
// too.
func NormalSubject(text string) (string, error) {
	var out []string
	for _, rdn := range splitName(text, ',') {
		var attributes []string
		for _, attribute := range splitName(rdn, '+') {
			normal, err := normalAttribute(attribute)
			if err != nil {
				return "", err
			}
			attributes = append(attributes, normal)
		}
		slices.Sort(attributes)
		out = append(out, strings.Join(attributes, "+"))
	}
	return strings.Join(out, ","), nil
}

// splitName splits at a sign that is not escaped.
func splitName(text string, sign byte) (parts []string) {
	start := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++ // and what it escapes
		case sign:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// normalAttribute writes TYPE=value in the spelling of NormalSubject.
func normalAttribute(text string) (string, error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" || name != strings.TrimSpace(name) || value != "" && value[0] == ' ' {
		return "", errSubject
	}
	known := attributeNames[strings.ToUpper(name)]
	if known == "" {
		if strings.Trim(name, "0123456789.") != "" {
			return "", fmt.Errorf("has %s, which is not known here: write the number of that type, as `openssl x509 -noout -subject -nameopt RFC2253,oid` prints it", name)
		}
		known = name
	}
	if strings.HasPrefix(value, "#") {
		return normalBytes(known, value[1:])
	}
	plain, ok := unescapeValue(value)
	if !ok {
		return "", errSubject
	}
	return known + "=" + escapeName(plain), nil
}

// normalBytes reads a value that is written as its encoding (BER). A string is
// a text like any other; what else there is stays bytes.
func normalBytes(name, digits string) (string, error) {
	der, err := hex.DecodeString(digits)
	if err != nil || len(der) < 2 {
		return "", errSubject
	}
	var text string
	if rest, err := asn1.Unmarshal(der, &text); err == nil && len(rest) == 0 {
		return name + "=" + escapeName(text), nil
	}
	return name + "=#" + hex.EncodeToString(der), nil
}

// unescapeValue takes the backslashes out: before a sign, or before two digits
// that are a byte. A sign that needs one and has none is a mistake.
func unescapeValue(value string) (plain string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] != '\\':
			if strings.IndexByte(`"<>;`, value[i]) >= 0 {
				return "", false
			}
			b.WriteByte(value[i])
		case i+2 < len(value) && isHexByte(value[i+1:i+3]):
			raw, _ := hex.DecodeString(value[i+1 : i+3])
			b.WriteByte(raw[0])
			i += 2
		case i+1 < len(value):
			i++
			b.WriteByte(value[i])
		default:
			return "", false
		}
	}
	return b.String(), true
}

// isHexByte tells two hexadecimal digits.
func isHexByte(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil
}
