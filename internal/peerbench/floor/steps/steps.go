// Package steps is the file that tells the floor's init (internal/peerbench/floorinit) what it does.
package steps

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// File is where the file lies in the image.
	File = "/floor"
	// Loop stands in Volume.Parameters for the number of the image's loop device.
	Loop = "LOOP"
)

// Plan is all of it. Without Usr there is a root and nothing else.
type Plan struct {
	Modules []Module
	// Root is the node of the root file system, an ext4.
	Root string
	Usr  Volume
	// Images are those that are merged, in the order of the layers, the topmost first.
	Images []Volume
}

// Module is a kernel module. Needs are those of the plan that have to be there first.
type Module struct {
	Name, Path string
	Needs      []string
}

// Volume is something under dm-verity. File and Offset are of an image on the new root; Class is sysext or confext.
type Volume struct {
	Name, Class, File string
	Offset            int64
	Sectors           uint64
	Parameters        string
}

// String is the text of the file.
func (p *Plan) String() string {
	var b strings.Builder
	for _, m := range p.Modules {
		fmt.Fprintf(&b, "module %s %s %s\n", m.Name, m.Path, strings.Join(m.Needs, " "))
	}
	fmt.Fprintf(&b, "root %s\n", p.Root)
	if p.Usr != (Volume{}) {
		fmt.Fprintf(&b, "usr %s\n", p.Usr)
	}
	for _, v := range p.Images {
		fmt.Fprintf(&b, "image %s\n", v)
	}
	return b.String()
}

func (v Volume) String() string {
	class, file := v.Class, v.File
	if file == "" {
		class, file = "-", "-"
	}
	return fmt.Sprintf("%s %s %s %d %d %s", v.Name, class, file, v.Offset, v.Sectors, v.Parameters)
}

// Parse reads the text. No name in it has a blank.
func Parse(text string) (*Plan, error) {
	p := &Plan{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 {
			return nil, fmt.Errorf("read floor: %q", line)
		}
		var err error
		switch kind, rest := words[0], words[1:]; {
		case kind == "module" && len(rest) > 1:
			p.Modules = append(p.Modules, Module{rest[0], rest[1], rest[2:]})
		case kind == "root":
			p.Root = rest[0]
		case kind == "usr":
			p.Usr, err = parseVolume(rest)
		case kind == "image":
			var v Volume
			v, err = parseVolume(rest)
			p.Images = append(p.Images, v)
		default:
			err = fmt.Errorf("read floor: %q", line)
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

func parseVolume(words []string) (v Volume, err error) {
	if len(words) < 6 {
		return v, fmt.Errorf("read floor: volume %q", words)
	}
	v = Volume{Name: words[0], Class: words[1], File: words[2], Parameters: strings.Join(words[5:], " ")}
	if v.File == "-" {
		v.Class, v.File = "", ""
	}
	if v.Offset, err = strconv.ParseInt(words[3], 10, 64); err != nil {
		return v, err
	}
	v.Sectors, err = strconv.ParseUint(words[4], 10, 64)
	return v, err
}
