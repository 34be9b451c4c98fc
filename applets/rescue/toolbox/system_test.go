package toolbox

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/mountinfo"
	"github.com/preroot/preroot/internal/netlink"
)

func TestRecords(t *testing.T) {
	for raw, want := range map[string]record{
		"6,339,5140900,-;NET: Registered\n":                           {6, 0, 5140900 * time.Microsecond, "NET: Registered"},
		"30,340,5690716,-,caller=T1;systemd: x\\x0ay\n SUBSYSTEM=a\n": {6, 3, 5690716 * time.Microsecond, "systemd: x\ny"},
		"4,1,0,c;a\\xzz;b": {4, 0, 0, `a\xzz;b`},
	} {
		got, err := parseRecord(raw)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", raw, got, err)
		}
	}
	for _, bad := range []string{"", "x", "6,339;x", "a,1,2,-;x", "6,1,x,-;x", "6,1,-3,-;x"} {
		if got, err := parseRecord(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
	r := record{3, 0, 1500 * time.Millisecond, "x"}
	for letters, want := range map[string]string{"": "[    1.500000] ", "r": "<3>[    1.500000] ", "x": "kern  :err   : [    1.500000] ", "t": ""} {
		var set options
		for _, letter := range []byte(letters) {
			set = append(set, given{letter, ""})
		}
		if got := r.prefix(set, time.Time{}); got != want {
			t.Errorf("%s: %q, want %q", letters, got, want)
		}
	}
	for value, want := range map[string][]int{"err": {3}, "err,info": {3, 6}, "crit+": {0, 1, 2}, "+info": {6, 7}} {
		wanted, err := logFilter(options{{'l', value}})
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for level := range levels {
			if wanted(record{level: level}) {
				got = append(got, level)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", value, got, want)
		}
	}
	runSteps(t, "", []step{{line: "dmesg -l nonsense", code: 1, err: "one of emerg"}, {line: "dmesg -n 9", code: 1, err: "1 to 8"}, {line: "dmesg x", code: 1, err: "takes no names"}})
}

func FuzzRecord(f *testing.F) {
	f.Add("6,339,5140900,-;NET: Registered\\x0a\n A=b\n")
	f.Fuzz(func(t *testing.T, raw string) {
		if r, err := parseRecord(raw); err == nil && (r.level > 7 || r.since < 0 || len(r.text) > len(raw)) {
			t.Errorf("%q: %+v", raw, r)
		}
	})
}

func TestProcesses(t *testing.T) {
	const fields = " S 1 77 77 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 5 1000 25 18446744073709551615 1 1"
	got, err := parseStat("77 (odd) name)" + fields)
	want := process{id: 77, parent: 1, name: "odd) name", state: 'S', cpu: 2 * time.Second, resident: 25 * int64(os.Getpagesize())}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "77 x", "77 (x)", "x (x)" + fields, "77 (x) S 1", "77 )x(" + fields} {
		if got, err := parseStat(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
	if got := run(t, "", "", "ps aux"); got.code != 0 || !strings.Contains(got.out, "PID") || !strings.Contains(got.out, "toolbox.test") {
		t.Errorf("%+v", got)
	}
	if got := run(t, "", "", "free -m"); got.code != 0 || !strings.Contains(got.out, "available") || !strings.Contains(got.out, "\nSwap:") {
		t.Errorf("%+v", got)
	}
	if got := parseMemory("MemTotal:   16 kB\nbad\nX: -1 kB\n"); !reflect.DeepEqual(got, map[string]int64{"MemTotal": 16 << 10}) {
		t.Error(got)
	}
}

func FuzzStat(f *testing.F) {
	f.Add("77 (x) S 1 77 77 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 5 1000 25 1")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parseStat(text); err == nil && p.id < 0 {
			t.Errorf("%q: %+v", text, p)
		}
	})
}

func TestModulesFile(t *testing.T) {
	got := parseModules("dm_verity 45056 1 - Live 0x0\ndm_mod 200704 3 dm_verity,x, Live 0x0 (E)\nshort\nreed 1 1 [permanent], Live 0x0\n")
	want := []loadedModule{{"dm_verity", "45056", "1", []string{}}, {"dm_mod", "200704", "3", []string{"dm_verity", "x"}}, {"reed", "1", "1", []string{}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestMountWords(t *testing.T) {
	if got := splitOptions(`ro,,context="a,b",x`); !slices.Equal(got, []string{"ro", `context="a,b"`, "x"}) {
		t.Errorf("%q", got)
	}
	m := &mountCall{words: splitOptions("bind,ro,rslave,remount")}
	m.takeWords()
	if !m.bind || m.recursive || !m.remount || m.propagation == 0 || !slices.Equal(m.words, []string{"ro"}) {
		t.Errorf("%+v", m)
	}
	flags, data := mountFlags([]string{"defaults", "ro", "rw", "nosuid", "size=1", "x-y", "noexec"})
	if flags != 2|8 || data != "size=1" {
		t.Errorf("%x %q", flags, data)
	}
	if got := mergedOptions(mountinfo.Mount{Options: "rw,relatime", SuperOptions: "ro,errors=continue,relatime"}); got != "ro,relatime,errors=continue" {
		t.Error(got)
	}
	runSteps(t, t.TempDir(), []step{
		{line: "mount a", code: 32, err: "a"}, {line: "mount a b c", code: 1, err: "usage"}, {line: "mount -a", code: 1, err: "there is no -a"}, {line: "mount nothing DIR", code: 32, err: "no such file"},
		{line: "umount", code: 1, err: "usage"}, {line: "chroot", code: 125, err: "usage"}, {line: "chroot gone", code: 125, err: "gone: no such file"},
	})
	if got := run(t, "", "", "mount"); got.code != 0 || !strings.Contains(got.out, " on /proc type proc (") {
		t.Errorf("%+v", got)
	}
}

func TestTags(t *testing.T) {
	var out bytes.Buffer
	command, _ := Lookup("blkid")
	if code := command.Run(t.Context(), Call{Stdout: &out, Stderr: &out, Arguments: []string{"blkid", "-o", "odd"}}); code != 4 {
		t.Errorf("%d, %s", code, out.String())
	}
	if got := safe("a\x1b[2J\x80\x7f"); got != "a^[[2JM-^@^?" {
		t.Errorf("%q", got)
	}
	if got := exported("a b$(x)"); got != `a\ b\$\(x\)` {
		t.Errorf("%q", got)
	}
	for _, pair := range [][2]string{{"sda2", "sda10"}, {"sda", "sdb"}, {"sda", "sda1"}, {"nvme0n1p2", "nvme0n2"}} {
		if compareNames(pair[0], pair[1]) >= 0 || compareNames(pair[1], pair[0]) <= 0 || compareNames(pair[0], pair[0]) != 0 {
			t.Error(pair)
		}
	}
}

// The keys of a person move the window.
func TestPager(t *testing.T) {
	var text strings.Builder
	for i := range 100 {
		text.WriteString("line " + string(rune('a'+i%26)) + strings.Repeat("x", i) + "\n")
	}
	for keys, want := range map[string]int{
		"": 0, " ": 24, "f\x1b[6~": 48, "  b": 24, "j\r\x1b[B": 3, "jjk": 1, "G": 101, "Gk": 100, "Gg": 0, "d": 12, "/line c\r": 2, "/line c\rn": 28, "/line c\rnN": 2, "/nothing\r": 0, "/(\r": 0,
		"/ab\x7f\x7fline d\r": 3, "G?line z\r": 79, "\x1b[4~": 101, "h": 0, "/\x03 ": 24,
	} {
		p := newPager(text.String(), "title", 80, 25)
		var screen bytes.Buffer
		if err := p.run(strings.NewReader(keys+"q j"), &screen); err != nil || p.top != want {
			t.Errorf("%q: top %d, want %d; %v", keys, p.top, want, err)
		}
		if !strings.Contains(screen.String(), "q quit") {
			t.Errorf("%q: no help in %q", keys, screen.String())
		}
	}
	// 100 lines, of which those longer than 80 columns take two.
	if p := newPager(text.String(), "", 80, 25); len(p.lines) != 125 || len(p.lines)-p.last() != 24 {
		t.Errorf("%d lines", len(p.lines))
	}
	p := newPager("a\tb\x1b[31m\xff", "t", 20, 5)
	if p.lines[0] != "a       b?[31m?" {
		t.Errorf("%q", p.lines[0])
	}
}

func TestAddressWords(t *testing.T) {
	for line, want := range map[string]string{
		"10.0.0.1/24 dev eth0":             "10.0.0.1/24 eth0  0",
		"10.0.0.1/24 brd + dev eth0":       "10.0.0.1/24 eth0 10.0.0.255 0",
		"dev lo 127.0.0.1/8":               "127.0.0.1/8 lo  254",
		"fd00::1/64 dev e scope link":      "fd00::1/64 e  253",
		"10.0.0.1 dev e":                   "10.0.0.1/32 e  0",
		"10.0.0.1 peer 10.0.0.2/32 dev e":  "10.0.0.1/32 e  0",
		"10.0.0.1/33 dev e":                `"10.0.0.1/33" is no address`,
		"10.0.0.1 dev":                     "ip addr: dev needs a value",
		"10.0.0.1 10.0.0.2 dev e":          `ip addr: "10.0.0.2" was not expected`,
		"10.0.0.1 peer fd00::1 dev e":      "ip addr: addresses of both families are mixed",
		"10.0.0.1/24 brd x dev e":          `"x" is no address`,
		"10.0.0.1/24 scope nonsense dev e": `"nonsense" is no scope`,
	} {
		a, device, err := parseAddressWords(strings.Fields(line))
		broadcast := ""
		if a.Broadcast.IsValid() {
			broadcast = a.Broadcast.String()
		}
		got := strings.Join([]string{a.Prefix.String(), device, broadcast, string(rune('0' + a.Scope%10))}, " ")
		want = strings.NewReplacer(" 254", " 4", " 253", " 3").Replace(want)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestRouteWords(t *testing.T) {
	n := &network{}
	for line, want := range map[string]string{
		"default via 10.0.0.1":                      "default via 10.0.0.1",
		"default via fd00::1 metric 5":              "default via fd00::1 metric 5",
		"10.1.0.0/16 dev x src 10.0.0.2":            "10.1.0.0/16 dev x scope link src 10.0.0.2",
		"10.1.2.3 via 10.0.0.1 onlink table 100":    "10.1.2.3 via 10.0.0.1 table 100 onlink",
		"10.1.0.1/16 dev x":                         "10.1.0.1/16: the network is 10.1.0.0/16",
		"via 10.0.0.1":                              "ip route: name a destination, or default",
		"default via":                               "ip route: via needs a value",
		"default via x":                             `"x" is no address`,
		"10.1.0.0/16 via fd00::1":                   "ip route: addresses of both families are mixed",
		"default default":                           `ip route: "default" was not expected`,
		"10.0.0.0/8 via 10.0.0.1 metric 5000000000": `"5000000000" is no number`,
	} {
		r, device, err := n.parseRouteWords(strings.Fields(line))
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = routeText(r, device)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	runSteps(t, "", []step{{line: "ip", code: 255, err: "usage"}, {line: "ip what", code: 255, err: "link, addr, route and cmdline"}, {line: "ip link set up", code: 255, err: "name a device"},
		{line: "ip link set x mtu y", code: 255, err: "is no MTU"}, {line: "ip route get 1", code: 255, err: "one of show"}, {line: "ip -x a", code: 255, err: "no option -x"}})
}

func FuzzNetworkWords(f *testing.F) {
	f.Add("10.0.0.1/24 dev eth0 brd + scope link")
	f.Add("default via 10.0.0.1 dev eth0 metric 5 onlink")
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, " ")
		if a, _, err := parseAddressWords(words); err == nil && a.Prefix.IsValid() && !a.Prefix.Addr().IsValid() {
			t.Errorf("%q: %+v", line, a)
		}
		if r, _, err := (&network{}).parseRouteWords(words); err == nil && !r.To.IsValid() {
			t.Errorf("%q: %+v", line, r)
		}
	})
}

func TestLinkWords(t *testing.T) {
	if got := flagNames(0x1003); got != "NO-CARRIER,BROADCAST,UP,MULTICAST" && got != "NO-CARRIER,BROADCAST,MULTICAST,UP" {
		t.Error(got)
	}
	if got := stateOf(netlink.Link{State: 6}); got != "UP" {
		t.Error(got)
	}
	if got := hardware([]byte{0x52, 0x54, 0}); got != "52:54:00" {
		t.Error(got)
	}
}

func TestEcho(t *testing.T) {
	request := echoRequest(false, 7, 3, []byte("abc"))
	if checksum(request) != 0 || request[0] != 8 {
		t.Errorf("% x", request)
	}
	reply := slices.Clone(request)
	reply[0] = 0
	header := append([]byte{0x45}, make([]byte, 19)...)
	for _, c := range []struct {
		packet  []byte
		v6, raw bool
		number  uint16
		ok      bool
	}{
		{reply, false, false, 3, true}, {reply, false, false, 4, false}, {request, false, false, 3, false}, {append(header, reply...), false, true, 3, true},
		{reply, false, true, 3, false}, {reply[:5], false, false, 3, false}, {nil, false, true, 3, false}, {[]byte{0x4f}, false, true, 0, false}, {echoRequest(true, 7, 3, nil), true, false, 3, false},
	} {
		if _, ok := echoReply(c.packet, c.v6, c.raw, 7, c.number); ok != c.ok {
			t.Errorf("% x, %v, %v: %v", c.packet, c.v6, c.raw, ok)
		}
	}
	runSteps(t, "", []step{{line: "ping host", code: 2, err: "is no address"}, {line: "ping -c x 1.1.1.1", code: 2, err: "no number"}, {line: "ping", code: 2, err: "usage"}})
}

func FuzzEcho(f *testing.F) {
	f.Add([]byte{0x45, 0, 0}, false, true)
	f.Fuzz(func(t *testing.T, packet []byte, v6, raw bool) {
		if size, ok := echoReply(packet, v6, raw, 1, 1); ok && (size < echoHeader || size > len(packet)) {
			t.Errorf("% x: %d", packet, size)
		}
	})
}
