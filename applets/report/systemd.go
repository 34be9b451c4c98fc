package report

import (
	"errors"
	"time"

	"github.com/preroot/preroot/internal/servicemanager"
)

// systemdTimeout bounds each question to systemd.
const systemdTimeout = 10 * time.Second

// span is a part of the start; both ends are milliseconds since the kernel began. The end is zero where it has not come.
type span struct {
	name       string
	start, end float64
}

// systemdStart is what the service manager says of its own start.
type systemdStart struct {
	// missing says why nothing is known.
	missing string
	// whole is from its first instruction to the end of the start.
	whole span
	// parts are what it did before the first unit, units those that mark the way.
	parts, units []span
}

// managerParts are what the manager does before it starts units: name, first and last moment (org.freedesktop.systemd1(5)).
var managerParts = [][3]string{
	{"security modules", "SecurityStartTimestampMonotonic", "SecurityFinishTimestampMonotonic"},
	{"generators", "GeneratorsStartTimestampMonotonic", "GeneratorsFinishTimestampMonotonic"},
	{"load units", "UnitsLoadStartTimestampMonotonic", "UnitsLoadFinishTimestampMonotonic"},
}

// milestones are the units that mark systemd's way (bootup(7)), and those that find their work done by preroot.
var milestones = []string{
	"systemd-sysext.service", "systemd-confext.service", "local-fs.target", "sysinit.target", "basic.target", "network-online.target",
	"multi-user.target", "graphical.target",
}

// readSystemd asks the service manager that listens at a socket.
func readSystemd(socket string) systemdStart {
	c, err := servicemanager.Dial(socket, systemdTimeout)
	if err != nil {
		return systemdStart{missing: err.Error()}
	}
	defer c.Close()
	s, err := askSystemd(c)
	if err != nil {
		return systemdStart{missing: err.Error()}
	}
	return s
}

func askSystemd(c *servicemanager.Connection) (systemdStart, error) {
	manager := func(property string) (float64, error) {
		at, err := c.ManagerTime(property)
		return milliseconds(at), err
	}
	s := systemdStart{}
	var err error
	if s.whole, err = readSpan("systemd", manager, "UserspaceTimestampMonotonic", "FinishTimestampMonotonic"); err != nil {
		return s, err
	}
	for _, part := range managerParts {
		found, err := readSpan(part[0], manager, part[1], part[2])
		if err != nil {
			return s, err
		}
		if found.start > 0 {
			s.parts = append(s.parts, found)
		}
	}
	for _, name := range milestones {
		found, err := readUnit(c, name)
		if err != nil {
			return s, err
		}
		if found.start > 0 {
			s.units = append(s.units, found)
		}
	}
	return s, nil
}

// readUnit returns when a unit left inactivity and when it was active, zeros if it is not loaded.
func readUnit(c *servicemanager.Connection, name string) (span, error) {
	unit := func(property string) (float64, error) {
		at, err := c.UnitTime(property, name)
		return milliseconds(at), err
	}
	found, err := readSpan(name, unit, "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
	if isNotLoaded(err) {
		return span{}, nil
	}
	return found, err
}

func readSpan(name string, read func(property string) (float64, error), start, end string) (s span, err error) {
	s.name = name
	if s.start, err = read(start); err != nil {
		return s, err
	}
	s.end, err = read(end)
	return s, err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func isNotLoaded(err error) bool {
	refused, ok := errors.AsType[*servicemanager.Error](err)
	return ok && refused.Name == servicemanager.NoSuchUnit
}
