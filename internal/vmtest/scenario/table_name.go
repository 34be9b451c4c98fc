package scenario

import (
	"fmt"
	"regexp"
	"strings"
)

// TestName is a test that a Row names.
type TestName struct {
	// Kind is boot, guest, root or unit.
	Kind string
	// Package below the repository.
	Package string
	// Function, and the part of it, "" for all of it.
	Function, Part string
}

// ParseTestName reads what Row.Shown describes.
func ParseTestName(text string) (TestName, error) {
	var n TestName
	kind, rest, _ := strings.Cut(text, " ")
	n.Kind = kind
	switch kind {
	case "boot":
		n.Package = "internal/vmtest/scenario"
	case "guest", "root", "unit":
		n.Package, rest, _ = strings.Cut(rest, " ")
	default:
		return n, fmt.Errorf("%q: the kind of test is not known", text)
	}
	n.Function, n.Part, _ = strings.Cut(rest, "/")
	if !strings.HasPrefix(n.Function, "Test") || strings.Contains(n.Function, " ") || n.Package == "" {
		return n, fmt.Errorf("%q names no test", text)
	}
	return n, nil
}

// tables are the functions with independent cases, which can be run alone. Of others all is run.
var tables = map[string]bool{"TestRefusals": true, "TestArrivals": true, "TestSignedUsr": true, "TestScenarios": true, "TestSecondStage": true, "TestCommandLines": true,
	"TestHardware": true, "TestSettingsOfVerifiedUsr": true, "TestVolatile": true, "TestFailure": true}

// Pattern is for -run of go test: it chooses at least this test.
func (n TestName) Pattern() string {
	pattern := "^" + n.Function + "$"
	if n.Part != "" && tables[n.Function] {
		pattern += "/^" + regexp.QuoteMeta(Spoken(n.Part)) + "$"
	}
	return pattern
}

// Reported is the name under which go test reports it.
func (n TestName) Reported() string {
	name := n.Function
	if n.Part != "" {
		name += "/" + Spoken(n.Part)
	}
	if n.Kind == "guest" {
		return "TestGuests/forky/" + n.Package + "/" + name
	}
	return name
}

// Spoken is a name as package testing prints it.
func Spoken(name string) string { return strings.ReplaceAll(name, " ", "_") }
