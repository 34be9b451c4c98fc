// Package scenario boots the whole product in a virtual machine, kernel to
// systemd, and judges it by what the guest itself says: a unit of the real root
// prints a report on the console, and Check turns it into one Finding for each
// thing that must be shown. CheckRefusal judges boots that must not succeed.
//
// The report is made by scripts/testbed/rootfs-files/usr/lib/testbed/report. The
// checks are written from the requirements and share no code with the boot.
package scenario
