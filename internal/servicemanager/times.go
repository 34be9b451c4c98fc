package servicemanager

import (
	"fmt"
	"math"
	"time"
)

// ManagerTime returns a moment of the manager's own start, on CLOCK_MONOTONIC, such as
// "FinishTimestampMonotonic"; zero if it has not come yet.
func (c *Connection) ManagerTime(property string) (time.Duration, error) {
	at, err := c.readTime(managerPath, managerInterface, property)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", property, err)
	}
	return at, nil
}

// UnitTime returns a moment of a unit, on CLOCK_MONOTONIC, such as "ActiveEnterTimestampMonotonic"; zero if it has not
// come. An *Error named NoSuchUnit says that the manager has not loaded the unit: it is not made to.
func (c *Connection) UnitTime(property, name string) (time.Duration, error) {
	at, err := c.unitTime(property, name)
	if err != nil {
		return 0, fmt.Errorf("read %s of unit %q: %w", property, name, err)
	}
	return at, nil
}

func (c *Connection) unitTime(property, name string) (time.Duration, error) {
	if err := checkUnitName(name); err != nil {
		return 0, err
	}
	loaded, err := c.callManager("GetUnit", name)
	if err != nil {
		return 0, err
	}
	path, err := loaded.text()
	if err != nil {
		return 0, fmt.Errorf("answer to GetUnit: %w", err)
	}
	return c.readTime(path, unitInterface, property)
}

// readTime reads a property in microseconds.
func (c *Connection) readTime(path, iface, property string) (time.Duration, error) {
	get := message{path: path, iface: propertiesInterface, member: "Get"}
	get.setTexts(iface, property)
	got, err := c.call(time.Now().Add(c.timeout), get)
	if err != nil {
		return 0, err
	}
	microseconds, err := got.variantNumber()
	if err != nil {
		return 0, fmt.Errorf("answer to Get: %w", err)
	}
	if microseconds > math.MaxInt64/uint64(time.Microsecond) {
		return 0, fmt.Errorf("answer to Get: %d µs are no time", microseconds)
	}
	return time.Duration(microseconds) * time.Microsecond, nil
}

// variantNumber returns the 64-bit number in the variant that is to be the body.
func (m *message) variantNumber() (uint64, error) {
	if m.signature != "v" {
		return 0, fmt.Errorf("it holds values of the types %q, no variant", m.signature)
	}
	d := decoder{data: m.body, order: m.order}
	if held := d.signature(); held != "t" && d.err == nil {
		return 0, fmt.Errorf("it holds a value of the type %q, no number of 64 bits", held)
	}
	number := d.uint64()
	return number, d.err
}
