//go:build sealed

package boot

// hasShell is what shell_full.go says of it. A command line that wants a shell is refused by the plan.
const hasShell = false
