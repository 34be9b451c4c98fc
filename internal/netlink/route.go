package netlink

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Route is an entry of a routing table.
type Route struct {
	// To is the destination; a prefix of 0 bits is the default route.
	To netip.Prefix
	// Gateway and Source are not valid if there is none.
	Gateway, Source netip.Addr
	// Index is that of the device, 0 if none was named.
	Index  int
	Metric uint32
	// Table, Protocol, Scope, Type are RT_TABLE_*, RTPROT_*, RT_SCOPE_* and RTN_*.
	Table                 uint32
	Protocol, Scope, Type uint8
	OnLink                bool
}

const routeHeader = 12 // struct rtmsg

// Routes returns the routes of all tables and both families.
func Routes() ([]Route, error) {
	received, err := exchange(message{kind: unix.RTM_GETROUTE, flags: unix.NLM_F_DUMP, body: make([]byte, routeHeader)})
	if err != nil {
		return nil, refused(err, "list routes")
	}
	var routes []Route
	for _, m := range received {
		if m.kind != unix.RTM_NEWROUTE {
			continue
		}
		route, ok, err := parseRoute(m)
		if err != nil {
			return nil, refused(err, "list routes")
		}
		if ok {
			routes = append(routes, route)
		}
	}
	return routes, nil
}

// parseRoute reports false for families that are not IP.
func parseRoute(m message) (r Route, ok bool, err error) {
	attributes, err := m.attributes(routeHeader)
	if err != nil {
		return r, false, err
	}
	to := netip.IPv4Unspecified()
	switch m.body[0] {
	case unix.AF_INET:
	case unix.AF_INET6:
		to = netip.IPv6Unspecified()
	default:
		return r, false, nil
	}
	if address, ok := netip.AddrFromSlice(attributes[unix.RTA_DST]); ok {
		to = address
	}
	r = Route{To: netip.PrefixFrom(to, int(m.body[1])), Table: uint32(m.body[4]), Protocol: m.body[5], Scope: m.body[6], Type: m.body[7],
		Index: int(number(attributes[unix.RTA_OIF])), Metric: number(attributes[unix.RTA_PRIORITY]), OnLink: native.Uint32(m.body[8:])&unix.RTNH_F_ONLINK != 0}
	if table := attributes[unix.RTA_TABLE]; table != nil {
		r.Table = number(table)
	}
	r.Gateway, _ = netip.AddrFromSlice(attributes[unix.RTA_GATEWAY])
	r.Source, _ = netip.AddrFromSlice(attributes[unix.RTA_PREFSRC])
	return r, r.To.IsValid(), nil
}

func (r Route) message(kind, flags uint16) message {
	m := message{kind: kind, flags: flags, body: make([]byte, routeHeader)}
	copy(m.body, []byte{family(r.To.Addr()), byte(r.To.Bits()), 0, 0, byte(min(r.Table, 255)), r.Protocol, r.Scope, r.Type})
	if r.OnLink {
		native.PutUint32(m.body[8:], unix.RTNH_F_ONLINK)
	}
	if r.To.Bits() > 0 {
		m.add(unix.RTA_DST, r.To.Masked().Addr().AsSlice())
	}
	if r.Gateway.IsValid() {
		m.add(unix.RTA_GATEWAY, r.Gateway.AsSlice())
	}
	if r.Source.IsValid() {
		m.add(unix.RTA_PREFSRC, r.Source.AsSlice())
	}
	if r.Index != 0 {
		m.addNumber(unix.RTA_OIF, uint32(r.Index))
	}
	if r.Metric != 0 {
		m.addNumber(unix.RTA_PRIORITY, r.Metric)
	}
	m.addNumber(unix.RTA_TABLE, r.Table)
	return m
}

// AddRoute adds a route. With replace it takes the place of one to the same destination.
func AddRoute(r Route, replace bool) error {
	flags := uint16(unix.NLM_F_CREATE | unix.NLM_F_EXCL)
	if replace {
		flags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	}
	_, err := exchange(r.message(unix.RTM_NEWROUTE, flags))
	return refused(err, "add route to %s", r.To)
}

// RemoveRoute removes a route. What is not valid or 0 in it fits any.
func RemoveRoute(r Route) error {
	_, err := exchange(r.message(unix.RTM_DELROUTE, 0))
	return refused(err, "remove route to %s", r.To)
}
