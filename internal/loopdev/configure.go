package loopdev

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// configuration is what a free loop device is told.
type configuration struct {
	image     *os.File
	blockSize uint32
	info      unix.LoopInfo64
}

// apply sets a free device up: in one step, or, where LOOP_CONFIGURE (Linux 5.8) is refused as such,
// in the three that it is made of.
func (c configuration) apply(device *os.File) error {
	err := c.applyAtOnce(device)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTTY) {
		// The first error tells more, unless somebody else was faster.
		if inSteps := c.applyInSteps(device); inSteps == nil || errors.Is(inSteps, unix.EBUSY) {
			return inSteps
		}
	}
	return err
}

func (c configuration) applyAtOnce(device *os.File) error {
	config := unix.LoopConfig{Fd: uint32(c.image.Fd()), Size: c.blockSize, Info: c.info}
	return c.refused("configure loop device", unix.IoctlLoopConfigure(int(device.Fd()), &config))
}

// applyInSteps leaves the device free when one of the steps fails.
func (c configuration) applyInSteps(device *os.File) error {
	// A device that is open for reading only takes the image as read-only.
	fd := int(device.Fd())
	if err := unix.IoctlSetInt(fd, unix.LOOP_SET_FD, int(c.image.Fd())); err != nil {
		return c.refused("set file of loop device", err)
	}
	err := c.refused("set status of loop device", unix.IoctlLoopSetStatus64(fd, &c.info))
	if err == nil && c.blockSize > 512 {
		err = c.refused("set block size of loop device", unix.IoctlSetInt(fd, unix.LOOP_SET_BLOCK_SIZE, int(c.blockSize)))
	}
	if err != nil {
		_ = unix.IoctlSetInt(fd, unix.LOOP_CLR_FD, 0)
	}
	return err
}

func (c configuration) refused(operation string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Operation: operation, Image: c.image.Name(), Errno: err}
}
