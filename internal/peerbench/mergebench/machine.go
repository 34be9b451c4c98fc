package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/vmtest"
	"github.com/preroot/preroot/internal/vmtest/guestplan"
)

// peerFiles are the peer and the libraries that it opens at run time, as the testbed's tools tree has them.
var peerFiles = []string{
	"/usr/bin/systemd-confext", "/usr/lib/x86_64-linux-gnu/libblkid.so.1", "/usr/lib/x86_64-linux-gnu/libmount.so.1",
	"/usr/lib/x86_64-linux-gnu/libcryptsetup.so.12", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
	"/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
}

// modules are those of the machine.
var modules = []string{"loop", "dm-verity", "overlay", "erofs"}

// collect says which files the system has that both programs run in.
func (b *bench) collect(ctx context.Context, work string) ([]initramfs.Include, error) {
	tools, err := b.testbed.File("tools-forky", "scripts/testbed/make-tools")
	if err != nil {
		return nil, err
	}
	includes, err := vmtest.IncludePrograms(tools, peerFiles...)
	if err != nil {
		return nil, err
	}
	times := filepath.Join(work, "mergetimes")
	if err := buildProgram(ctx, times, "mergetimes", "./internal/peerbench/mergetimes"); err != nil {
		return nil, err
	}
	includes = append(includes, initramfs.Include{Source: b.ours, Destination: oursInside},
		initramfs.Include{Source: times, Destination: timesInside})
	if b.images == "" {
		return includes, nil
	}
	files, err := os.ReadDir(b.images)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		source := filepath.Join(b.images, file.Name())
		switch filepath.Ext(file.Name()) {
		case ".raw":
			includes = append(includes, initramfs.Include{Source: source, Destination: imagesInside + "/" + file.Name()})
		case ".crt":
			includes = append(includes, initramfs.Include{Source: source, Destination: trustInside + file.Name()})
		}
	}
	return includes, nil
}

func buildProgram(ctx context.Context, output, name, folder string) error {
	repository, err := vmtest.FindRepository()
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "build", "-o", output, folder)
	command.Dir = repository
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", name, err, said)
	}
	return nil
}

// runMachine boots a machine that counts instructions and returns its console.
func (b *bench) runMachine(ctx context.Context, work string) (string, error) {
	kernel, err := b.testbed.Kernel(b.suite)
	if err != nil {
		return "", err
	}
	includes, err := b.collect(ctx, work)
	if err != nil {
		return "", err
	}
	init := filepath.Join(work, "init")
	if err := buildProgram(ctx, init, "guestinit", "./internal/vmtest/guestinit"); err != nil {
		return "", err
	}
	text, err := json.Marshal(guestplan.Plan{Packages: []guestplan.Package{
		{Path: "mergetimes", Program: timesInside, Folder: "/", Modules: modules, Arguments: b.arguments()},
	}})
	if err != nil {
		return "", err
	}
	plan := filepath.Join(work, "plan.json")
	if err := os.WriteFile(plan, text, 0o600); err != nil {
		return "", err
	}
	image := filepath.Join(work, "initrd")
	_, err = initramfs.Build(initramfs.Options{
		KernelTree: kernel.Tree, Release: kernel.Release, Init: init, Output: image, Modules: modules,
		Includes: append(includes, initramfs.Include{Source: plan, Destination: guestplan.File}), Compression: initramfs.CompressionZstd,
	})
	if err != nil {
		return "", err
	}
	run, err := vmtest.Boot(ctx, vmtest.Config{
		Kernel: kernel.Image, Initrd: image, MemoryMiB: 1024, Counted: true, Timeout: 30 * time.Minute,
		Append: "console=ttyS0 panic=-1 quiet cryptomgr.notests " + vmtest.CountedWords,
	})
	if err != nil {
		return "", err
	}
	if !strings.Contains(run.Console, guestplan.MarkEnd+"mergetimes 0") {
		return "", fail("the machine did not come to its end", run.Console)
	}
	return run.Console, nil
}

// runHere runs in a mount namespace of this machine, below a directory with the same files.
func (b *bench) runHere(ctx context.Context, work string) (string, error) {
	includes, err := b.collect(ctx, work)
	if err != nil {
		return "", err
	}
	root := filepath.Join(work, "root")
	defer os.RemoveAll(root)
	for _, include := range includes {
		if err := copyInto(root, include); err != nil {
			return "", err
		}
	}
	command := exec.CommandContext(ctx, filepath.Join(root, timesInside), b.arguments("-root="+root)...)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fail(err.Error(), string(output))
	}
	return string(output), nil
}

func copyInto(root string, include initramfs.Include) error {
	source, err := os.Open(include.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	name := filepath.Join(root, include.Destination)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	target, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}
