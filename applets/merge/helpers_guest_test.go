//go:build guest

package merge

// helperVariable names the part that the test program plays in a process of its own.
const helperVariable = "PREROOT_TEST_HELPER"

// helpers are those parts.
var helpers = map[string]func(arguments []string){}
