package scenario

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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

// settingsOfTestbed is the testbed's own preroot.conf in the repository.
const settingsOfTestbed = "scripts/testbed/preroot.conf"

// Prepare packs an initramfs with the repository's bin/preroot and the
// testbed's preroot.conf for the kernel of a suite into the folder dir. What
// is missing is an error that says what makes it.
func Prepare(suite, dir string) (*Machine, error) { return PrepareWith(suite, dir, "") }

// PrepareWith does that with more settings behind those of the testbed, and further files in the image.
func PrepareWith(suite, dir, settings string, includes ...initramfs.Include) (*Machine, error) {
	return prepareTestbed(suite, dir, settings, Image{Includes: includes})
}

// PrepareSealed does that with the program that has no shell and guesses nothing.
func PrepareSealed(suite, dir, settings string) (*Machine, error) {
	return prepareTestbed(suite, dir, settings, Image{Program: "bin/preroot-sealed"})
}

func prepareTestbed(suite, dir, settings string, image Image) (*Machine, error) {
	repository, err := vmtest.FindRepository()
	if err != nil {
		return nil, err
	}
	conf, err := os.ReadFile(filepath.Join(repository, settingsOfTestbed))
	if err != nil {
		return nil, fmt.Errorf("prepare machine: %w", err)
	}
	image.Settings = string(conf) + settings
	return PrepareImage(suite, dir, image)
}

// prepareFile packs an initramfs with a program as /init.
func prepareFile(program, suite, dir, settings string, includes ...initramfs.Include) (*Machine, error) {
	return prepareTestbed(suite, dir, settings, Image{Program: program, Includes: includes})
}

// Image says what is in an initramfs.
type Image struct {
	// Program is /init: a path, which may be one below the repository; bin/preroot when empty. Settings is the whole of preroot.conf.
	Program, Settings string
	// Hardware and Includes are those of initramfs.Options.
	Hardware string
	Includes []initramfs.Include
	// Modules are more of them, by name.
	Modules []string
}

// PrepareImage packs an initramfs for a kernel of the testbed into the folder dir.
func PrepareImage(kernelName, dir string, image Image) (*Machine, error) {
	testbed, err := vmtest.OpenTestbed()
	if err != nil {
		return nil, err
	}
	kernel, err := testbed.Kernel(kernelName)
	if err != nil {
		return nil, err
	}
	repository, err := vmtest.FindRepository()
	if err != nil {
		return nil, err
	}
	program := cmp.Or(image.Program, "bin/preroot")
	if !filepath.IsAbs(program) {
		program = filepath.Join(repository, program)
	}
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("prepare machine: %w; make (or scripts/build) makes it", err)
	}
	confFile := filepath.Join(dir, "preroot.conf")
	if err := os.WriteFile(confFile, []byte(image.Settings), 0o644); err != nil {
		return nil, fmt.Errorf("prepare machine: %w", err)
	}
	m := &Machine{Testbed: testbed, Kernel: kernel, Initrd: filepath.Join(dir, "initrd-"+kernelName)}
	_, err = initramfs.Build(initramfs.Options{
		KernelTree: kernel.Tree, Release: kernel.Release, Init: program, Output: m.Initrd,
		NoApplets: strings.HasSuffix(program, "-sealed"), Conf: confFile, Hardware: image.Hardware, Includes: image.Includes,
		ExtraModules: image.Modules,
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

	// WriteLog is a file for a note of each write to it: see vmtest.Disk.
	WriteLog string

	// Bus is how it is attached; virtio when empty.
	Bus vmtest.Bus

	// MoreDisks are raw images beside it; the guest's writes to them are thrown away.
	MoreDisks []string

	// Plugs are disks that come while the machine runs.
	Plugs []vmtest.Plug

	// CommandLine is what the boot loader would pass; that of disk.env when
	// empty. The console and panic=-1 come before it, Append after it.
	CommandLine, Append string

	// Timeout bounds the whole run; 900 s when 0: a full systemd takes five minutes where the emulator has a third of a processor.
	Timeout time.Duration

	// Log gets the console as it is printed; none when nil.
	Log io.Writer

	// Dialog is what somebody types, SecondConsole a file for what hvc0 prints, SecondDialog what somebody types there; for these,
	// Network and Until see vmtest.Config.
	Dialog        []vmtest.Exchange
	SecondConsole string
	SecondDialog  []vmtest.Exchange
	Network       bool
	Until         string
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
	disks := []vmtest.Disk{{Path: s.Disk, Bus: s.Bus, WriteLog: s.WriteLog, Snapshot: !s.Keep}}
	for _, more := range s.MoreDisks {
		disks = append(disks, vmtest.Disk{Path: more, Snapshot: true})
	}
	return vmtest.Boot(ctx, vmtest.Config{
		Kernel: m.Kernel.Image, Initrd: m.Initrd,
		Append: joinWords("console=ttyS0 panic=-1", s.CommandLine, s.Append),
		Disks:  disks, Plugs: s.Plugs,
		Timeout: s.Timeout, Log: s.Log, Reached: initReached, Dialog: s.Dialog, SecondConsole: s.SecondConsole,
		SecondDialog: s.SecondDialog, Network: s.Network, Until: s.Until,
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
