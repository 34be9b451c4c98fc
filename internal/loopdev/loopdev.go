// Package loopdev attaches image files to loop devices (loop(4)).
//
// Devices are read-only and freed by the kernel with their last user
// (LO_FLAGS_AUTOCLEAR). Direct I/O is left off: on Linux 6.12 it fails with EIO
// for files on erofs. There is no partition scan; a part of a file gets a device of its own.
package loopdev

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Device is an attached loop device. It owns a descriptor, which keeps the
// device until somebody else (a mapping, a mount) uses it.
type Device struct {
	file *os.File
	// Path of the device node, e.g. /dev/loop0.
	Path string
	// Major and Minor number of the device.
	Major, Minor uint32
}

// Error is a refused loop operation.
type Error struct {
	Operation string
	Image     string
	Errno     error
}

func (e *Error) Error() string {
	return e.Operation + " for " + e.Image + ": " + e.Errno.Error()
}

func (e *Error) Unwrap() error { return e.Errno }

// attempts bounds the races for a free device with other programs.
const attempts = 16

// Attach shows size bytes of image from offset on as a block device of its
// own. Both are in bytes and multiples of 512; size 0 means up to the end, less
// an incomplete sector there. An area that is not wholly inside a regular file is an
// error. The logical block size is blockSize, a power of two from 512 to the size of a page.
func Attach(image *os.File, offset, size int64, blockSize uint32) (*Device, error) {
	if err := checkArea(image, offset, size, blockSize); err != nil {
		return nil, fmt.Errorf("attach %s: %w", image.Name(), err)
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("attach loop device (is the module loop loaded?): %w", err)
	}
	defer control.Close()
	for attempt := 1; ; attempt++ {
		device, err := attachFree(control, image, offset, size, blockSize)
		if errors.Is(err, unix.EBUSY) && attempt < attempts {
			continue
		}
		return device, err
	}
}

// checkArea refuses what the kernel would take and mean something else by: it
// shortens areas in silence.
func checkArea(image *os.File, offset, size int64, blockSize uint32) error {
	const sector = 512
	if offset < 0 || size < 0 || offset%sector != 0 || size%sector != 0 {
		return fmt.Errorf("area %d+%d is not in sectors of %d bytes", offset, size, sector)
	}
	if page := os.Getpagesize(); blockSize < sector || int64(blockSize) > int64(page) || blockSize&(blockSize-1) != 0 {
		return fmt.Errorf("block size %d: want a power of two from %d to %d", blockSize, sector, page)
	}
	info, err := image.Stat()
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() && (offset > info.Size() || max(size, sector) > info.Size()-offset) {
		return fmt.Errorf("area %d+%d is not inside its %d bytes", offset, size, info.Size())
	}
	return nil
}

func attachFree(control, image *os.File, offset, size int64, blockSize uint32) (*Device, error) {
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, &Error{Operation: "get a free loop device", Image: image.Name(), Errno: err}
	}
	path := "/dev/loop" + strconv.Itoa(number)
	file, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open loop device: %w", err)
	}
	c := configuration{
		image: image, blockSize: blockSize,
		info: unix.LoopInfo64{
			Offset:    uint64(offset),
			Sizelimit: uint64(size),
			Flags:     unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR,
		},
	}
	// The kernel keeps at most 63 bytes of the name, for people to read.
	copy(c.info.File_name[:len(c.info.File_name)-1], image.Name())
	if err := c.apply(file); err != nil {
		file.Close()
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		file.Close()
		return nil, &Error{Operation: "stat loop device", Image: image.Name(), Errno: err}
	}
	return &Device{file: file, Path: path, Major: unix.Major(st.Rdev), Minor: unix.Minor(st.Rdev)}, nil
}

// Number returns "major:minor", the form that device-mapper tables take.
func (d *Device) Number() string {
	return strconv.Itoa(int(d.Major)) + ":" + strconv.Itoa(int(d.Minor))
}

// Close drops our hold on the device: the kernel frees it as soon as nothing
// else uses it.
func (d *Device) Close() error { return d.file.Close() }
