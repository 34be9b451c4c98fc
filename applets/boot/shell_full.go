//go:build !sealed

package boot

// hasShell says that this profile can have a shell (Program.Shell). It is a constant, so that in the profile sealed the compiler leaves out
// what only a shell leads to: breakpoints, the shell beside the boot, and going on after a failure.
const hasShell = true
