package toolbox

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"github.com/preroot/preroot/internal/sentinel"
)

// staticAddress is what one ip= says: CLIENT:[PEER]:[GATEWAY]:[NETMASK]:[HOSTNAME]:[DEVICE]:[METHOD], behind which come name
// servers (nfsroot.rst of the kernel), or an MTU and an address of the hardware (dracut.cmdline(7)). Nobody here needs the host's name.
type staticAddress struct {
	// device is empty for the only one there is.
	device string
	// commands are calls of ip that do it, but for the device.
	commands []string
	is4      bool
	// text is for people, servers are lines of resolv.conf(5).
	text, servers string
}

const errNotStatic = sentinel.Error("only static addresses are set here, as in ip=ADDRESS::GATEWAY:BITS::DEVICE:none")

// splitFields splits at colons, but for those in brackets, which go.
func splitFields(text string) (fields []string, err error) {
	for more := true; more; {
		inside := ""
		if text != "" && text[0] == '[' {
			if inside, text, more = strings.Cut(text[1:], "]"); !more {
				return nil, wrongUse("a bracket is not closed")
			}
		}
		var field string
		field, text, more = strings.Cut(text, ":")
		fields = append(fields, inside+field)
	}
	return fields, nil
}

// parseAddress reads an address without a zone.
func parseAddress(text string) (netip.Addr, error) {
	prefix, err := parsePrefix(text)
	if err == nil && !prefix.IsSingleIP() {
		err = wrongUse("%q is no address", text)
	}
	return prefix.Addr(), err
}

// parseStaticAddress reads the value of ip=.
func parseStaticAddress(value string) (a staticAddress, err error) {
	all, err := splitFields(value)
	if err != nil {
		return a, err
	}
	var fields [7]string
	more := all[copy(fields[:], all):]
	client, err := parseAddress(fields[0])
	switch fields[6] {
	case "", "none", "off", "static":
		if err == nil {
			break
		}
		if fields[0] != "" && len(all) > 3 {
			return a, err
		}
		fallthrough
	default:
		return a, errNotStatic
	}
	length, err := parseNetmask(client, fields[3])
	if err != nil {
		return a, err
	}
	prefix := netip.PrefixFrom(client, length)
	a.device, a.is4, a.text = fields[5], client.Is4(), prefix.String()
	link, address, route := "link set up", "address replace "+a.text+" broadcast +", ""
	if fields[1] != "" {
		peer, err := parsePrefix(fields[1])
		if err != nil {
			return a, err
		}
		// The kernel has a server here, which can be a neighbour as others are.
		if !prefix.Contains(peer.Addr()) {
			address = "address replace " + client.String() + " peer " + peer.String()
		}
	}
	if fields[2] != "" {
		gateway, err := parseAddress(fields[2])
		if err != nil {
			return a, err
		}
		route = "route replace default via " + gateway.String()
		if !prefix.Contains(gateway) && !gateway.IsLinkLocalUnicast() {
			route += " onlink"
		}
		a.text += ", and " + gateway.String() + " leads on"
	}
	for i, text := range more {
		_, err := parseAddress(text)
		if text == "" {
			continue
		}
		switch {
		case err == nil && i < 2:
			a.servers += "nameserver " + text + "\n"
		case err == nil:
			// One for the time.
		case i == 0:
			link += " mtu " + text
		case i == 1:
			link += " address " + strings.Join(more[1:], ":")
			clear(more[2:])
		default:
			return a, err
		}
	}
	a.commands = append(a.commands, link, address)
	if route != "" {
		a.commands = append(a.commands, route)
	}
	return a, nil
}

// parseNetmask reads the length of a prefix, or a mask of IPv4. Without one the length is that of the address's class, as the kernel has it.
func parseNetmask(client netip.Addr, text string) (int, error) {
	if text == "" {
		switch first := client.AsSlice()[0]; {
		case client.Is6():
			return 64, nil
		case first < 128:
			return 8, nil
		case first < 192:
			return 16, nil
		}
		return 24, nil
	}
	if n, err := strconv.ParseUint(text, 10, 8); err == nil && int(n) <= client.BitLen() {
		return int(n), nil
	}
	if mask, err := netip.ParseAddr(text); err == nil && mask.Is4() && client.Is4() {
		m := binary.BigEndian.Uint32(mask.AsSlice())
		if length := bits.LeadingZeros32(^m); m<<length == 0 {
			return length, nil
		}
	}
	return 0, wrongUse("%q is no netmask", text)
}

// parseStaticRoute reads the value of rd.route=NETWORK/BITS:[GATEWAY][:DEVICE] as a call of ip (dracut.cmdline(7)).
func parseStaticRoute(value string) (string, error) {
	fields, err := splitFields(value)
	if err != nil {
		return "", err
	}
	to, err := parsePrefix(fields[0])
	if err != nil {
		return "", err
	}
	command := "route replace " + to.Masked().String()
	for i, field := range fields[1:] {
		if field != "" {
			command += [...]string{" via ", " dev ", " "}[min(i, 2)] + field
		}
	}
	return command, nil
}
