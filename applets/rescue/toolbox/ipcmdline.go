package toolbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/kernelmodules"
	"github.com/preroot/preroot/internal/netlink"
)

const (
	// deviceTime bounds the wait for network devices, which are looked for every pollTime.
	deviceTime = 5 * time.Second
	pollTime   = 100 * time.Millisecond
	// serversFile is for what resolves names: nothing in this program does.
	serversFile = "/etc/resolv.conf"
)

// cmdline does what ip=, rd.route= and nameserver= say: those of the running kernel, or the words that were typed. What is wrong
// with one word is told, and the next one is next.
func (n *network) cmdline(words []string) error {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	line := kernelcmdline.Parse(string(text))
	s := &staticSetup{network: n, end: time.Now().Add(deviceTime), blacklist: line.Blacklist()}
	if len(words) > 0 {
		line = kernelcmdline.Parse(strings.Join(words, " "))
	}
	if s.earlier, err = netlink.Addresses(); err != nil {
		return err
	}
	_ = n.doLine("link set lo up")
	// Routes lead through what the addresses make reachable.
	for _, key := range []string{"ip", "rd.route", "nameserver"} {
		for _, word := range line.Words() {
			if word.Key != key {
				continue
			}
			if err := s.set(key[0], word.Value); err != nil {
				n.complain(fmt.Errorf("%s: %w", word, err))
			}
		}
	}
	if s.servers != "" {
		// What somebody else has written stays.
		if file, err := os.OpenFile(serversFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644); err == nil {
			_, _ = file.WriteString(s.servers)
			file.Close()
		}
	}
	return nil
}

// staticSetup is one call of ip cmdline.
type staticSetup struct {
	*network
	// earlier are the addresses of the beginning.
	earlier   []netlink.Address
	blacklist []string
	index     *kernelmodules.Index
	loader    *kernelmodules.Loader
	// servers are lines of serversFile.
	servers string
	end     time.Time
}

// set does what a word with a key of this first letter says.
func (s *staticSetup) set(letter byte, value string) error {
	switch letter {
	case 'i':
		return s.setAddress(value)
	case 'r':
		command, err := parseStaticRoute(value)
		if err == nil {
			err = s.doLine(command)
		}
		return err
	}
	server, err := parseAddress(strings.Trim(value, "[]"))
	if err == nil {
		s.servers += "nameserver " + server.String() + "\n"
	}
	return err
}

// doLine does what would be typed behind "ip".
func (n *network) doLine(line string) error { return n.do(strings.Fields(line)) }

// setAddress does what one ip= says. A device that had an address before stays as somebody has made it.
func (s *staticSetup) setAddress(value string) error {
	if value == "none" || value == "off" {
		return nil
	}
	a, err := parseStaticAddress(value)
	if err != nil {
		return err
	}
	s.servers += a.servers
	name, index, err := s.findDevice(a.device)
	if err != nil {
		return err
	}
	text := a.text
	for i := range s.earlier {
		e := &s.earlier[i]
		if e.Index == index && e.Flags&unix.IFA_F_PERMANENT != 0 && e.Scope < unix.RT_SCOPE_LINK && e.Prefix.Addr().Is4() == a.is4 {
			text, a.commands = e.Prefix.String()+" already, and stays as it is", nil
		}
	}
	for _, command := range a.commands {
		if err := s.doLine(command + " dev " + name); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.out, "%s has %s\n", name, text)
	return nil
}

// findDevice waits until the device is there; its driver is loaded if the image has it.
func (s *staticSetup) findDevice(name string) (string, int, error) {
	for tried := false; ; tried = true {
		links, err := netlink.Links()
		if err != nil {
			return "", 0, err
		}
		last := time.Now().After(s.end)
		i, err := chooseDevice(links, name, tried, last)
		if err != nil {
			return "", 0, err
		}
		if i >= 0 {
			found := links[i].Name
			if name != "" && found != name {
				fmt.Fprintf(s.out, "there is no network device %q, but %s\n", name, found)
			}
			return found, links[i].Index, nil
		}
		s.loadDrivers()
		if tried {
			time.Sleep(pollTime)
		}
	}
}

// chooseDevice returns the place of the device of a name, else of the only one that stands for hardware: at once without a name, and at the
// last look also if nobody has the name, since here is no udev to give names such as enp1s0. It is negative if more may come.
func chooseDevice(links []netlink.Link, name string, tried, last bool) (int, error) {
	only := -1
	var names []string
	for i := range links {
		l := &links[i]
		if l.Name == name {
			return i, nil
		}
		if isHardware(l.Name) {
			names, only = append(names, l.Name), i
		}
	}
	switch {
	case !last && (name != "" || !tried || only < 0):
		return -1, nil
	case only < 0:
		return -1, errors.New("there is no network device: is its driver in this image?")
	case len(names) > 1:
		return -1, fmt.Errorf("name one of the network devices %s", shorten(names))
	}
	return only, nil
}

// isHardware tells a device that has a driver from those that the kernel makes up. Tests have their own.
var isHardware = func(name string) bool {
	_, err := os.Stat("/sys/class/net/" + name + "/device")
	return err == nil
}

// loadDrivers loads the drivers of the devices that are there. Those of PCI's disks are the boot's: one that hangs must not keep a
// person from the shell.
func (s *staticSetup) loadDrivers() {
	if s.index == nil {
		var err error
		if s.index, err = runningIndex(); err != nil {
			return
		}
		s.loader = kernelmodules.NewLoader(s.index)
	}
	for _, modalias := range blockdev.Modaliases("/sys") {
		if strings.Contains(modalias, "bc01") {
			continue
		}
		for _, module := range s.index.Match(modalias) {
			if !slices.Contains(s.blacklist, module) {
				// What becomes of it, the devices tell.
				_ = s.loader.Load(module)
			}
		}
	}
}
