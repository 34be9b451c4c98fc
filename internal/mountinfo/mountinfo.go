// Package mountinfo reads /proc/self/mountinfo (proc_pid_mountinfo(5)).
//
// Do not use it to ask whether one path is a mount point or to find the mount id of a file:
// statx(2) answers that for one file, without a race and without reading what may be thousands of
// lines. The table shows one mount namespace, only what is below the root of the process, and can
// change between two reads of it; mounts that are covered by others are in it. The IDs here are the
// short ones that the kernel gives out again, not the unique ones of statx(2).
package mountinfo

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxLine bounds a line. An overlay with hundreds of layers has tens of KiB.
const maxLine = 4 << 20

// Mount is one line of the table. Spaces and the like are as in the real names.
type Mount struct {
	ID, Parent   int      // of the mount and the one it is mounted on
	Device       string   // "major:minor" of the file system, as in st_dev
	Root         string   // directory of the file system that is mounted, "/" for all of it
	Target       string   // mount point, below the root of the process
	Options      string   // of the mount: "ro,nodev,relatime"
	Optional     []string // propagation: "shared:2", "master:1", "propagate_from:3", "unbindable"; nil if private
	FSType       string   // "ext4", "fuse.sshfs"
	Source       string   // can be empty, and mean anything
	SuperOptions string   // of the file system
}

// Parse reads the table up to its end and keeps its order, which after moves is not that of
// nesting: only Parent tells what a mount lies on. A line that cannot be understood is an error
// with its number, since a table that misses mounts is worse than none.
func Parse(r io.Reader) ([]Mount, error) {
	var mounts []Mount
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	for number := 1; scanner.Scan(); number++ {
		mount, problem := parseLine(scanner.Text())
		if problem != "" {
			return nil, fmt.Errorf("parse mountinfo: line %d: %s", number, problem)
		}
		mounts = append(mounts, mount)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("parse mountinfo: after line %d: %w", len(mounts), err)
	}
	return mounts, nil
}

// parseLine takes a line apart:
//
//	36 35 98:0 /root /target rw,noatime master:1 shared:2 - ext4 /dev/sda1 rw,errors=continue
//	ID |  dev  root  target  options    optional, any number, to "-"   type source super options
//	   parent
func parseLine(line string) (mount Mount, problem string) {
	// Not Fields: a source can be empty, with a space before and after it.
	fields := strings.Split(line, " ")
	separator := -1
	for i := 6; i < len(fields); i++ {
		if fields[i] == "-" {
			separator = i
			break
		}
	}
	if separator < 0 {
		return Mount{}, "no \" - \" behind the sixth field"
	}
	if len(fields)-separator < 4 {
		return Mount{}, fmt.Sprintf("%d fields behind \" - \", want 3", len(fields)-separator-1)
	}
	var err error
	if mount.ID, err = strconv.Atoi(fields[0]); err != nil {
		return Mount{}, fmt.Sprintf("mount ID %.20q is not a number", fields[0])
	}
	if mount.Parent, err = strconv.Atoi(fields[1]); err != nil {
		return Mount{}, fmt.Sprintf("parent ID %.20q is not a number", fields[1])
	}
	if !isDevice(fields[2]) {
		return Mount{}, fmt.Sprintf("device %.20q is not MAJOR:MINOR", fields[2])
	}
	mount.Device = fields[2]
	mount.Root = unescape(fields[3])
	mount.Target = unescape(fields[4])
	mount.Options = unescape(fields[5])
	if optional := fields[6:separator]; len(optional) > 0 {
		mount.Optional = append(mount.Optional, optional...)
	}
	mount.FSType = unescape(fields[separator+1])
	mount.Source = unescape(fields[separator+2])
	mount.SuperOptions = unescape(strings.Join(fields[separator+3:], " "))
	return mount, ""
}

func isDevice(text string) bool {
	major, minor, found := strings.Cut(text, ":")
	return found && isNumber(major) && isNumber(minor)
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 32)
	return err == nil
}

// unescape undoes the kernel's octal escapes, "\040" for a space. What is no escape stays.
func unescape(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) && isOctal(text[i+1], '3') && isOctal(text[i+2], '7') && isOctal(text[i+3], '7') {
			b.WriteByte((text[i+1]-'0')<<6 | (text[i+2]-'0')<<3 | (text[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func isOctal(c, largest byte) bool { return '0' <= c && c <= largest }
