//go:build guest

// Package dying has a guest test that ends the machine below its harness.
package dying

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestResetsTheMachine(t *testing.T) {
	t.Log(unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART))
}
