package scenario

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/vmtest"
)

// Machine is the testbed's guest with one kernel, and preroot's initramfs for
// it.
type Machine struct {
	Testbed *vmtest.Testbed
	Kernel  vmtest.Kernel
	Initrd  string
}

// Prepare packs an initramfs with the repository's bin/preroot and the
// testbed's preroot.conf for the kernel of a suite into the folder dir. What
// is missing is an error that says what makes it.
func Prepare(suite, dir string) (*Machine, error) { return PrepareWith(suite, dir, "") }

// PrepareWith does that with more settings behind those of the testbed, and further files in the image.
func PrepareWith(suite, dir, settings string, includes ...initramfs.Include) (*Machine, error) {
	return prepareProgram("bin/preroot", suite, dir, settings, includes...)
}

// PrepareSealed does that with the program that has no shell and guesses nothing.
func PrepareSealed(suite, dir, settings string) (*Machine, error) {
	return prepareProgram("bin/preroot-sealed", suite, dir, settings)
}

func prepareProgram(program, suite, dir, settings string, includes ...initramfs.Include) (*Machine, error) {
	repository, err := vmtest.FindRepository()
	if err != nil {
		return nil, err
	}
	program = filepath.Join(repository, program)
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("prepare machine: %w; make (or scripts/build) makes it", err)
	}
	return prepareFile(program, suite, dir, settings, includes...)
}

// prepareFile packs an initramfs with a program as /init.
func prepareFile(program, suite, dir, settings string, includes ...initramfs.Include) (*Machine, error) {
	testbed, err := vmtest.OpenTestbed()
	if err != nil {
		return nil, err
	}
	kernel, err := testbed.Kernel(suite)
	if err != nil {
		return nil, err
	}
	repository, err := vmtest.FindRepository()
	if err != nil {
		return nil, err
	}
	conf, err := os.ReadFile(filepath.Join(repository, "scripts/testbed/preroot.conf"))
	if err != nil {
		return nil, fmt.Errorf("prepare machine: %w", err)
	}
	confFile := filepath.Join(dir, "preroot.conf")
	if err := os.WriteFile(confFile, append(conf, settings...), 0o644); err != nil {
		return nil, fmt.Errorf("prepare machine: %w", err)
	}
	m := &Machine{Testbed: testbed, Kernel: kernel, Initrd: filepath.Join(dir, "initrd-"+suite)}
	_, err = initramfs.Build(initramfs.Options{
		KernelTree: kernel.Tree, Release: kernel.Release, Init: program, Output: m.Initrd,
		Conf: confFile, Includes: includes,
	})
	if err != nil {
		return nil, fmt.Errorf("prepare machine: %w", err)
	}
	return m, nil
}

// Start says how a Machine is booted.
type Start struct {
	// Disk is a raw image; the testbed's own when empty. The guest's writes are
	// thrown away, unless Keep is set.
	Disk string
	Keep bool

	// MoreDisks are raw images beside it; the guest's writes to them are thrown away.
	MoreDisks []string

	// CommandLine is what the boot loader would pass; that of disk.env when
	// empty. The console and panic=-1 come before it, Append after it.
	CommandLine, Append string

	// Timeout bounds the whole run; 900 s when 0: a full systemd takes five minutes where the emulator has a third of a processor.
	Timeout time.Duration

	// Log gets the console as it is printed; none when nil.
	Log io.Writer

	// Dialog is what somebody types, SecondConsole a file for what hvc0 prints: see vmtest.Config.
	Dialog        []vmtest.Exchange
	SecondConsole string
}

// Boot runs the machine to its end.
func (m *Machine) Boot(ctx context.Context, s Start) (*vmtest.Run, error) {
	var err error
	if s.Disk == "" {
		if s.Disk, err = m.Testbed.File("disk.raw", "scripts/testbed/make-disk"); err != nil {
			return nil, err
		}
	}
	if s.CommandLine == "" {
		if s.CommandLine, err = m.Testbed.Value("CMDLINE"); err != nil {
			return nil, err
		}
	}
	if s.Timeout == 0 {
		s.Timeout = 900 * time.Second
	}
	disks := []vmtest.Disk{{Path: s.Disk, Snapshot: !s.Keep}}
	for _, more := range s.MoreDisks {
		disks = append(disks, vmtest.Disk{Path: more, Snapshot: true})
	}
	return vmtest.Boot(ctx, vmtest.Config{
		Kernel: m.Kernel.Image, Initrd: m.Initrd,
		Append:  joinWords("console=ttyS0 panic=-1", s.CommandLine, s.Append),
		Disks:   disks,
		Timeout: s.Timeout, Log: s.Log, Reached: initReached, Dialog: s.Dialog, SecondConsole: s.SecondConsole,
	})
}

func joinWords(parts ...string) string {
	text := ""
	for _, part := range parts {
		if part != "" && text != "" {
			text += " "
		}
		text += part
	}
	return text
}

// RefreshWords are command line words that systemd's own tools need on the
// kernel of a suite. On 6.12 their direct I/O on loop devices fails for an
// image that lies on erofs; preroot does without.
func RefreshWords(suite string) string {
	if suite == vmtest.Trixie {
		return "systemd.setenv=SYSTEMD_LOOP_DIRECT_IO=0"
	}
	return ""
}
