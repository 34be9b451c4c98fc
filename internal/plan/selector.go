package plan

import (
	"encoding/hex"
	"errors"
	"path"
	"strings"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/versionorder"
)

// SelectorKind says by what a device is named.
type SelectorKind string

// The kinds, spelled as on the kernel command line.
const (
	ByPartUUID  SelectorKind = "PARTUUID"
	ByPartLabel SelectorKind = "PARTLABEL"
	ByUUID      SelectorKind = "UUID"
	ByLabel     SelectorKind = "LABEL"
	ByPath      SelectorKind = "path"
	// Automatic is the root that the partition table of the disk of /usr has.
	Automatic SelectorKind = "gpt-auto"
)

// Selector names a block device.
type Selector struct {
	Kind  SelectorKind
	Value string
}

func (s Selector) String() string {
	switch s.Kind {
	case ByPath:
		return s.Value
	case Automatic:
		return "of the type of a root on the disk of /usr"
	}
	return string(s.Kind) + "=" + s.Value
}

// IsOfContent reports whether the superblocks of devices have to be read to find it.
func (s Selector) IsOfContent() bool { return s.Kind == ByUUID || s.Kind == ByLabel }

// links are the folders in which udev makes links to devices, by what the names in them are.
var links = []struct {
	kind   SelectorKind
	folder string
}{
	{ByPartUUID, "/dev/disk/by-partuuid/"}, {ByPartLabel, "/dev/disk/by-partlabel/"}, {ByUUID, "/dev/disk/by-uuid/"}, {ByLabel, "/dev/disk/by-label/"},
}

// ParseSelector reads PARTUUID=, PARTLABEL=, UUID=, LABEL=, or a path below /dev: the links
// that udev makes for these four, or the kernel's own node. Nobody here makes
// nodes or links of another kind, so those would be waited for in vain.
func ParseSelector(text string) (Selector, error) {
	kind, value, tagged := strings.Cut(text, "=")
	for _, link := range links {
		if tagged && kind == string(link.kind) {
			return parseTag(link.kind, value)
		}
		if name, ok := strings.CutPrefix(text, link.folder); ok {
			return parseTag(link.kind, unescapeLink(name))
		}
	}
	if name, ok := strings.CutPrefix(text, "/dev/"); ok && isKernelName(name) {
		return Selector{ByPath, text}, nil
	}
	return Selector{}, errors.New("preroot finds devices by PARTUUID=, PARTLABEL=, UUID=, LABEL= and /dev/NAME")
}

func parseTag(kind SelectorKind, value string) (Selector, error) {
	switch {
	case kind == ByPartUUID:
		return parsePartUUID(value)
	case value == "" && kind == ByUUID:
		return Selector{}, errors.New("the UUID is empty")
	case value == "":
		return Selector{}, errors.New("the label is empty, and so is that of many partitions")
	}
	return Selector{kind, value}, nil
}

func parsePartUUID(value string) (Selector, error) {
	guid, err := gpt.ParseGUID(value)
	if err != nil {
		return Selector{}, err
	}
	return Selector{ByPartUUID, guid.String()}, nil
}

// isKernelName reports whether devtmpfs may have a disk of this name, which can
// have a folder ("cciss/c0d0"). Links are not the kernel's.
func isKernelName(name string) bool {
	folder, _, _ := strings.Cut(name, "/")
	return name != "" && path.Clean("/"+name) == "/"+name && folder != "disk" && folder != "mapper"
}

// unescapeLink undoes what udev does to names of links: "\x20" is a blank.
func unescapeLink(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if strings.HasPrefix(name[i:], `\x`) && i+4 <= len(name) {
			if c, err := hex.DecodeString(name[i+2 : i+4]); err == nil {
				b.WriteByte(c[0])
				i += 3
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// Find returns the first partition that the selector names. others counts
// further ones, which are a reason for a warning: identifiers ought to be
// unique. Partitions on the disk named by prefer come first; of those that are found by their type, the one with the
// newest label.
func (s Selector) Find(partitions []observe.Partition, prefer string) (found *observe.Partition, others int) {
	for i := range partitions {
		p := &partitions[i]
		if !s.names(p) {
			continue
		}
		switch {
		case s.Kind == Automatic && p.Disk != prefer:
			// Never another disk's: nothing says that it belongs to this /usr.
		case found == nil:
			found = p
		case s.Kind == Automatic && versionorder.Compare(p.Entry.Name, found.Entry.Name) > 0:
			found = p
			others++
		case prefer != "" && p.Disk == prefer && found.Disk != prefer:
			found = p
			others++
		default:
			others++
		}
	}
	return found, others
}

// isSingleOn reports whether it names one partition of a disk, and no more.
func (s Selector) isSingleOn(partitions []observe.Partition, disk string) bool {
	count := 0
	for i := range partitions {
		if partitions[i].Disk == disk && s.names(&partitions[i]) {
			count++
		}
	}
	return count == 1
}

func (s Selector) names(p *observe.Partition) bool {
	switch s.Kind {
	case ByPartUUID:
		return p.Entry.Number != 0 && p.Entry.ID.String() == s.Value
	case ByPartLabel:
		return p.Entry.Number != 0 && p.Entry.Name == s.Value
	case ByUUID:
		// Some tools print them in upper case; udev's links are as blkid spells them.
		return p.Content.Kind != "" && strings.EqualFold(p.Content.UUID, s.Value)
	case ByLabel:
		return p.Content.Kind != "" && p.Content.Label == s.Value
	case ByPath:
		return p.Node() == s.Value
	case Automatic:
		return p.IsRoot
	}
	return false
}
