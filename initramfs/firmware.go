package initramfs

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/preroot/preroot/initramfs/kerneltree"
)

// firmwarePath is where the kernel looks for firmware, in an image as anywhere.
const firmwarePath = "lib/firmware"

// maxFirmwareSize bounds one file of firmware, packed or not, in bytes.
const maxFirmwareSize = 256 << 20

// firmwareSuffixes are the ways in which a file may be packed, in the order in which the kernel looks for them
// (drivers/base/firmware_loader/main.c).
var firmwareSuffixes = []string{"", ".zst", ".xz"}

// firmwareFile is one that was found in the target's tree.
type firmwareFile struct {
	name   string // as a driver asks for it, below firmwarePath
	place  string // in the root
	suffix string
}

// firmwareTree looks for firmware in the system that the image is for. Links that lead out of it lead nowhere.
type firmwareTree struct {
	root    *os.Root
	folders []string
}

// openFirmware gives the tree of the kernel's root.
func openFirmware(k *kernel) (*firmwareTree, error) {
	root, err := os.OpenRoot(k.root)
	if err != nil {
		return nil, fmt.Errorf("look for firmware: %w", err)
	}
	t := &firmwareTree{root: root}
	// What an administrator put into updates/ counts more, for the kernel too.
	for _, below := range []string{"updates/" + k.release, "updates", k.release, ""} {
		for _, folder := range []string{firmwarePath, "usr/" + firmwarePath} {
			t.folders = append(t.folders, path.Join(folder, below))
		}
	}
	return t, nil
}

// find gives the files that a driver means, or for a pattern all that match it. Of those of one name the first counts.
func (t *firmwareTree) find(pattern string) []firmwareFile {
	var files []firmwareFile
	if !fs.ValidPath(pattern) {
		return nil // Such as "../x", or what linux-libre has in the place of names.
	}
	for _, suffix := range firmwareSuffixes {
		for _, folder := range t.folders {
			// A pattern that is none matches nothing: the driver's list is only a hint.
			matches, _ := fs.Glob(t.root.FS(), path.Join(folder, pattern)+suffix)
			for _, match := range matches {
				name := strings.TrimSuffix(strings.TrimPrefix(match, folder+"/"), suffix)
				if info, err := t.root.Stat(match); err == nil && info.Mode().IsRegular() {
					files = append(files, firmwareFile{name: name, place: match, suffix: suffix})
				}
			}
		}
	}
	return files
}

// read gives a file as the driver wants it, not packed: not every kernel can unpack it, and the image is packed as a whole.
func (t *firmwareTree) read(f firmwareFile) ([]byte, error) {
	file, err := t.root.Open(f.place)
	if err != nil {
		return nil, fmt.Errorf("read firmware: %w", err)
	}
	defer file.Close()
	content, err := readAtMost(file, maxFirmwareSize)
	if err != nil {
		return nil, fmt.Errorf("read firmware %s: %w", f.place, cause(err))
	}
	if content, err = decompress(content, f.suffix, maxFirmwareSize); err != nil {
		return nil, fmt.Errorf("unpack firmware %s: %w", f.place, err)
	}
	return content, nil
}

// addFirmware puts in what the drivers of the image may ask for, as far as the target has it and nobody included it. What it lacks is noted in the
// result, with a warning: a driver names all that any of its devices may need.
func addFirmware(l *layout, k *kernel, o Options, result *Result) error {
	wanted := firmwareWanted(k, result)
	if o.NoFirmware || len(wanted) == 0 {
		return nil
	}
	tree, err := openFirmware(k)
	if err != nil {
		return err
	}
	defer tree.root.Close()
	var missing []string
	for _, w := range wanted {
		var lacking []string
		for _, pattern := range w.patterns {
			files := tree.find(pattern)
			for _, f := range files {
				if err := stopped(o.Stop); err != nil {
					return err
				}
				if err := addFirmwareFile(l, tree, f, w.module); err != nil {
					return err
				}
			}
			if len(files) == 0 && !hasFirmware(l, pattern) {
				lacking = append(lacking, pattern)
			}
		}
		if len(lacking) > 0 {
			missing = append(missing, w.module+" ("+strings.Join(lacking, ", ")+")")
		}
	}
	result.MissingFirmware = missing
	if len(missing) > 0 {
		result.Warnings = append(result.Warnings, fmt.Sprintf("%s has no firmware for %s: devices that need it will not work in the initramfs (--no-firmware packs none, and says nothing)",
			path.Join(k.root, firmwarePath), strings.Join(missing, ", ")))
	}
	return nil
}

func addFirmwareFile(l *layout, tree *firmwareTree, f firmwareFile, module string) error {
	if hasFirmware(l, f.name) {
		return nil
	}
	content, err := tree.read(f)
	if err != nil {
		return err
	}
	l.reason = "firmware of " + module
	return l.addFile(path.Join(firmwarePath, f.name), 0o644, content)
}

// hasFirmware tells whether the image has a file, packed or not: another driver has it too, or somebody included it.
func hasFirmware(l *layout, name string) bool {
	return slices.ContainsFunc(firmwareSuffixes, func(suffix string) bool { return l.has(path.Join(firmwarePath, name) + suffix) })
}

// wantedFirmware is what one driver lists.
type wantedFirmware struct {
	module   string
	patterns []string
}

// firmwareWanted lists what the modules of the image name, and what the drivers do that were asked for and are built in.
func firmwareWanted(k *kernel, result *Result) []wantedFirmware {
	var all []wantedFirmware
	for _, m := range result.Modules {
		if len(m.Firmware) > 0 {
			all = append(all, wantedFirmware{m.Name, m.Firmware})
		}
	}
	for _, name := range result.BuiltIn {
		if patterns := k.builtInFirmware[kerneltree.Normalize(name)]; len(patterns) > 0 {
			all = append(all, wantedFirmware{kerneltree.Normalize(name), patterns})
		}
	}
	return all
}
