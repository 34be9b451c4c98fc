package toolbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/superblock"
)

// tag is NAME="VALUE" of blkid.
type tag struct{ name, value string }

// tagsOf returns what is known of a device, in the order of blkid.
func tagsOf(p observe.Partition) []tag {
	all := contentTags(p.Content)
	if p.Entry.Number > 0 {
		all = append(all, tag{"PARTLABEL", p.Entry.Name}, tag{"PARTUUID", p.Entry.ID.String()})
	}
	return slices.DeleteFunc(all, func(t tag) bool { return t.value == "" })
}

func contentTags(content superblock.Info) []tag {
	return []tag{{"LABEL", content.Label}, {"UUID", content.UUID}, {"TYPE", string(content.Kind)}}
}

// blkid tells what block devices and image files hold: -o value or export, -s only some tags, -L and -U find a device.
func blkid(c *call) error {
	set, names, err := c.parse("c: g i L:/label l: o:/output p/probe s:/match-tag t:/match-token U:/uuid k/list-filesystems")
	if err != nil {
		return err
	}
	format, given := set.value('o')
	if !given {
		format = "full"
	}
	if !slices.Contains([]string{"full", "value", "export", "device", "list"}, format) {
		return wrongUse("-o %s: it is one of full, value, export and device", format)
	}
	partitions, err := c.scan()
	if err != nil {
		return err
	}
	want, err := wantedTag(set)
	if err != nil {
		return err
	}
	if set.has("LU") {
		format = "device"
	}
	found := false
	show := func(node string, tags []tag) {
		if len(tags) == 0 || want != nil && !slices.Contains(tags, *want) {
			return
		}
		found = true
		c.printTags(node, onlyTags(set, tags), format)
	}
	if len(names) == 0 {
		for _, p := range partitions {
			show(nodeOf(p), tagsOf(p))
		}
	}
	for _, name := range names {
		tags, err := c.tagsOfName(name, partitions)
		if err != nil {
			c.complain(err)
			continue
		}
		show(name, tags)
	}
	if !found && c.code == 0 {
		return exitCode(2)
	}
	return nil
}

// wantedTag is the tag that -L, -U or -t asks for, nil for none.
func wantedTag(set options) (*tag, error) {
	for letter, name := range map[byte]string{'L': "LABEL", 'U': "UUID"} {
		if value, given := set.value(letter); given {
			return &tag{name, value}, nil
		}
	}
	if text, given := set.value('t'); given {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, wrongUse("-t %s: it is not of the form NAME=VALUE", text)
		}
		return &tag{name, strings.Trim(value, `"`)}, nil
	}
	return nil, nil
}

func onlyTags(set options, tags []tag) []tag {
	if !set.has("s") {
		return tags
	}
	var kept []tag
	for _, g := range set {
		for _, t := range tags {
			if g.letter == 's' && g.value == t.name {
				kept = append(kept, t)
			}
		}
	}
	return kept
}

func (c *call) printTags(node string, tags []tag, format string) {
	switch format {
	case "device":
		fmt.Fprintln(c.out, node)
	case "value":
		for _, t := range tags {
			fmt.Fprintln(c.out, safe(t.value))
		}
	case "export":
		fmt.Fprintf(c.out, "DEVNAME=%s\n", node)
		for _, t := range tags {
			fmt.Fprintf(c.out, "%s=%s\n", t.name, exported(t.value))
		}
		fmt.Fprintln(c.out)
	default:
		fmt.Fprintf(c.out, "%s:", node)
		for _, t := range tags {
			fmt.Fprintf(c.out, " %s=\"%s\"", t.name, strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(safe(t.value)))
		}
		fmt.Fprintln(c.out)
	}
}

// safe makes a value that somebody wrote to a disk fit for a terminal, with the marks of blkid: ^X for control characters.
func safe(value string) string {
	var out strings.Builder
	for _, char := range []byte(value) {
		if char >= 0x80 {
			out.WriteString("M-")
			char &= 0x7f
		}
		if char < 0x20 || char == 0x7f {
			out.WriteByte('^')
			char ^= 0x40
		}
		out.WriteByte(char)
	}
	return out.String()
}

// exported is a value that a shell can read.
func exported(value string) string {
	var out strings.Builder
	for _, char := range []byte(safe(value)) {
		if strings.IndexByte("\"\\ `$'<>&;|()*?[]{}#~!", char) >= 0 {
			out.WriteByte('\\')
		}
		out.WriteByte(char)
	}
	return out.String()
}

// scan lists all block devices with what they hold. What could not be read is told.
func (c *call) scan() ([]observe.Partition, error) {
	disks := observe.Disks{Contents: true}
	partitions, problems := disks.Scan("/sys")
	for _, problem := range problems {
		fmt.Fprintf(c.Stderr, "%s: %s\n", c.name, c.text(problem.Error()))
	}
	if len(partitions) == 0 && len(problems) > 0 {
		return nil, errors.New("no block device could be read")
	}
	order(partitions, func(a, b *observe.Partition) int { return compareNames(a.Name, b.Name) })
	return partitions, nil
}

// compareNames orders names of devices: sda2 before sda10.
func compareNames(a, b string) int {
	for a != "" && b != "" {
		x, y := leadingDigits(a), leadingDigits(b)
		if x != "" && y != "" {
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if order := strings.Compare(x, y); order != 0 {
				return order
			}
			a, b = a[len(x):], b[len(y):]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func leadingDigits(text string) string {
	return text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
}

// nodeOf is the path by which a device is shown: of a mapped one that of its name.
func nodeOf(p observe.Partition) string { return observe.DevicePath("/sys", p.Number) }

// tagsOfName tells what a device or image file holds.
func (c *call) tagsOfName(name string, partitions []observe.Partition) ([]tag, error) {
	number, err := observe.DeviceNumber(c.path(name))
	if err == nil && number != "" {
		for _, p := range partitions {
			if p.Number == number {
				return tagsOf(p), nil
			}
		}
		return nil, nil
	}
	file, err := os.Open(c.path(name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is no block device or file", name)
	}
	content, err := superblock.Probe(io.NewSectionReader(file, 0, info.Size()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return slices.DeleteFunc(contentTags(content), func(t tag) bool { return t.value == "" }), nil
}

// resolveSource returns the device that LABEL=, UUID=, PARTUUID= or PARTLABEL= names; other texts stay as they are.
func (c *call) resolveSource(source string) (string, error) {
	name, value, ok := strings.Cut(source, "=")
	if !ok || !slices.Contains([]string{"LABEL", "UUID", "PARTUUID", "PARTLABEL"}, name) {
		return source, nil
	}
	partitions, err := c.scan()
	if err != nil {
		return "", err
	}
	var nodes []string
	for _, p := range partitions {
		for _, t := range tagsOf(p) {
			if t.name == name && (t.value == value || name != "LABEL" && name != "PARTLABEL" && strings.EqualFold(t.value, value)) {
				nodes = append(nodes, nodeOf(p))
			}
		}
	}
	switch len(nodes) {
	case 0:
		return "", fmt.Errorf("%s: there is no such device; blkid lists what there is", source)
	case 1:
		return nodes[0], nil
	}
	return "", fmt.Errorf("%s: several devices are that: %s; name one of them", source, strings.Join(nodes, " "))
}

// df shows how full file systems are.
func df(c *call) error {
	set, names, err := c.parse("a/all h/human-readable i/inodes k P/portability T/print-type")
	if err != nil {
		return err
	}
	mounts, err := observe.Mounts()
	if err != nil {
		return err
	}
	rows := [][]string{{"Filesystem", "1K-blocks", "Used", "Available", "Use%", "Mounted on"}}
	switch {
	case set.has("i"):
		rows[0] = []string{"Filesystem", "Inodes", "IUsed", "IFree", "IUse%", "Mounted on"}
	case set.has("h"):
		rows[0][1] = "Size"
	}
	if set.has("T") {
		rows[0] = slices.Insert(rows[0], 1, "Type")
	}
	wanted := map[string]bool{}
	for _, name := range names {
		var stat unix.Stat_t
		if err := unix.Stat(c.path(name), &stat); err != nil {
			c.complain(fmt.Errorf("%s: %w", name, err))
			continue
		}
		wanted[fmt.Sprintf("%d:%d", unix.Major(uint64(stat.Dev)), unix.Minor(uint64(stat.Dev)))] = true
	}
	seen := map[string]bool{}
	for _, m := range slices.Backward(mounts) {
		var stat unix.Statfs_t
		if len(names) > 0 && !wanted[m.Device] || seen[m.Device] && !set.has("a") || unix.Statfs(m.Target, &stat) != nil || stat.Blocks == 0 && !set.has("a") && len(names) == 0 {
			continue
		}
		seen[m.Device] = true
		block := int64(stat.Frsize)
		if block == 0 {
			block = int64(stat.Bsize)
		}
		total, available, used := int64(stat.Blocks), int64(stat.Bavail), int64(stat.Blocks-stat.Bfree)
		show := func(n int64) string { return fmt.Sprint((n*block + 1023) / 1024) }
		switch {
		case set.has("i"):
			total, available, used = int64(stat.Files), int64(stat.Ffree), int64(stat.Files-stat.Ffree)
			show = func(n int64) string { return fmt.Sprint(n) }
		case set.has("h"):
			show = func(n int64) string { return humanSize(n * block) }
		}
		share := "-"
		if used+available > 0 {
			share = fmt.Sprintf("%d%%", (used*100+used+available-1)/(used+available))
		}
		row := []string{c.text(m.Source), show(total), show(used), show(available), share, c.text(m.Target)}
		if set.has("T") {
			row = slices.Insert(row, 1, m.FSType)
		}
		rows = append(rows, row)
	}
	slices.Reverse(rows[1:])
	last := len(rows[0]) - 1
	writeTable(c, rows, func(column int) bool { return column > last-5 && column < last })
	return nil
}

// absolute is the path of something that is mounted or is to be.
func (c *call) absolute(name string) (string, error) {
	path, err := filepath.Abs(c.path(name))
	if err != nil {
		return "", err
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved, nil
	}
	return path, nil
}
