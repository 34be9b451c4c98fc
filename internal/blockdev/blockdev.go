// Package blockdev lists the kernel's block devices from sysfs and finds the
// partition that a GPT entry describes. It opens devices for reading only.
//
// What is on a partition is for packages gpt, superblock and veritytable; it
// does not look at links below /dev, since there is no udev that makes them.
package blockdev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Device is a block device: a whole disk, a partition, or a virtual one.
type Device struct {
	// Name as in /sys/class/block, e.g. "vda1", "nvme0n1p2".
	Name string
	// Number is "major:minor".
	Number string
	// Size in bytes.
	Size int64
	// Partition is the number of the partition, 0 for a whole device.
	Partition int
	// Start of the partition on its disk, in bytes.
	Start int64
	// Disk is the name of the disk that a partition lies on.
	Disk string
}

// Node returns the path of the node that devtmpfs makes.
func (d Device) Node() string { return "/dev/" + strings.ReplaceAll(d.Name, "!", "/") }

// List returns all block devices that have a size, from a sysfs mounted at sys
// (normally "/sys"). Devices that go away meanwhile are left out.
func List(sys string) ([]Device, error) {
	directory := path.Join(sys, "class/block")
	entries, err := os.ReadDir(directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list block devices: %w", err)
	}
	var devices []Device
	for _, entry := range entries {
		at := path.Join(directory, entry.Name())
		device := Device{
			Name:   entry.Name(),
			Number: readLine(path.Join(at, "dev")),
			Size:   readNumber(path.Join(at, "size")) * 512,
		}
		if device.Number == "" || device.Size <= 0 {
			continue
		}
		if number := readNumber(path.Join(at, "partition")); number > 0 {
			device.Partition = int(number)
			device.Start = readNumber(path.Join(at, "start")) * 512
			// class/block/vda1 is a link to .../block/vda/vda1.
			target, err := os.Readlink(at)
			if err != nil {
				continue
			}
			device.Disk = path.Base(path.Dir(target))
		}
		devices = append(devices, device)
	}
	return devices, nil
}

func readLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

func readNumber(file string) int64 { return parseNumber(readLine(file)) }

func parseNumber(text string) int64 {
	number, err := strconv.ParseInt(text, 10, 64)
	// In sectors of 512 bytes, this is what fits 64 bits of bytes, and more than
	// there is.
	if err != nil || number < 0 || number > 1<<52 {
		return 0
	}
	return number
}

// SectorSize returns the logical block size of an open device in bytes, 512 if
// the kernel does not tell.
func SectorSize(device *os.File) int {
	size, err := unix.IoctlGetInt(int(device.Fd()), unix.BLKSSZGET)
	if err != nil || size < 512 || size > 1<<16 {
		return 512
	}
	return size
}
