package toolbox

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/netlink"
)

func (n *network) address(action string, words []string) error {
	action = whole(action, "add", "change", "replace", "delete", "del", "flush", "show", "list")
	switch action {
	case "":
		return wrongUse("ip addr: one of show, add, del and flush is needed")
	case "show", "list":
		return n.show(words, true)
	}
	a, device, err := parseAddressWords(words)
	if err != nil {
		return err
	}
	if device == "" {
		return wrongUse("ip addr %s: dev DEVICE is needed", action)
	}
	l, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	a.Index = l.Index
	switch {
	case action == "flush":
		return n.flushAddresses(l, a)
	case !a.Prefix.IsValid():
		return wrongUse("ip addr %s: name an address", action)
	case action == "del" || action == "delete":
		return netlink.RemoveAddress(a)
	}
	return netlink.AddAddress(a, action != "add")
}

// flushAddresses removes all addresses of a device, or those of a family.
func (n *network) flushAddresses(l netlink.Link, a netlink.Address) error {
	if a.Prefix.IsValid() {
		return wrongUse("ip addr flush: only dev DEVICE is taken")
	}
	all, err := netlink.Addresses()
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.Index == l.Index && n.wants(a.Prefix.Addr()) {
			// Others may have gone with the first one of their network.
			if err := netlink.RemoveAddress(a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				return err
			}
		}
	}
	return nil
}

var scopes = []struct {
	number uint8
	name   string
}{
	{unix.RT_SCOPE_UNIVERSE, "global"}, {unix.RT_SCOPE_SITE, "site"}, {unix.RT_SCOPE_LINK, "link"}, {unix.RT_SCOPE_HOST, "host"}, {unix.RT_SCOPE_NOWHERE, "nowhere"},
}

func scopeName(number uint8) string {
	for _, scope := range scopes {
		if scope.number == number {
			return scope.name
		}
	}
	return strconv.Itoa(int(number))
}

func parseScope(text string) (uint8, error) {
	for _, scope := range scopes {
		if scope.name == text {
			return scope.number, nil
		}
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return 0, wrongUse("%q is no scope", text)
	}
	return uint8(n), nil
}

// parsePrefix reads ADDRESS[/BITS]; without bits it is one address.
func parsePrefix(text string) (netip.Prefix, error) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, wrongUse("%q is no address", text)
	}
	return netip.PrefixFrom(address, address.BitLen()), nil
}

// parseAddressWords reads [local] ADDRESS/BITS dev DEVICE [peer ADDRESS/BITS] [broadcast ADDRESS|+] [scope SCOPE] [label NAME].
func parseAddressWords(words []string) (a netlink.Address, device string, err error) {
	spread := false
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		value := word
		if isWord(word, "local", "dev", "peer", "broadcast", "brd", "scope", "label") {
			if len(words) == 0 {
				return a, "", wrongUse("ip addr: %s needs a value", word)
			}
			value, words = words[0], words[1:]
		}
		switch word {
		case "dev":
			device = value
		case "label":
			a.Label = value
		case "scope":
			a.Scope, err = parseScope(value)
		case "peer":
			a.Peer, err = parsePrefix(value)
		case "broadcast", "brd":
			if spread = value == "+"; !spread {
				if a.Broadcast, err = netip.ParseAddr(value); err != nil {
					err = wrongUse("%q is no address", value)
				}
			}
		default:
			if a.Prefix.IsValid() {
				return a, "", wrongUse("ip addr: %q was not expected", word)
			}
			a.Prefix, err = parsePrefix(value)
		}
		if err != nil {
			return a, "", err
		}
	}
	if a.Prefix.IsValid() {
		if a.Peer.IsValid() && a.Peer.Addr().Is4() != a.Prefix.Addr().Is4() || a.Broadcast.IsValid() && !(a.Broadcast.Is4() && a.Prefix.Addr().Is4()) {
			return a, "", wrongUse("ip addr: addresses of both families are mixed")
		}
		if a.Prefix.Addr().IsLoopback() && a.Prefix.Addr().Is4() && a.Scope == 0 {
			a.Scope = unix.RT_SCOPE_HOST
		}
		if spread {
			a.Broadcast = broadcastOf(a.Prefix)
		}
	}
	return a, device, nil
}

// broadcastOf is the last address of an IPv4 network; not valid for one without room.
func broadcastOf(prefix netip.Prefix) netip.Addr {
	if !prefix.Addr().Is4() || prefix.Bits() > 30 {
		return netip.Addr{}
	}
	bytes := prefix.Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(bytes)
}

func (n *network) showAddress(a netlink.Address) {
	word := "inet6"
	if a.Prefix.Addr().Is4() {
		word = "inet"
	}
	text := a.Prefix.String()
	if a.Peer.IsValid() {
		text = a.Prefix.Addr().String() + " peer " + a.Peer.String()
	}
	fmt.Fprintf(n.out, "    %s %s", word, text)
	if a.Broadcast.IsValid() {
		fmt.Fprintf(n.out, " brd %s", a.Broadcast)
	}
	fmt.Fprintf(n.out, " scope %s", scopeName(a.Scope))
	for _, f := range []struct {
		flag uint32
		name string
	}{{unix.IFA_F_SECONDARY, "secondary"}, {unix.IFA_F_TENTATIVE, "tentative"}, {unix.IFA_F_DADFAILED, "dadfailed"}, {unix.IFA_F_DEPRECATED, "deprecated"}} {
		if a.Flags&f.flag != 0 {
			fmt.Fprintf(n.out, " %s", f.name)
		}
	}
	if a.Flags&unix.IFA_F_PERMANENT == 0 {
		fmt.Fprint(n.out, " dynamic")
	}
	if a.Label != "" {
		fmt.Fprintf(n.out, " %s", n.text(a.Label))
	}
	fmt.Fprintln(n.out)
}
