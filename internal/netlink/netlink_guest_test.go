//go:build guest

package netlink_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/netlink"
)

// The loopback device is in every kernel: it gets addresses and routes, and loses them.
func TestLoopback(t *testing.T) {
	lo, err := netlink.LinkByName("lo")
	if err != nil || lo.Flags&unix.IFF_LOOPBACK == 0 || lo.MTU == 0 {
		t.Fatalf("%+v, %v", lo, err)
	}
	yes, mtu := true, uint32(9000)
	if err := netlink.SetLink(lo, netlink.LinkChange{Up: &yes, MTU: &mtu}); err != nil {
		t.Fatal(err)
	}
	if lo, err = netlink.LinkByName("lo"); err != nil || lo.Flags&unix.IFF_UP == 0 || lo.MTU != 9000 {
		t.Fatalf("%+v, %v", lo, err)
	}
	for _, text := range []string{"10.9.8.7/24", "fd00::7/64"} {
		a := netlink.Address{Index: lo.Index, Prefix: netip.MustParsePrefix(text)}
		if err := netlink.AddAddress(a, false); err != nil {
			t.Fatal(err)
		}
		if err := netlink.AddAddress(a, false); !errors.Is(err, unix.EEXIST) {
			t.Errorf("a second time: %v", err)
		}
		has := func() bool {
			all, err := netlink.Addresses()
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(all, func(b netlink.Address) bool { return b.Prefix == a.Prefix && b.Index == lo.Index })
		}
		if !has() {
			t.Errorf("%s is not there", text)
		}
		to := netip.MustParsePrefix(map[bool]string{true: "10.20.0.0/16", false: "fd20::/32"}[a.Prefix.Addr().Is4()])
		r := netlink.Route{To: to, Index: lo.Index, Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_BOOT, Type: unix.RTN_UNICAST}
		if to.Addr().Is4() {
			r.Scope = unix.RT_SCOPE_LINK
		}
		if err := netlink.AddRoute(r, false); err != nil {
			t.Fatal(err)
		}
		routes, err := netlink.Routes()
		if err != nil || !slices.ContainsFunc(routes, func(b netlink.Route) bool { return b.To == to && b.Index == lo.Index }) {
			t.Errorf("%s is not there: %v", to, err)
		}
		if err := netlink.RemoveRoute(netlink.Route{To: to, Table: unix.RT_TABLE_MAIN, Scope: unix.RT_SCOPE_NOWHERE}); err != nil {
			t.Error(err)
		}
		if err := netlink.RemoveAddress(a); err != nil || has() {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := netlink.SetLink(netlink.Link{Index: 99, Name: "none"}, netlink.LinkChange{Up: &yes}); !errors.Is(err, unix.ENODEV) {
		t.Error(err)
	}
}
