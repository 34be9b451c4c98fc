package toolbox

import (
	"errors"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/netlink"
)

// calls are those of ip, and the servers behind them, one a line.
func calls(a staticAddress) string {
	return strings.TrimSuffix(strings.Join(a.commands, "\n")+"\n"+a.servers, "\n")
}

func TestStaticAddresses(t *testing.T) {
	const up = "link set up\n"
	for _, test := range []struct{ value, device, want string }{
		{"10.0.2.15::10.0.2.2:24::eth0:none", "eth0", up + "address replace 10.0.2.15/24 broadcast +\nroute replace default via 10.0.2.2"},
		{"10.0.2.15::10.0.2.2:255.255.255.0:host:eth0:off", "eth0", up + "address replace 10.0.2.15/24 broadcast +\nroute replace default via 10.0.2.2"},
		{"10.0.2.15:::255.255.240.0:::static", "", up + "address replace 10.0.2.15/20 broadcast +"},
		{"192.168.1.5:::32", "", up + "address replace 192.168.1.5/32 broadcast +"},
		// The mask of the class, as the kernel takes it.
		{"10.0.2.15", "", up + "address replace 10.0.2.15/8 broadcast +"},
		{"172.16.0.1:::::eth1:none", "eth1", up + "address replace 172.16.0.1/16 broadcast +"},
		{"192.168.1.5:::::eth1:none", "eth1", up + "address replace 192.168.1.5/24 broadcast +"},
		// A neighbour is no other end of a line.
		{"10.0.2.15:10.0.2.9:10.0.2.2:24::eth0:none", "eth0", up + "address replace 10.0.2.15/24 broadcast +\nroute replace default via 10.0.2.2"},
		{"10.0.2.15:10.9.9.1:10.9.9.1:32::ppp0:none", "ppp0", up + "address replace 10.0.2.15 peer 10.9.9.1/32\nroute replace default via 10.9.9.1 onlink"},
		{"10.0.2.15:10.9.9.1/30::32::ppp0:none", "ppp0", up + "address replace 10.0.2.15 peer 10.9.9.1/30"},
		// A gateway outside of the network is on the line all the same.
		{"10.0.2.15::172.31.1.1:32::eth0:none", "eth0", up + "address replace 10.0.2.15/32 broadcast +\nroute replace default via 172.31.1.1 onlink"},
		{"[2001:db8::2]::[2001:db8::1]:64::eth0:none", "eth0", up + "address replace 2001:db8::2/64 broadcast +\nroute replace default via 2001:db8::1"},
		{"[2001:db8::2]::[fe80::1]:::eth0:none", "eth0", up + "address replace 2001:db8::2/64 broadcast +\nroute replace default via fe80::1"},
		// What comes behind: the kernel's servers, dracut's MTU and hardware.
		{"10.0.2.15:::24::eth0:none:10.0.2.3:10.0.2.4:10.0.2.5", "eth0", up + "address replace 10.0.2.15/24 broadcast +\nnameserver 10.0.2.3\nnameserver 10.0.2.4"},
		{"10.0.2.15:::24::eth0:none::[2001:db8::3]", "eth0", up + "address replace 10.0.2.15/24 broadcast +\nnameserver 2001:db8::3"},
		{"10.0.2.15:::24::eth0:none:9000", "eth0", "link set up mtu 9000\naddress replace 10.0.2.15/24 broadcast +"},
		{"10.0.2.15:::24::eth0:none:9000:52:54:00:12:34:56", "eth0", "link set up mtu 9000 address 52:54:00:12:34:56\naddress replace 10.0.2.15/24 broadcast +"},
		{"10.0.2.15:::24::eth0:none::52:54:00:12:34:56", "eth0", "link set up address 52:54:00:12:34:56\naddress replace 10.0.2.15/24 broadcast +"},
	} {
		a, err := parseStaticAddress(test.value)
		if got := calls(a); err != nil || a.device != test.device || got != test.want {
			t.Errorf("ip=%s: %v, device %q\n%s\nwant\n%s", test.value, err, a.device, got, test.want)
		}
	}
}

func TestAddressesThatAreNotStatic(t *testing.T) {
	for _, value := range []string{"dhcp", "on", "any", "auto6", "ibft", "", "eth0:dhcp", "enp1s0:auto6:1500", "dhcp,1,01:02", ":::::eth0:dhcp", "::::host::dhcp",
		"10.0.2.15::10.0.2.2:24::eth0:dhcp", "10.0.2.15::10.0.2.2:24::eth0:any", ":::::eth0:none", "10.0.2.300"} {
		if _, err := parseStaticAddress(value); !errors.Is(err, errNotStatic) {
			t.Errorf("ip=%s: %v", value, err)
		}
	}
}

func TestWrongStaticAddresses(t *testing.T) {
	for value, want := range map[string]string{
		"10.0.2.300::10.0.2.2:24::eth0:none":            `"10.0.2.300" is no address`,
		"10.0.2.15/24::10.0.2.2:24::eth0:none":          `"10.0.2.15/24" is no address`,
		"[fe80::1%eth0]:::64::eth0:none":                `"fe80::1%eth0" is no address`,
		"10.0.2.15::gateway:24::eth0:none":              `"gateway" is no address`,
		"10.0.2.15::10.0.2.2/24:24::eth0:none":          `"10.0.2.2/24" is no address`,
		"10.0.2.15:peer::24::eth0:none":                 `"peer" is no address`,
		"10.0.2.15::10.0.2.2:33::eth0:none":             `"33" is no netmask`,
		"10.0.2.15::10.0.2.2:255.0.255.0::eth0:none":    `"255.0.255.0" is no netmask`,
		"10.0.2.15::10.0.2.2:-1::eth0:none":             `"-1" is no netmask`,
		"[2001:db8::2]:::255.255.255.0::eth0:none":      `"255.255.255.0" is no netmask`,
		"[2001:db8::2:::64::eth0:none":                  "a bracket is not closed",
		"10.0.2.15:::24::eth0:none:10.0.2.3:10.0.2.4:x": `"x" is no address`,
	} {
		if _, err := parseStaticAddress(value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ip=%s: %v, want %s", value, err, want)
		}
	}
}

func TestStaticRoutes(t *testing.T) {
	for value, want := range map[string]string{
		"192.168.200.0/24:192.168.100.222:ens10": "route replace 192.168.200.0/24 via 192.168.100.222 dev ens10",
		"192.168.200.0/24:192.168.100.222":       "route replace 192.168.200.0/24 via 192.168.100.222",
		"192.168.200.0/24::ens10":                "route replace 192.168.200.0/24 dev ens10",
		"[2001:DB8:3::/8]:[2001:DB8:2::1]:ens10": "route replace 2000::/8 via 2001:DB8:2::1 dev ens10",
		"192.168.200.7":                          "route replace 192.168.200.7/32",
		"network:192.168.100.222":                "",
		"[2001:DB8:3::/8:192.168.100.222":        "",
		"":                                       "",
	} {
		command, err := parseStaticRoute(value)
		if command != want || (err == nil) != (want != "") {
			t.Errorf("rd.route=%s: %q, %v, want %q", value, command, err, want)
		}
	}
}

// FuzzStaticAddress: whatever ip= says, the calls that are made of it are ones that ip takes for what they say.
func FuzzStaticAddress(f *testing.F) {
	for _, seed := range []string{"10.0.2.15::10.0.2.2:24::eth0:none", "[2001:db8::2]:[2001:db8:1::1/64]:[fe80::1]:64:h:eth0:off:1500:52:54:00:12:34:56",
		"10.0.2.15:10.9.9.1/30:1.2.3.4:255.255.255.0::eth0:static:10.0.2.3::10.0.2.5", "dhcp", "eth0:dhcp", "[", "[::1]x::::::::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		a, err := parseStaticAddress(value)
		if command, err := parseStaticRoute(value); err == nil {
			_, _, _ = new(network).parseRouteWords(strings.Fields(command)[2:])
		}
		if err != nil {
			return
		}
		client, _, _ := strings.Cut(value, ":")
		for _, line := range a.commands {
			command := strings.Fields(line + " dev eth0")
			switch command[0] {
			case "address":
				got, device, err := parseAddressWords(command[2:])
				if err != nil || device != "eth0" || got.Prefix.Addr().Is4() != a.is4 || a.is4 && got.Prefix.Addr().String() != client {
					t.Errorf("ip=%s: %q: %+v, %q, %v", value, command, got, device, err)
				}
			case "route":
				got, device, err := new(network).parseRouteWords(command[2:])
				if (err == nil) != (device == "eth0" && got.Gateway.IsValid() && strings.Contains(a.text, ", and "+got.Gateway.String()+" leads on")) {
					t.Errorf("ip=%s: %q: %+v, %q, %v", value, command, got, device, err)
				}
			}
		}
	})
}

func TestChooseDevice(t *testing.T) {
	was := isHardware
	defer func() { isHardware = was }()
	isHardware = func(name string) bool { return strings.HasPrefix(name, "eth") }
	lo, sit := netlink.Link{Index: 1, Name: "lo"}, netlink.Link{Index: 2, Name: "sit0"}
	one, two := netlink.Link{Index: 3, Name: "eth0"}, netlink.Link{Index: 4, Name: "eth1"}
	for _, test := range []struct {
		links       []netlink.Link
		name        string
		tried, last bool
		want, err   string
	}{
		{[]netlink.Link{lo, sit, one, two}, "eth1", false, false, "eth1", ""},
		{[]netlink.Link{lo, sit}, "sit0", false, false, "sit0", ""},
		// Another one may come until the drivers were loaded.
		{[]netlink.Link{lo, one}, "", false, false, "", ""},
		{[]netlink.Link{lo, sit, one}, "", true, false, "eth0", ""},
		{[]netlink.Link{lo, sit}, "", true, false, "", ""},
		{[]netlink.Link{lo, sit}, "", true, true, "", "is its driver in this image?"},
		{[]netlink.Link{lo, one, two}, "", true, false, "", "name one of the network devices eth0 eth1"},
		// A name that udev would give.
		{[]netlink.Link{lo, sit, one}, "enp1s0", true, false, "", ""},
		{[]netlink.Link{lo, sit, one}, "enp1s0", true, true, "eth0", ""},
		{[]netlink.Link{lo, one, two}, "enp1s0", true, true, "", "name one of the network devices eth0 eth1"},
		{[]netlink.Link{lo, sit}, "eth0", true, true, "", "is its driver in this image?"},
	} {
		i, err := chooseDevice(test.links, test.name, test.tried, test.last)
		got := ""
		if i >= 0 {
			got = test.links[i].Name
		}
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%q of %v (%v, %v): %q, %v", test.name, test.links, test.tried, test.last, got, err)
		}
	}
}
