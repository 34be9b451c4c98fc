package netlink

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// back is what the kernel would send of a request.
func back(t *testing.T, m message) message {
	t.Helper()
	all, err := splitMessages(m.encode())
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	return all[0]
}

func TestMessagesThereAndBack(t *testing.T) {
	a := Address{Index: 3, Prefix: netip.MustParsePrefix("10.0.0.1/24"), Broadcast: netip.MustParseAddr("10.0.0.255"), Label: "eth0:1", Scope: unix.RT_SCOPE_LINK}
	if got, ok, err := parseAddress(back(t, a.message(unix.RTM_NEWADDR, 0))); err != nil || !ok || got != a {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	peer := Address{Index: 3, Prefix: netip.MustParsePrefix("10.0.0.1/32"), Peer: netip.MustParsePrefix("10.0.0.2/31")}
	if got, ok, err := parseAddress(back(t, peer.message(unix.RTM_NEWADDR, 0))); err != nil || !ok || got != peer {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	r := Route{To: netip.MustParsePrefix("fd00::/64"), Gateway: netip.MustParseAddr("fd00::1"), Index: 2, Metric: 1000, Table: 1000, Protocol: 3, Type: 1, OnLink: true}
	if got, ok, err := parseRoute(back(t, r.message(unix.RTM_NEWROUTE, 0))); err != nil || !ok || got != r {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	m := message{kind: unix.RTM_NEWLINK, body: make([]byte, linkHeader)}
	native.PutUint32(m.body[4:], 7)
	native.PutUint32(m.body[8:], unix.IFF_UP)
	m.add(unix.IFLA_IFNAME, []byte("eth0\x00"))
	m.addNumber(unix.IFLA_MTU, 1500)
	m.add(unix.IFLA_OPERSTATE, []byte{6})
	if l, err := parseLink(back(t, m)); err != nil || l.Name != "eth0" || l.MTU != 1500 || l.Index != 7 || l.State != 6 || l.Flags != unix.IFF_UP {
		t.Errorf("%+v, %v", l, err)
	}
	refusal := message{kind: unix.NLMSG_ERROR, body: native.AppendUint32(nil, uint32(0xffffffff-uint32(unix.EPERM)+1))}
	if err := back(t, refusal).answer(); err != unix.EPERM {
		t.Error(err)
	}
}

func TestCutOffMessages(t *testing.T) {
	good := Address{Prefix: netip.MustParsePrefix("10.0.0.1/24")}.message(unix.RTM_NEWADDR, 0)
	data := good.encode()
	for n := 1; n < len(data); n++ {
		if _, err := splitMessages(data[:n]); err == nil {
			t.Errorf("%d bytes are taken", n)
		}
	}
	if _, err := (&message{body: []byte{1, 2}}).attributes(8); err == nil {
		t.Error("a header is missing, and nobody says so")
	}
	if _, err := (&message{body: []byte{200, 0, 1, 0}}).attributes(0); err == nil {
		t.Error("an attribute is too long, and nobody says so")
	}
}

func FuzzMessages(f *testing.F) {
	f.Add(Address{Prefix: netip.MustParsePrefix("10.0.0.1/24")}.message(unix.RTM_NEWADDR, 0).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := splitMessages(data)
		if err != nil {
			return
		}
		for _, m := range all {
			_, _ = parseLink(m)
			_ = m.answer()
			if a, ok, err := parseAddress(m); err == nil && ok && !a.Prefix.IsValid() {
				t.Errorf("%+v", a)
			}
			if r, ok, err := parseRoute(m); err == nil && ok && !r.To.IsValid() {
				t.Errorf("%+v", r)
			}
		}
	})
}
