package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// stand is where, with which certificate, and how long after the password, a
// caller asks.
type stand struct {
	client     netip.Addr
	cert       Certificate
	age        time.Duration
	attributes attributes
}

// now is the hour of all probes. Policies know ages only.
func probeTime() time.Time { return time.Unix(1<<32, 0) }

// stands lists every address, certificate and age that the rules tell apart: first what no
// network holds and what is too old for all.
func stands(sides [2][]answer) (list []stand) {
	networks, ages := conditions(sides)
	addrs := []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	for _, n := range networks {
		addrs = append(addrs, n.Addr()) // where one begins, and
		if next := lastOf(n).Next(); next.IsValid() {
			addrs = append(addrs, next) // where it has ended
		}
	}
	for _, addr := range addrs {
		var inside attributes
		for _, n := range networks {
			if n.Contains(addr) {
				inside = inside.with(attribute{kind: attrNetwork, name: n.String(), segment: -1})
			}
		}
		if slices.ContainsFunc(list, func(s stand) bool { return slices.Equal(s.attributes, inside) }) {
			continue
		}
		list = append(list, stand{client: addr, age: maxDuration, attributes: inside})
	}
	list = withCertificates(list, sides)
	for _, s := range slices.Clip(list) {
		for i, age := range ages {
			all := s.attributes
			for _, older := range ages[i:] {
				all = all.with(attribute{kind: attrFresh, age: older, segment: -1})
			}
			list = append(list, stand{s.client, s.cert, age, all})
		}
	}
	return list
}

// withCertificates adds each stand with every certificate that the rules tell
// apart. A certificate is one: it meets what names its subject, and what names
// the common name in it.
func withCertificates(list []stand, sides [2][]answer) []stand {
	names := subjects(sides)
	for _, s := range slices.Clip(list) {
		for _, name := range names {
			shown := bearer(names, name)
			list = append(list, stand{s.client, shown, s.age, s.attributes.with(met(names, shown)...)})
		}
	}
	return list
}

// bearer is a certificate that goes by the name and by as few others as can be.
// Many go by one common name, so it is one of those whose subject no rule names:
// what lets them all in may keep out the one that is named in full.
func bearer(names []string, name string) Certificate {
	shown := CertificateOf(name)
	if strings.Contains(name, "=") {
		return shown
	}
	for contains(names, shown.Subject) {
		shown.Subject += ",O=other"
	}
	return shown
}

// met lists the names that a certificate goes by.
func met(names []string, c Certificate) (list attributes) {
	for _, name := range names {
		if certificate(name, c) == holds {
			list = append(list, attribute{kind: attrCert, name: name, segment: -1})
		}
	}
	return list
}

// subjects gathers the certificates that rules name, each once.
func subjects(sides [2][]answer) []string {
	var names []string
	for _, a := range append(slices.Clip(sides[0]), sides[1]...) {
		for _, r := range append(slices.Clip(a.route.allow), a.route.deny...) {
			names = append(names, r.cert)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// maxDuration is older than any max_age can be.
const maxDuration = 1<<63 - 1

// conditions gathers the networks and the ages of rules, each once.
func conditions(sides [2][]answer) (networks []netip.Prefix, ages []time.Duration) {
	for _, a := range append(slices.Clip(sides[0]), sides[1]...) {
		for _, r := range append(slices.Clip(a.route.allow), a.route.deny...) {
			networks = append(networks, r.networks...)
			if r.maxAge > 0 {
				ages = append(ages, r.maxAge)
			}
		}
	}
	slices.SortFunc(networks, netip.Prefix.Compare)
	slices.Sort(ages)
	return slices.Compact(networks), slices.Compact(ages)
}

// lastOf is the last address of a network.
func lastOf(n netip.Prefix) netip.Addr {
	bytes := n.Addr().AsSlice()
	for bit := n.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// embody makes a caller of whom these attributes are true and no more, and the path
// that goes with them: two attributes may need segments to be alike. It fails where
// the attributes exclude each other.
func (f attributes) embody(p *probe, at stand) (Caller, *probe, bool) {
	c := Caller{Client: at.client, Cert: at.cert, Now: probeTime()}
	if len(f) == 0 {
		return c, p, true
	}
	c.Subject = Subject{ID: nobodys, Username: nobodys, Email: nobodys, Fields: map[string][]string{}}
	c.Subject.AuthTime = c.Now.Add(-at.age)
	own := &probe{host: p.host, segments: slices.Clone(p.segments), slash: p.slash, doubt: p.doubt}
	for _, one := range f {
		switch one.kind {
		case attrRole:
			c.Subject.Roles = append(c.Subject.Roles, one.name)
		case attrUser:
			if c.Subject.Username != nobodys {
				return c, p, false
			}
			c.Subject.Username = one.name
		}
	}
	for range f { // one attribute may settle what another asks for
		for _, one := range f {
			if one.kind == attrSelf && !own.settle(&c.Subject, one) {
				return c, p, false
			}
		}
	}
	for _, one := range f {
		if one.kind == attrField && !own.hold(&c.Subject, one) {
			return c, p, false
		}
	}
	return c, own, true
}

// settle makes a segment and what self compares it with the same.
func (p *probe) settle(s *Subject, f attribute) bool {
	named := &s.ID
	switch f.name {
	case "username":
		named = &s.Username
	case "email":
		named = &s.Email
	}
	if f.segment >= len(p.segments) {
		return false
	}
	seg := &p.segments[f.segment]
	value := decode(seg.text)
	switch {
	case *named == nobodys:
		*named = value
	case value == *named:
	case seg.fresh:
		seg.text = escape(*named)
	default:
		return false
	}
	return true
}

// hold gives the subject the value of a field.
func (p *probe) hold(s *Subject, f attribute) bool {
	value := f.value
	if f.segment >= 0 {
		if f.segment >= len(p.segments) {
			return false
		}
		value = decode(p.segments[f.segment].text)
	}
	s.Fields[f.name] = append(s.Fields[f.name], value)
	return true
}
