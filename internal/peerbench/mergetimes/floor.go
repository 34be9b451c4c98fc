package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/veritytable"
)

// runFloor prints what the kernel alone takes for a merge: the mounts are made, nothing is looked for, read, compared or
// decided, and no process starts. The layers lie in mounts of this namespace, so that no other one is made.
func runFloor(round int, kind string, count int) error {
	layers := make([]mountapi.Option, 0, count+1)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	files, err := filepath.Glob(confexts + "/*")
	if err != nil {
		return err
	}
	var used []string
	var dm *devmapper.Control
	if kind == "images" {
		if dm, err = devmapper.Open(); err != nil {
			return err
		}
		defer dm.Close()
	}
	before, start := threadTime(), time.Now()
	for i, file := range files {
		layer := file + "/etc"
		if kind == "images" {
			at := fmt.Sprintf("/run/floor%d", i)
			if err := mountImage(dm, file, at); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			used = append(used, at)
			layer = at + "/etc"
		}
		layers = append(layers, mountapi.Option{Key: "lowerdir+", Value: layer})
	}
	layers = append(layers, mountapi.Option{Key: "lowerdir+", Value: "/etc"})
	err = mountapi.Attach("overlay", "floor", "/etc", layers, mountapi.ReadOnly)
	took, wall := threadTime()-before, time.Since(start)
	for _, at := range append([]string{"/etc"}, used...) {
		if detached := mountapi.Detach(at); err == nil {
			err = detached
		}
	}
	if err == nil && round > 0 {
		fmt.Printf("took %s-merge:%d floor %d %d 0\n", kind, count, took.Nanoseconds(), wall.Nanoseconds())
	}
	return err
}

func threadTime() time.Duration {
	var usage syscall.Rusage
	const thread = 1 // RUSAGE_THREAD
	if err := syscall.Getrusage(thread, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// mountImage opens an image through dm-verity, with loop devices of 4096 bytes a sector, as the applet does, and without its
// signature: the kernel of the machine has no certificate.
func mountImage(dm *devmapper.Control, name, at string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	image, err := ddi.Dissect(file, info.Size(), ddi.Options{Architecture: osrelease.Architecture(runtime.GOARCH)})
	if err != nil {
		return err
	}
	block := make([]byte, veritytable.SuperblockSize)
	if _, err := file.ReadAt(block, image.Hash.Offset); err != nil {
		return err
	}
	s, err := veritytable.ParseSuperblock(block)
	if err != nil {
		return err
	}
	geometry, err := s.Geometry(0)
	if err != nil {
		return err
	}
	data, err := loopdev.Attach(file, image.Data.Offset, image.Data.Size, 4096)
	if err != nil {
		return err
	}
	defer data.Close()
	hash, err := loopdev.Attach(file, image.Hash.Offset, image.Hash.Size, 4096)
	if err != nil {
		return err
	}
	defer hash.Close()
	table := veritytable.Table{
		Superblock: *s, DataDevice: data.Number(), HashDevice: hash.Number(), StartBlock: geometry.StartBlock, RootHash: image.RootHash,
	}
	device := "floor-" + data.Number()
	mapped, err := dm.Create(device, veritytable.DeviceUUID(s.UUID, device),
		devmapper.Target{Sectors: table.Sectors(), Type: "verity", Parameters: table.Line()})
	if err != nil {
		return err
	}
	err = mountapi.Attach("erofs", mapped.Node(), at, nil, mountapi.ReadOnly)
	if removed := dm.RemoveWhenUnused(device); err == nil {
		err = removed
	}
	return err
}
