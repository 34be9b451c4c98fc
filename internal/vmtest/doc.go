// Package vmtest boots virtual machines for tests: with QEMU, on KVM where it
// really works and emulated (TCG) where it does not, with the kernels and the
// disk that scripts/guest makes.
//
// Three layers:
//
//   - Boot runs one machine and keeps what it said on its serial console, line
//     by line with the host's clock.
//   - BuildGuestTests and RunGuestTests run Go tests as root inside a guest and
//     report each of them as a subtest on the host.
//   - the package scenario below this one boots the whole product and checks
//     the report that the real root prints.
//
// It runs on a developer's machine or in continuous integration only. It needs
// qemu-system-x86_64, the go command, and the folder that PREROOT_TESTBED names.
// Nothing here needs loop devices, device mapper or mounts on the host.
package vmtest
