// Command floor builds the initramfs of the floor for a disk of the testbed: internal/peerbench/floorinit, the modules that preroot loads there, and what
// that program has to know of the disk. PREROOT_TESTBED names the testbed.
package main

import (
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/peerbench/floor/steps"
	"github.com/preroot/preroot/internal/veritytable"
	"github.com/preroot/preroot/internal/vmtest"
)

// images are the extensions of the testbed's disk.raw that are images, the topmost first, and where they lie.
var images = []steps.Volume{
	{Name: "tool", Class: "sysext", File: "/var/lib/extensions/tool.raw"},
	{Name: "user", Class: "confext", File: "/var/lib/confexts/user.raw"},
	{Name: "00-default", Class: "confext", File: "/usr/lib/confexts/00-default.raw"},
}

func main() {
	suite := flag.String("kernel", vmtest.Forky, "the `suite` of the kernel")
	disk := flag.String("disk", "disk.raw", "the `file` of the disk in the testbed: disk.raw or plain.raw")
	output := flag.String("output", "", "the initramfs, a `file`")
	flag.Parse()
	if err := build(*suite, *disk, *output); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func build(suite, disk, output string) error {
	testbed, err := vmtest.OpenTestbed()
	if err != nil {
		return err
	}
	kernel, err := testbed.Kernel(suite)
	if err != nil {
		return err
	}
	plan, err := planDisk(testbed, disk)
	if err != nil {
		return err
	}
	modules := []string{"virtio_blk", "ext4"}
	if len(plan.Images) > 0 {
		modules = append(modules, "dm_verity", "erofs", "loop", "overlay")
	}
	dir, err := os.MkdirTemp("", "floor")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	options := initramfs.Options{
		KernelTree: kernel.Tree, Release: kernel.Release, Init: filepath.Join(dir, "floorinit"), Output: output, Modules: modules,
		Includes: []initramfs.Include{{Source: filepath.Join(dir, "floor"), Destination: steps.File}},
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		return err
	}
	options.Includes = append(options.Includes, initramfs.Include{Source: empty, Destination: "sysroot"})
	if err := buildInit(options.Init); err != nil {
		return err
	}
	// The first image tells the paths of the modules, the second one knows them.
	for range 2 {
		if err := os.WriteFile(filepath.Join(dir, "floor"), []byte(plan.String()), 0o644); err != nil {
			return err
		}
		result, err := initramfs.Build(options)
		if err != nil {
			return err
		}
		if plan.Modules, err = orderModules(result.Modules, filepath.Join(kernel.Tree, "lib/modules", kernel.Release)); err != nil {
			return err
		}
	}
	return nil
}

func buildInit(output string) error {
	repository, err := vmtest.FindRepository()
	if err != nil {
		return err
	}
	command := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", output, "./internal/peerbench/floorinit")
	command.Dir, command.Env = repository, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build floorinit: %w\n%s", err, text)
	}
	return nil
}

// orderModules says what each module waits for: what modules.dep(5) and the soft dependencies of the kernel say.
func orderModules(modules []initramfs.Module, directory string) ([]steps.Module, error) {
	needs := map[string][]string{}
	dependencies, err := os.ReadFile(filepath.Join(directory, "modules.dep"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(dependencies)) {
		if file, rest, found := strings.Cut(line, ":"); found {
			for need := range strings.FieldsSeq(rest) {
				needs[moduleName(file)] = append(needs[moduleName(file)], moduleName(need))
			}
		}
	}
	soft, err := os.ReadFile(filepath.Join(directory, "modules.softdep"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(soft)) {
		words := strings.Fields(line)
		if len(words) < 4 || words[0] != "softdep" || words[2] != "pre:" {
			continue
		}
		for _, need := range words[3:] {
			if need == "post:" {
				break
			}
			needs[moduleName(words[1])] = append(needs[moduleName(words[1])], moduleName(need))
		}
	}
	var ordered []steps.Module
	for _, m := range modules {
		ordered = append(ordered, steps.Module{Name: m.Name, Path: m.Path, Needs: slices.DeleteFunc(needs[m.Name], func(need string) bool {
			return !slices.ContainsFunc(modules, func(other initramfs.Module) bool { return other.Name == need })
		})})
	}
	return ordered, nil
}

func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// planDisk reads what is to be known of a disk.
func planDisk(testbed *vmtest.Testbed, disk string) (*steps.Plan, error) {
	path, err := testbed.File(disk, "scripts/testbed/make-disk")
	if err != nil {
		return nil, err
	}
	values, err := testbed.DiskValues(disk)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	table, err := gpt.ReadImage(file, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	find := func(key string) (gpt.Entry, string, error) {
		for _, entry := range table.Entries {
			if entry.ID.String() == values[key] {
				return entry, fmt.Sprintf("/dev/vda%d", entry.Number), nil
			}
		}
		return gpt.Entry{}, "", fmt.Errorf("%s: no partition %s=%s", path, key, values[key])
	}
	plan := &steps.Plan{}
	if _, plan.Root, err = find("ROOT_PARTUUID"); err != nil || values["USRHASH"] == "" {
		return plan, err
	}
	_, data, err := find("USR_PARTUUID")
	if err != nil {
		return nil, err
	}
	hash, hashNode, err := find("USR_VERITY_PARTUUID")
	if err != nil {
		return nil, err
	}
	rootHash, err := hex.DecodeString(values["USRHASH"])
	if err != nil {
		return nil, err
	}
	if plan.Usr, err = mapVolume(steps.Volume{Name: "usr"}, file, table.Offset(hash), 0, data, hashNode, rootHash); err != nil {
		return nil, err
	}
	for _, v := range images {
		if v, err = planImage(v, strings.TrimSuffix(path, ".raw")+".exts"); err != nil {
			return nil, fmt.Errorf("%s: %w", v.File, err)
		}
		plan.Images = append(plan.Images, v)
	}
	return plan, nil
}

// planImage reads what is to be known of an image, of which a copy lies in a directory.
func planImage(v steps.Volume, directory string) (steps.Volume, error) {
	file, err := os.Open(filepath.Join(directory, filepath.Base(v.File)))
	if err != nil {
		return v, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return v, err
	}
	image, err := ddi.Dissect(file, info.Size(), ddi.Options{Architecture: "x86-64"})
	if err != nil {
		return v, err
	}
	if image.Hash == nil || image.RootHash == nil || image.Hash.Offset < image.Data.Offset {
		return v, fmt.Errorf("it has no hash tree behind its data")
	}
	v.Offset = image.Data.Offset
	return mapVolume(v, file, image.Hash.Offset, image.Hash.Offset-v.Offset, steps.Loop, steps.Loop, image.RootHash)
}

// mapVolume makes the table. The superblock lies at a place of the file, which is byte offset of the hash device.
func mapVolume(v steps.Volume, file io.ReaderAt, at, offset int64, data, hash string, rootHash []byte) (steps.Volume, error) {
	text := make([]byte, veritytable.SuperblockSize)
	if _, err := file.ReadAt(text, at); err != nil {
		return v, err
	}
	superblock, err := veritytable.ParseSuperblock(text)
	if err != nil {
		return v, err
	}
	geometry, err := superblock.Geometry(offset)
	if err != nil {
		return v, err
	}
	table := veritytable.Table{Superblock: *superblock, DataDevice: data, HashDevice: hash, StartBlock: geometry.StartBlock, RootHash: rootHash}
	v.Sectors, v.Parameters = table.Sectors(), table.Line()
	return v, nil
}
