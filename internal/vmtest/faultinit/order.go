package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kind says what becomes of a kernel call.
type kind string

const (
	fail  kind = "fail"
	stall kind = "stall"
	kill  kind = "kill"
)

// call is a kernel call that a fault can be at, and which of its arguments tells it from others of its kind.
type call struct {
	name     string
	number   uint32
	argument int
	value    valueKind
}

// valueKind says what an argument is: a text, a number, or an open file, which is known by the last part of its name.
type valueKind int

const (
	text valueKind = iota
	number
	openFile
)

var calls = []call{
	{"execve", unix.SYS_EXECVE, 0, text}, {"finit_module", unix.SYS_FINIT_MODULE, 0, openFile}, {"fsopen", unix.SYS_FSOPEN, 0, text},
	{"ioctl", unix.SYS_IOCTL, 1, number}, {"mkdirat", unix.SYS_MKDIRAT, 1, text}, {"openat", unix.SYS_OPENAT, 1, text},
	{"openat2", unix.SYS_OPENAT2, 1, text}, {"pivot_root", unix.SYS_PIVOT_ROOT, 0, text}, {"socket", unix.SYS_SOCKET, 0, number},
}

// point is a call with a value.
type point struct{ name, value string }

// order is a fault: what happens at the last of several calls, when the others were seen before, one after another.
type order struct {
	kind   kind
	points []point
}

// parseOrder reads KIND:CALL=VALUE[,CALL=VALUE...].
func parseOrder(word string) (order, error) {
	name, list, _ := strings.Cut(word, ":")
	o := order{kind: kind(name)}
	if !slices.Contains([]kind{fail, stall, kill}, o.kind) {
		return o, fmt.Errorf("read fault %q: %q is none of fail, stall, kill", word, name)
	}
	for part := range strings.SplitSeq(list, ",") {
		name, value, _ := strings.Cut(part, "=")
		if !slices.ContainsFunc(calls, func(c call) bool { return c.name == name }) {
			return o, fmt.Errorf("read fault %q: no fault can be at %q", word, name)
		}
		o.points = append(o.points, point{name, value})
	}
	return o, nil
}

// see takes note of a call. It reports whether it is the one for the fault, which happens once.
func (o *order) see(name, value string) bool {
	if len(o.points) == 0 || o.points[0] != (point{name, value}) {
		return false
	}
	o.points = o.points[1:]
	return len(o.points) == 0
}

// formatNumber formats a number as it stands in an order.
func formatNumber(n uint64) string { return strconv.FormatUint(n, 16) }
