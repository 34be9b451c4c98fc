package toolbox

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/netlink"
)

var routeTypes = []string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw"}

// protocolName is who made a route, "" for others.
func protocolName(protocol uint8) string {
	switch protocol {
	case unix.RTPROT_REDIRECT:
		return "redirect"
	case unix.RTPROT_KERNEL:
		return "kernel"
	case unix.RTPROT_BOOT:
		return "boot"
	case unix.RTPROT_STATIC:
		return "static"
	case unix.RTPROT_RA:
		return "ra"
	case unix.RTPROT_DHCP:
		return "dhcp"
	}
	return ""
}

func (n *network) route(action string, words []string) error {
	action = whole(action, "add", "append", "change", "replace", "delete", "del", "show", "list")
	switch action {
	case "":
		return wrongUse("ip route: one of show, add, del and replace is needed")
	case "show", "list":
		return n.showRoutes(words)
	case "append", "change":
		return wrongUse("ip route: there is no %s; replace takes the place of a route", action)
	}
	r, device, err := n.parseRouteWords(words)
	if err != nil {
		return err
	}
	if device != "" {
		l, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		r.Index = l.Index
	}
	if strings.HasPrefix(action, "del") {
		r.Protocol, r.Type = 0, 0
		if r.Scope == unix.RT_SCOPE_LINK || r.Scope == 0 {
			r.Scope = unix.RT_SCOPE_NOWHERE
		}
		return netlink.RemoveRoute(r)
	}
	return netlink.AddRoute(r, action == "replace")
}

// parseRouteWords reads default|ADDRESS[/BITS] [via ADDRESS] [dev DEVICE] [src ADDRESS] [metric N] [table N] [scope SCOPE] [onlink].
func (n *network) parseRouteWords(words []string) (r netlink.Route, device string, err error) {
	r = netlink.Route{Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_BOOT, Type: unix.RTN_UNICAST}
	named, isDefault, scoped := false, false, false
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		value := word
		if isWord(word, "to", "via", "dev", "src", "metric", "table", "scope", "proto") {
			if len(words) == 0 {
				return r, "", wrongUse("ip route: %s needs a value", word)
			}
			value, words = words[0], words[1:]
		}
		switch word {
		case "via":
			if r.Gateway, err = netip.ParseAddr(value); err != nil {
				err = wrongUse("%q is no address", value)
			}
		case "src":
			if r.Source, err = netip.ParseAddr(value); err != nil {
				err = wrongUse("%q is no address", value)
			}
		case "dev":
			device = value
		case "metric":
			r.Metric, err = parseRouteNumber(value)
		case "table":
			switch value {
			case "main":
			case "local":
				r.Table = unix.RT_TABLE_LOCAL
			default:
				r.Table, err = parseRouteNumber(value)
			}
		case "scope":
			scoped = true
			r.Scope, err = parseScope(value)
		case "proto":
			// Who added it makes no difference.
		case "onlink":
			r.OnLink = true
		default:
			if named {
				return r, "", wrongUse("ip route: %q was not expected", word)
			}
			named = true
			if isDefault = value == "default"; !isDefault {
				r.To, err = parsePrefix(value)
			}
		}
		if err != nil {
			return r, "", err
		}
	}
	if !named {
		return r, "", wrongUse("ip route: name a destination, or default")
	}
	if isDefault {
		to := netip.IPv4Unspecified()
		if n.family == unix.AF_INET6 || r.Gateway.Is6() {
			to = netip.IPv6Unspecified()
		}
		r.To = netip.PrefixFrom(to, 0)
	}
	if r.To != r.To.Masked() {
		return r, "", wrongUse("%s: the network is %s", r.To, r.To.Masked())
	}
	if r.Gateway.IsValid() && r.Gateway.Is4() != r.To.Addr().Is4() || r.Source.IsValid() && r.Source.Is4() != r.To.Addr().Is4() {
		return r, "", wrongUse("ip route: addresses of both families are mixed")
	}
	if !scoped && !r.Gateway.IsValid() && r.To.Addr().Is4() {
		r.Scope = unix.RT_SCOPE_LINK
	}
	return r, device, nil
}

func parseRouteNumber(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, wrongUse("%q is no number", text)
	}
	return uint32(n), nil
}

func (n *network) showRoutes(words []string) error {
	table, device := uint32(unix.RT_TABLE_MAIN), ""
	for len(words) > 0 {
		switch {
		case words[0] == "table" && len(words) > 1 && words[1] == "all":
			table = 0
		case words[0] == "table" && len(words) > 1 && words[1] == "local":
			table = unix.RT_TABLE_LOCAL
		case words[0] == "table" && len(words) > 1 && words[1] == "main":
		case words[0] == "table" && len(words) > 1:
			var err error
			if table, err = parseRouteNumber(words[1]); err != nil {
				return err
			}
		case words[0] == "dev" && len(words) > 1:
			device = words[1]
		default:
			return wrongUse("ip route show: %q was not expected", words[0])
		}
		words = words[2:]
	}
	routes, err := netlink.Routes()
	if err != nil {
		return err
	}
	links, err := netlink.Links()
	if err != nil {
		return err
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Index] = l.Name
	}
	for _, r := range routes {
		// As the usual tool does, IPv4 unless -6 is given.
		if (table != 0 && r.Table != table) || (device != "" && names[r.Index] != device) || r.To.Addr().Is4() == (n.family == unix.AF_INET6) {
			continue
		}
		fmt.Fprintln(n.out, n.text(routeText(r, names[r.Index])))
	}
	return nil
}

func routeText(r netlink.Route, device string) string {
	var words []string
	if r.Type != unix.RTN_UNICAST && int(r.Type) < len(routeTypes) {
		words = append(words, routeTypes[r.Type])
	}
	switch {
	case r.To.Bits() == 0:
		words = append(words, "default")
	case r.To.IsSingleIP():
		words = append(words, r.To.Addr().String())
	default:
		words = append(words, r.To.String())
	}
	if r.Gateway.IsValid() {
		words = append(words, "via", r.Gateway.String())
	}
	if device != "" {
		words = append(words, "dev", device)
	}
	if r.Table != unix.RT_TABLE_MAIN {
		words = append(words, "table", strconv.Itoa(int(r.Table)))
	}
	if name := protocolName(r.Protocol); name != "" && r.Protocol != unix.RTPROT_BOOT {
		words = append(words, "proto", name)
	}
	if r.Scope != unix.RT_SCOPE_UNIVERSE {
		words = append(words, "scope", scopeName(r.Scope))
	}
	if r.Source.IsValid() {
		words = append(words, "src", r.Source.String())
	}
	if r.Metric != 0 {
		words = append(words, "metric", strconv.FormatUint(uint64(r.Metric), 10))
	}
	if r.OnLink {
		words = append(words, "onlink")
	}
	return strings.Join(words, " ")
}
