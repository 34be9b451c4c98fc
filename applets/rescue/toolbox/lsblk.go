package toolbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/preroot/preroot/internal/mountinfo"
	"github.com/preroot/preroot/internal/observe"
)

// deviceTree is what lsblk shows.
type deviceTree struct {
	*call
	options
	partitions map[string]observe.Partition // by the kernel's name
	mounts     []mountinfo.Mount
	columns    []string
	rows       [][]string
}

// lsblk shows block devices with what lies on them: -f file systems, -o columns, -p paths, -b bytes, -l as a list, -r for programs,
// -n without a title, -d without what depends on them.
func lsblk(c *call) error {
	set, names, err := c.parse("a/all b/bytes d/nodeps f/fs i/ascii l/list n/noheadings o:/output p/paths r/raw S:/sysroot")
	if err != nil {
		return err
	}
	t := &deviceTree{call: c, options: set, partitions: map[string]observe.Partition{}}
	t.columns = []string{"NAME", "MAJ:MIN", "RM", "SIZE", "RO", "TYPE", "MOUNTPOINTS"}
	if set.has("f") {
		t.columns = []string{"NAME", "FSTYPE", "LABEL", "UUID", "MOUNTPOINTS"}
	}
	if list, given := set.value('o'); given {
		t.columns = strings.Split(strings.ToUpper(list), ",")
		for _, column := range t.columns {
			if findColumn(column) == nil {
				return wrongUse("there is no column %s, but %s", column, strings.Join(knownColumns(), " "))
			}
		}
	}
	partitions, err := c.scan()
	if err != nil {
		return err
	}
	for _, p := range partitions {
		t.partitions[p.Name] = p
	}
	if t.mounts, err = observe.Mounts(); err != nil {
		return err
	}
	for _, p := range partitions {
		if len(names) == 0 && p.Partition == 0 && len(t.slaves(p.Name)) == 0 {
			t.add(p, nil, 0)
		}
	}
	for _, name := range names {
		number, err := observe.DeviceNumber(c.path(name))
		i := slices.IndexFunc(partitions, func(p observe.Partition) bool { return p.Number == number })
		switch {
		case err != nil:
			c.complain(err)
		case i < 0:
			c.complain(fmt.Errorf("%s: it is no block device", name))
		default:
			t.add(partitions[i], nil, 0)
		}
	}
	t.print()
	if c.code != 0 {
		return exitCode(32)
	}
	return nil
}

func sysfsNames(name, directory string) []string {
	names, _ := readNames(filepath.Join("/sys/class/block", name, directory))
	order(names, func(a, b *string) int { return compareNames(*a, *b) })
	return names
}

func (t *deviceTree) slaves(name string) []string { return sysfsNames(name, "slaves") }

// add adds the row of a device, and below it what lies on it. ancestors tells for each level above whether more follows there.
func (t *deviceTree) add(p observe.Partition, ancestors []bool, depth int) {
	prefix := ""
	if !t.has("lr") && len(ancestors) > 0 {
		for _, more := range ancestors[:len(ancestors)-1] {
			prefix += map[bool]string{true: "| ", false: "  "}[more]
		}
		prefix += map[bool]string{true: "|-", false: "`-"}[ancestors[len(ancestors)-1]]
	}
	var row []string
	for _, column := range t.columns {
		text := findColumn(column)(t, p)
		if column == "NAME" {
			text = prefix + text
		}
		row = append(row, text)
	}
	t.rows = append(t.rows, row)
	// Devices on devices on devices are no circle, but somebody's image could make many.
	if t.has("d") || depth > 32 || len(t.rows) > 10000 {
		return
	}
	var below []observe.Partition
	for _, q := range t.partitions {
		if q.Disk == p.Name && q.Partition > 0 {
			below = append(below, q)
		}
	}
	for _, holder := range sysfsNames(p.Name, "holders") {
		if q, found := t.partitions[holder]; found {
			below = append(below, q)
		}
	}
	order(below, func(a, b *observe.Partition) int { return compareNames(a.Name, b.Name) })
	for i, q := range below {
		t.add(q, append(slices.Clone(ancestors), i < len(below)-1), depth+1)
	}
}

func (t *deviceTree) print() {
	if t.has("r") {
		if !t.has("n") {
			fmt.Fprintln(t.out, strings.Join(t.columns, " "))
		}
		for _, row := range t.rows {
			for i := range row {
				row[i] = strings.NewReplacer(" ", `\x20`, "\n", `\x0a`, `\`, `\x5c`, "\t", `\x09`).Replace(row[i])
			}
			fmt.Fprintln(t.out, strings.Join(row, " "))
		}
		return
	}
	rows := t.rows
	for i, row := range rows {
		for j := range row {
			rows[i][j] = strings.ReplaceAll(row[j], "\n", " ")
		}
	}
	if !t.has("n") {
		rows = append([][]string{t.columns}, rows...)
	}
	writeTable(t.call, rows, func(column int) bool {
		return slices.Contains([]string{"SIZE", "RM", "RO", "MAJ:MIN"}, t.columns[column])
	})
}

func knownColumns() []string {
	var names []string
	for _, known := range columns {
		names = append(names, known.name)
	}
	slices.Sort(names)
	return names
}

// column is what a row can have.
type column struct {
	name string
	text func(*deviceTree, observe.Partition) string
}

// findColumn returns the content of a column, nil if there is none of that name.
func findColumn(name string) func(*deviceTree, observe.Partition) string {
	for _, known := range columns {
		if known.name == name {
			return known.text
		}
	}
	return nil
}

var columns = []column{
	{"NAME", func(t *deviceTree, p observe.Partition) string {
		if t.has("p") {
			return nodeOf(p)
		}
		return strings.TrimPrefix(strings.TrimPrefix(nodeOf(p), "/dev/"), "mapper/")
	}},
	{"KNAME", func(t *deviceTree, p observe.Partition) string {
		if t.has("p") {
			return p.Node()
		}
		return p.Name
	}},
	{"PATH", func(_ *deviceTree, p observe.Partition) string { return nodeOf(p) }},
	{"PKNAME", func(_ *deviceTree, p observe.Partition) string { return p.Disk }},
	{"MAJ:MIN", func(_ *deviceTree, p observe.Partition) string { return p.Number }},
	{"RM", func(_ *deviceTree, p observe.Partition) string { return sysfsFlag(p, "removable") }},
	{"RO", func(_ *deviceTree, p observe.Partition) string { return sysfsFlag(p, "ro") }},
	{"FSTYPE", func(_ *deviceTree, p observe.Partition) string { return string(p.Content.Kind) }},
	{"LABEL", func(_ *deviceTree, p observe.Partition) string { return safe(p.Content.Label) }},
	{"UUID", func(_ *deviceTree, p observe.Partition) string { return p.Content.UUID }},
	{"PARTLABEL", func(_ *deviceTree, p observe.Partition) string { return safe(p.Entry.Name) }},
	{"PARTUUID", func(_ *deviceTree, p observe.Partition) string {
		if p.Entry.Number == 0 {
			return ""
		}
		return p.Entry.ID.String()
	}},
	{"PARTTYPE", func(_ *deviceTree, p observe.Partition) string {
		if p.Entry.Number == 0 {
			return ""
		}
		return p.Entry.Type.String()
	}},
	{"SIZE", func(t *deviceTree, p observe.Partition) string {
		if t.has("b") {
			return strconv.FormatInt(p.Size, 10)
		}
		return diskSize(p.Size)
	}},
	{"TYPE", func(_ *deviceTree, p observe.Partition) string { return deviceType(p) }},
	{"MODEL", func(_ *deviceTree, p observe.Partition) string { return safe(sysfsText(p.Name, "device/model")) }},
	{"SERIAL", func(_ *deviceTree, p observe.Partition) string { return safe(sysfsText(p.Name, "serial")) }},
	{"MOUNTPOINT", func(t *deviceTree, p observe.Partition) string { return firstOf(t.mountPoints(p)) }},
	{"MOUNTPOINTS", func(t *deviceTree, p observe.Partition) string { return strings.Join(t.mountPoints(p), "\n") }},
}

func firstOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

func (t *deviceTree) mountPoints(p observe.Partition) []string {
	var targets []string
	for _, m := range t.mounts {
		// btrfs has a number of its own, and names its device.
		if m.Device == p.Number || strings.HasPrefix(m.Device, "0:") && m.Source == nodeOf(p) {
			targets = append(targets, safe(m.Target))
		}
	}
	return targets
}

func sysfsText(name, file string) string {
	text, err := os.ReadFile(filepath.Join("/sys/class/block", name, file))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// sysfsFlag is 0 or 1; a partition is removable if its disk is.
func sysfsFlag(p observe.Partition, file string) string {
	text := sysfsText(p.Name, file)
	if text == "" && p.Disk != "" {
		text = sysfsText(p.Disk, file)
	}
	if text == "" {
		return "0"
	}
	return text
}

func deviceType(p observe.Partition) string {
	switch {
	case p.Partition > 0:
		return "part"
	case strings.HasPrefix(p.Name, "loop"):
		return "loop"
	case strings.HasPrefix(p.Name, "sr"):
		return "rom"
	case strings.HasPrefix(p.Name, "dm-"):
		if kind, _, found := strings.Cut(sysfsText(p.Name, "dm/uuid"), "-"); found && kind != "" {
			return strings.ToLower(kind)
		}
		return "dm"
	case strings.HasPrefix(p.Name, "md"):
		return sysfsText(p.Name, "md/level")
	}
	return "disk"
}

// diskSize shortens bytes as lsblk does: to one decimal, which is left out if it is 0.
func diskSize(size int64) string {
	value, unit := size, -1
	divisor := int64(1)
	for value >= 1024 && unit < len(units)-1 {
		value, divisor, unit = value/1024, divisor*1024, unit+1
	}
	if unit < 0 {
		return strconv.FormatInt(size, 10) + "B"
	}
	tenths := (size%divisor*10 + divisor/2) / divisor
	if tenths == 10 {
		value, tenths = value+1, 0
	}
	if tenths == 0 {
		return fmt.Sprintf("%d%c", value, units[unit])
	}
	return fmt.Sprintf("%d.%d%c", value, tenths, units[unit])
}
