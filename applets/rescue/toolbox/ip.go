package toolbox

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/netlink"
)

// ip shows and changes network devices (link), addresses and routes, each by any beginning of its word, as in "ip a", and does what
// the kernel command line says of them (cmdline).
func ip(c *call) error {
	words := c.Arguments[1:]
	family := byte(0)
	brief := false
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		switch words[0] {
		case "-4":
			family = unix.AF_INET
		case "-6":
			family = unix.AF_INET6
		case "-br", "-brief", "-c", "-color":
			brief = brief || words[0][1] == 'b'
		default:
			return wrongUse("there is no option %s", words[0])
		}
		words = words[1:]
	}
	n := &network{call: c, family: family, brief: brief}
	err := n.do(words)
	switch err.(type) {
	case nil, usageError, exitCode:
		return err
	}
	c.complain(err)
	return exitCode(2)
}

// do runs one call without its options.
func (n *network) do(words []string) error {
	object, action := "", "show"
	if len(words) > 0 {
		object, words = words[0], words[1:]
	}
	if object == "cmdline" {
		return n.cmdline(words)
	}
	if len(words) > 0 {
		action, words = words[0], words[1:]
	}
	switch whole(object, "link", "address", "route") {
	case "link":
		return n.link(action, words)
	case "address":
		return n.address(action, words)
	case "route":
		return n.route(action, words)
	}
	return wrongUse("%q: one of link, addr, route and cmdline is needed", object)
}

// network is one call of ip.
type network struct {
	*call
	family byte
	brief  bool
}

// whole returns the first word that begins so, "" if none does.
func whole(beginning string, words ...string) string {
	if i := slices.IndexFunc(words, func(w string) bool { return beginning != "" && strings.HasPrefix(w, beginning) }); i >= 0 {
		return words[i]
	}
	return ""
}

func isWord(word string, of ...string) bool { return slices.Contains(of, word) }

func (n *network) link(action string, words []string) error {
	switch whole(action, "show", "list", "set") {
	case "set":
		return n.setLink(words)
	case "":
		return wrongUse("ip link %s: one of show and set is needed", action)
	}
	return n.show(words, false)
}

// show shows devices, with their addresses or without.
func (n *network) show(words []string, withAddresses bool) error {
	if len(words) > 0 && words[0] == "dev" {
		words = words[1:]
	}
	onlyUp := false
	if len(words) > 0 && words[0] == "up" {
		onlyUp, words = true, words[1:]
	}
	if len(words) > 1 {
		return wrongUse("%q was not expected", words[1])
	}
	links, err := netlink.Links()
	if err != nil {
		return err
	}
	var addresses []netlink.Address
	if withAddresses {
		if addresses, err = netlink.Addresses(); err != nil {
			return err
		}
	}
	if len(words) == 1 {
		links = slices.DeleteFunc(links, func(l netlink.Link) bool { return l.Name != words[0] })
		if len(links) == 0 {
			return fmt.Errorf("there is no network device %q", words[0])
		}
	}
	for _, l := range links {
		if onlyUp && l.Flags&unix.IFF_UP == 0 {
			continue
		}
		if n.brief {
			n.showBrief(l, addresses, withAddresses)
			continue
		}
		if n.family == 0 || !withAddresses || slices.ContainsFunc(addresses, func(a netlink.Address) bool { return a.Index == l.Index && n.wants(a.Prefix.Addr()) }) {
			n.showLink(l)
		}
		for _, a := range addresses {
			if a.Index == l.Index && n.wants(a.Prefix.Addr()) {
				n.showAddress(a)
			}
		}
	}
	return nil
}

func (n *network) wants(address netip.Addr) bool {
	return n.family == 0 || (n.family == unix.AF_INET) == address.Is4()
}

var linkStates = []string{"UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"}

func stateOf(l netlink.Link) string {
	if int(l.State) < len(linkStates) {
		return linkStates[l.State]
	}
	return strconv.Itoa(int(l.State))
}

func (n *network) showLink(l netlink.Link) {
	queueing := l.Queueing
	if queueing == "" {
		queueing = "noop"
	}
	fmt.Fprintf(n.out, "%d: %s: <%s> mtu %d qdisc %s state %s", l.Index, n.text(l.Name), flagNames(l.Flags), l.MTU, queueing, stateOf(l))
	if l.Length > 0 {
		fmt.Fprintf(n.out, " qlen %d", l.Length)
	}
	fmt.Fprintf(n.out, "\n    link/%s %s brd %s\n", hardwareType(l.Type), hardware(l.Hardware), hardware(l.Broadcast))
}

func (n *network) showBrief(l netlink.Link, addresses []netlink.Address, withAddresses bool) {
	line := fmt.Sprintf("%-16s %-14s", l.Name, stateOf(l))
	if !withAddresses {
		line += " " + hardware(l.Hardware) + " <" + flagNames(l.Flags) + ">"
	}
	for _, a := range addresses {
		if a.Index == l.Index && n.wants(a.Prefix.Addr()) {
			line += " " + a.Prefix.String()
		}
	}
	fmt.Fprintln(n.out, strings.TrimRight(n.text(line), " "))
}

func hardwareType(kind uint16) string {
	switch kind {
	case unix.ARPHRD_ETHER:
		return "ether"
	case unix.ARPHRD_LOOPBACK:
		return "loopback"
	case unix.ARPHRD_NONE:
		return "none"
	}
	return strconv.Itoa(int(kind))
}

func hardware(address []byte) string {
	var parts []string
	for _, b := range address {
		parts = append(parts, fmt.Sprintf("%02x", b))
	}
	return strings.Join(parts, ":")
}

func flagNames(flags uint32) string {
	names := []string{}
	if flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING == 0 {
		names = append(names, "NO-CARRIER")
	}
	for _, f := range []struct {
		flag uint32
		name string
	}{
		{unix.IFF_LOOPBACK, "LOOPBACK"}, {unix.IFF_BROADCAST, "BROADCAST"}, {unix.IFF_POINTOPOINT, "POINTOPOINT"}, {unix.IFF_MULTICAST, "MULTICAST"},
		{unix.IFF_NOARP, "NOARP"}, {unix.IFF_ALLMULTI, "ALLMULTI"}, {unix.IFF_PROMISC, "PROMISC"}, {unix.IFF_MASTER, "MASTER"}, {unix.IFF_SLAVE, "SLAVE"},
		{unix.IFF_DYNAMIC, "DYNAMIC"}, {unix.IFF_UP, "UP"}, {unix.IFF_LOWER_UP, "LOWER_UP"}, {unix.IFF_DORMANT, "DORMANT"}, {unix.IFF_ECHO, "ECHO"},
	} {
		if flags&f.flag != 0 {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ",")
}

func (n *network) setLink(words []string) error {
	var change netlink.LinkChange
	device := ""
	yes, no := true, false
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		switch word {
		case "up":
			change.Up = &yes
			continue
		case "down":
			change.Up = &no
			continue
		}
		if !isWord(word, "dev", "mtu", "name", "address") {
			if device != "" {
				return wrongUse("ip link set: %q was not expected", word)
			}
			device = word
			continue
		}
		if len(words) == 0 {
			return wrongUse("ip link set: %s needs a value", word)
		}
		value := words[0]
		words = words[1:]
		switch word {
		case "dev":
			device = value
		case "mtu":
			mtu, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return wrongUse("%q is no MTU", value)
			}
			bytes := uint32(mtu)
			change.MTU = &bytes
		case "name":
			change.Name = value
		case "address":
			bytes, err := hex.DecodeString(strings.ReplaceAll(value, ":", ""))
			if err != nil || len(bytes) == 0 || len(value) != 3*len(bytes)-1 {
				return wrongUse("%q is no address of hardware", value)
			}
			change.Hardware = bytes
		}
	}
	if device == "" {
		return wrongUse("ip link set: name a device")
	}
	l, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	return netlink.SetLink(l, change)
}
