package verity

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/preroot/preroot/internal/observe"
)

// device is an open block device or image file.
type device struct {
	*os.File
	size    int64 // bytes
	regular bool
}

// openDevice opens what a user named, with the original's messages.
func openDevice(name string, flags int) (*device, error) {
	file, err := os.OpenFile(name, flags, 0)
	if err != nil {
		// A folder cannot be opened for writing, and is found out below otherwise.
		if info, statError := os.Stat(name); statError == nil && !isUsable(info) {
			return nil, fail(exitDevice, "Device "+name+" is not compatible.")
		}
		return nil, &failure{code: exitDevice, lines: "Device " + name + " does not exist or access denied.", cause: err}
	}
	d, err := describe(file)
	if err != nil {
		file.Close()
		return nil, err
	}
	return d, nil
}

func describe(file *os.File) (*device, error) {
	info, err := file.Stat()
	if err == nil && !isUsable(info) {
		return nil, fail(exitDevice, "Device "+file.Name()+" is not compatible.")
	}
	var size int64
	if err == nil {
		// Works for block devices too, whose Stat has no size.
		size, err = file.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return nil, &failure{code: exitDevice, lines: "Device " + file.Name() + " does not exist or access denied.", cause: err}
	}
	return &device{File: file, size: size, regular: info.Mode().IsRegular()}, nil
}

// isUsable: block devices and regular files.
func isUsable(info fs.FileInfo) bool {
	mode := info.Mode()
	return mode.IsRegular() || mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0
}

// isSame reports whether two names stand for one device.
func (d *device) isSame(other *device) bool {
	a, err := d.Stat()
	if err != nil {
		return false
	}
	b, err := other.Stat()
	return err == nil && os.SameFile(a, b)
}

// target is what format writes to: a device, a file, or a file that it makes and that goes
// again if the format fails.
type target struct {
	*device
	created bool
	// grown says that the file had original bytes, and was made longer.
	grown    bool
	original int64
}

// openTarget opens a device for writing; a file that is missing is made, readable by its
// owner only. what is the original's word for it.
func openTarget(name, what string) (*target, error) {
	d, err := openDevice(name, os.O_RDWR)
	if err == nil {
		return &target{device: d}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, &failure{code: exitParameters, cause: err,
			lines: fmt.Sprintf("Cannot create %s image %s for writing.", what, name)}
	}
	if d, err = describe(file); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(name))
	}
	return &target{device: d, created: true}, nil
}

// discard closes the target of a format that failed, and removes it if we made it.
func (t *target) discard() {
	// The failure itself is what the user must hear of.
	if t.grown {
		_ = t.Truncate(t.original)
	}
	_ = t.Close()
	if t.created {
		_ = os.Remove(t.Name())
	}
}

// checkCreatable looks whether a file that is missing could be made; the original makes it at this point. what is the
// original's word for it.
func checkCreatable(name, what string) error {
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	err := observe.CanCreate(name)
	if err != nil {
		return &failure{code: exitParameters, lines: fmt.Sprintf("Cannot create %s image %s for writing.", what, name), cause: err}
	}
	return nil
}

// checkUsable refuses what is there and is neither a block device nor a regular file, with an exit code.
func checkUsable(name string, code int) error {
	if info, err := os.Stat(name); err == nil && !isUsable(info) {
		return fail(code, "Device "+name+" is not compatible.")
	}
	return nil
}

// grow makes a regular file at least size bytes long, with zeros; a device must be that long.
func (t *target) grow(size int64) error {
	if t.size >= size {
		return nil
	}
	if !t.regular {
		return &failure{code: exitParameters,
			lines: fmt.Sprintf("Device %s is too small. Need at least %d bytes.", t.Name(), size)}
	}
	if !t.grown {
		t.grown, t.original = true, t.size
	}
	if err := t.Truncate(size); err != nil {
		return fmt.Errorf("extend %s to %d bytes: %w", t.Name(), size, err)
	}
	t.size = size
	return nil
}
