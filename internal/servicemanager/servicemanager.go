// Package servicemanager asks a running systemd for what has to follow a change of /usr or /etc - to
// read its unit files anew, and to restart units - and when it started what.
//
// It speaks D-Bus on the socket that systemd itself offers to root (bus_init_private in systemd's
// src/core/dbus.c), from peer to peer: no bus daemon has to run, there is no Hello, and messages
// have no destination. On such a socket the manager sends all of its signals, asked for or not
// (bus_foreach_bus); they are skipped. What goes over the wire is described in the D-Bus Specification,
// https://dbus.freedesktop.org/doc/dbus-specification.html, the methods in org.freedesktop.systemd1(5).
package servicemanager

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Socket is where the system's manager listens. Only root may connect.
const Socket = "/run/systemd/private"

// ReloadTimeout is how long Reload waits at least. A reload runs the generators, which systemd gives
// 90 s, and systemctl waits twice as long for it (DAEMON_RELOAD_TIMEOUT_SEC in systemd's src/basic/def.h).
const ReloadTimeout = 3 * time.Minute

// Names of errors of the manager (src/libsystemd/sd-bus/bus-common-errors.h).
const (
	// NoSuchUnit says that there is no unit file, or, to StopUnit, no unit that could be stopped.
	NoSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"
	// LoadFailed says that the unit file could not be read.
	LoadFailed = "org.freedesktop.systemd1.LoadFailed"
)

const (
	managerPath         = "/org/freedesktop/systemd1"
	managerInterface    = "org.freedesktop.systemd1.Manager"
	unitInterface       = "org.freedesktop.systemd1.Unit"
	propertiesInterface = "org.freedesktop.DBus.Properties"
)

// jobMode says what becomes of jobs that are in the way of a new one: they are replaced, as systemctl
// has it by default.
const jobMode = "replace"

// Error is a call that the manager refused.
type Error struct {
	// Name is the manager's name of the error, such as NoSuchUnit.
	Name string
	// Message is what the manager says to a person; it may be empty.
	Message string
	// Method is what was called, such as "RestartUnit".
	Method string
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("%s refused: %s", e.Method, e.Name)
	}
	return fmt.Sprintf("%s refused: %s (%s)", e.Method, e.Message, e.Name)
}

// Reload makes the manager run its generators and read all unit files anew, as "systemctl
// daemon-reload" does, and returns when that is done. It waits for ReloadTimeout, or for the timeout
// of Dial if that is longer.
//
// The manager keeps connections through a reload and sends the answer at its end (method_reload in
// src/core/dbus-manager.c, bus_send_pending_reload_message). Only when it executes itself anew,
// because somebody called "systemctl daemon-reexec" meanwhile, they are closed without an answer, at the end of
// that (bus_fdset_add_all); the units have been read anew then, but the same can be seen when the manager
// goes down. So after a disconnection Reload connects and asks once more. That costs a second reload
// at most, proves that a manager is there, and the calls that follow have a connection.
func (c *Connection) Reload() error {
	deadline := time.Now().Add(max(c.timeout, c.reloadTimeout))
	request := message{path: managerPath, iface: managerInterface, member: "Reload"}
	_, err := c.call(deadline, request)
	if errors.Is(err, ErrDisconnected) {
		if err = c.connect(); err == nil {
			_, err = c.call(deadline, request)
		}
	}
	if err != nil {
		return fmt.Errorf("reload service manager: %w", err)
	}
	return nil
}

// RestartUnit restarts a unit, or starts it if it does not run. It returns when the manager has
// queued the job, not when that is done. An *Error named NoSuchUnit or LoadFailed says that there is
// no usable unit file (any more).
func (c *Connection) RestartUnit(name string) error {
	return c.queueJob("restart", "RestartUnit", name)
}

// ReloadOrRestartUnit makes a unit read its configuration anew if it can do that, and is RestartUnit
// otherwise.
func (c *Connection) ReloadOrRestartUnit(name string) error {
	return c.queueJob("reload or restart", "ReloadOrRestartUnit", name)
}

// StopUnit stops a unit, also one whose unit file is gone. Like RestartUnit it does not wait.
func (c *Connection) StopUnit(name string) error { return c.queueJob("stop", "StopUnit", name) }

func (c *Connection) queueJob(verb, method, name string) error {
	err := checkUnitName(name)
	if err == nil {
		// The answer is the path of the job, which nobody here has a use for.
		_, err = c.callManager(method, name, jobMode)
	}
	if err != nil {
		return fmt.Errorf("%s unit %q: %w", verb, name, err)
	}
	return nil
}

// LoadState returns what became of reading the unit's file: "loaded", "not-found", "masked", "error",
// "bad-setting". A unit that the manager does not know yet is loaded for it.
func (c *Connection) LoadState(name string) (string, error) {
	return c.readProperty("load state", "LoadState", name)
}

// ActiveState returns what the unit does: "active", "reloading", "inactive", "failed", "activating",
// "deactivating".
func (c *Connection) ActiveState(name string) (string, error) {
	return c.readProperty("active state", "ActiveState", name)
}

func (c *Connection) readProperty(what, property, name string) (string, error) {
	value, err := c.unitProperty(property, name)
	if err != nil {
		return "", fmt.Errorf("read %s of unit %q: %w", what, name, err)
	}
	return value, nil
}

func (c *Connection) unitProperty(property, name string) (string, error) {
	if err := checkUnitName(name); err != nil {
		return "", err
	}
	loaded, err := c.callManager("LoadUnit", name)
	if err != nil {
		return "", err
	}
	path, err := loaded.text()
	if err != nil {
		return "", fmt.Errorf("answer to LoadUnit: %w", err)
	}
	get := message{path: path, iface: propertiesInterface, member: "Get"}
	get.setTexts(unitInterface, property)
	got, err := c.call(time.Now().Add(c.timeout), get)
	if err != nil {
		return "", err
	}
	value, err := got.variantText()
	if err != nil {
		return "", fmt.Errorf("answer to Get: %w", err)
	}
	return value, nil
}

// callManager calls a method of the manager that takes texts.
func (c *Connection) callManager(method string, arguments ...string) (message, error) {
	request := message{path: managerPath, iface: managerInterface, member: method}
	request.setTexts(arguments...)
	return c.call(time.Now().Add(c.timeout), request)
}

// maxUnitName is the length in bytes of the longest name of a unit (UNIT_NAME_MAX in systemd's
// src/basic/unit-name.h counts the NUL byte).
const maxUnitName = 255

// checkUnitName refuses what the manager would not answer with an error: some of its methods take the
// empty name for the unit of the caller, and it hangs up on a text that is none. The rest it knows best.
func checkUnitName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxUnitName:
		return fmt.Errorf("the name has %d bytes, more than %d", len(name), maxUnitName)
	case strings.ContainsRune(name, 0) || !utf8.ValidString(name):
		return errors.New("the name is no text")
	}
	return nil
}
