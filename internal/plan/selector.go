package plan

import (
	"errors"
	"strings"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/observe"
)

// SelectorKind says by what a device is named.
type SelectorKind string

// The kinds, spelled as on the kernel command line.
const (
	ByPartUUID  SelectorKind = "PARTUUID"
	ByPartLabel SelectorKind = "PARTLABEL"
	ByPath      SelectorKind = "path"
)

// Selector names a block device.
type Selector struct {
	Kind  SelectorKind
	Value string
}

func (s Selector) String() string {
	if s.Kind == ByPath {
		return s.Value
	}
	return string(s.Kind) + "=" + s.Value
}

// ParseSelector reads PARTUUID=, PARTLABEL=, or a path below /dev.
func ParseSelector(text string) (Selector, error) {
	kind, value, tagged := strings.Cut(text, "=")
	switch {
	case tagged && SelectorKind(kind) == ByPartUUID:
		guid, err := gpt.ParseGUID(value)
		if err != nil {
			return Selector{}, err
		}
		return Selector{ByPartUUID, guid.String()}, nil
	case tagged && SelectorKind(kind) == ByPartLabel:
		return Selector{ByPartLabel, value}, nil
	case strings.HasPrefix(text, "/dev/disk/by-partuuid/"):
		return ParseSelector("PARTUUID=" + strings.TrimPrefix(text, "/dev/disk/by-partuuid/"))
	case strings.HasPrefix(text, "/dev/disk/by-partlabel/"):
		return Selector{ByPartLabel, strings.TrimPrefix(text, "/dev/disk/by-partlabel/")}, nil
	case strings.HasPrefix(text, "/dev/") && !strings.HasPrefix(text, "/dev/disk/"):
		return Selector{ByPath, text}, nil
	}
	return Selector{}, errors.New("preroot finds devices by PARTUUID=, PARTLABEL= and /dev/NAME so far")
}

// Find returns the first partition that the selector names. others counts
// further ones, which are a reason for a warning: identifiers ought to be
// unique. Partitions on the disk named by prefer come first.
func (s Selector) Find(partitions []observe.Partition, prefer string) (found *observe.Partition, others int) {
	for i := range partitions {
		p := &partitions[i]
		if !s.names(p) {
			continue
		}
		switch {
		case found == nil:
			found = p
		case prefer != "" && p.Disk == prefer && found.Disk != prefer:
			found = p
			others++
		default:
			others++
		}
	}
	return found, others
}

func (s Selector) names(p *observe.Partition) bool {
	switch s.Kind {
	case ByPartUUID:
		return p.Entry.Number != 0 && p.Entry.ID.String() == s.Value
	case ByPartLabel:
		return p.Entry.Number != 0 && p.Entry.Name == s.Value
	case ByPath:
		return p.Node() == s.Value
	}
	return false
}
