package toolbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
)

// sync writes what is in memory to the disks, or with names what belongs to these files: -f their file systems, -d no times.
func sync(c *call) error {
	set, names, err := c.parse("d/data f/file-system")
	if err != nil {
		return err
	}
	if len(names) == 0 {
		unix.Sync()
		return nil
	}
	for _, name := range names {
		file, err := os.OpenFile(c.path(name), os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			c.complain(err)
			continue
		}
		switch {
		case set.has("f"):
			err = unix.Syncfs(int(file.Fd()))
		case set.has("d"):
			err = unix.Fdatasync(int(file.Fd()))
		default:
			err = file.Sync()
		}
		file.Close()
		if err != nil {
			c.complain(fmt.Errorf("%s: %w", name, lastCause(err)))
		}
	}
	return nil
}

// end ends the machine. What is in memory is written first.
func end(c *call) error {
	how := map[string]func() error{"reboot": apply.Reboot, "poweroff": apply.PowerOff, "halt": apply.Halt}[c.name]
	// The options of systemd's are taken; here all of them mean now.
	set, names, err := c.parse("d f/force h n p r w/wtmp-only")
	if err != nil {
		return err
	}
	if len(names) > 0 || set.has("w") {
		return wrongUse("it takes no names")
	}
	if c.name == "halt" && set.has("p") {
		how = apply.PowerOff
	}
	return how()
}
