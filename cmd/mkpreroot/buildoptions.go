package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/preroot/preroot/initramfs"
)

// buildSettings are the options of build as a person gives them, on the command line or in a file.
type buildSettings struct {
	initramfs.Options
	microcode, modules, includes list
	noDefaultModules, noManifest bool
	quiet                        bool
	profile                      string
}

// list is an option that may be repeated.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// buildOption is one option with its two spellings and its help.
type buildOption struct {
	name  string // of the command line
	key   string // of [Build] in a file; none for what only a person at the keyboard wants
	value string // what stands for its value in the help; none for a switch
	help  string // lines of at most 55 columns
	// text, many or flag is where it goes.
	text func(s *buildSettings) *string
	many func(s *buildSettings) *list
	flag func(s *buildSettings) *bool
	// path: a relative one in a file counts from the folder of that file.
	path bool
}

// buildOptions are all options of build but --config and --help, in the order of the help.
var buildOptions = []buildOption{
	{name: "kernel", key: "Kernel", value: "WHAT", path: true, text: func(s *buildSettings) *string { return &s.KernelTree },
		help: "the kernel: a directory with lib/modules/RELEASE, a\nRELEASE directory itself, a kernel image, or a release\nthat the root has"},
	{name: "output", key: "Output", value: "FILE", path: true, text: func(s *buildSettings) *string { return &s.Output },
		help: "image to write; replaced only when complete"},
	{name: "root", key: "Root", value: "DIR", path: true, text: func(s *buildSettings) *string { return &s.Root },
		help: "the system that the image is for: releases, modprobe.d\nand boot/config-RELEASE are looked for there (default:\nwhere the kernel was found, or /)"},
	{name: "release", key: "Release", value: "NAME", text: func(s *buildSettings) *string { return &s.Release },
		help: "which release, when there are several"},
	{name: "arch", key: "Arch", value: "ARCH", text: func(s *buildSettings) *string { return &s.Arch },
		help: "amd64 or arm64 (default: this machine's)"},
	{name: "profile", key: "Profile", value: "NAME", text: func(s *buildSettings) *string { return &s.profile },
		help: "full (default): with a shell, which preroot.conf must\nallow; sealed: no shell and\nno commands are in it"},
	{name: "init", key: "Init", value: "BIN", path: true, text: func(s *buildSettings) *string { return &s.Init },
		help: "program for /init (default: that of the profile and of\nARCH, beside mkpreroot)"},
	{name: "conf", key: "Conf", value: "FILE", path: true, text: func(s *buildSettings) *string { return &s.Conf },
		help: "settings, become /etc/preroot.conf"},
	{name: "hardware", key: "Hardware", value: "SET", text: func(s *buildSettings) *string { return &s.Hardware },
		help: "default (below), generic: most machines, real and\nvirtual; this: what this machine boots from; or a list\nof modules: NAME,NAME"},
	{name: "module", key: "Module", value: "NAME", many: func(s *buildSettings) *list { return &s.modules },
		help: "one more module, or alias; may be repeated"},
	{name: "no-default-modules", key: "NoDefaultModules", flag: func(s *buildSettings) *bool { return &s.noDefaultModules },
		help: "only the modules of --module (and what they need)"},
	{name: "no-firmware", key: "NoFirmware", flag: func(s *buildSettings) *bool { return &s.NoFirmware },
		help: "leave out the firmware that the modules name"},
	{name: "include", key: "Include", value: "SRC:DST", path: true, many: func(s *buildSettings) *list { return &s.includes },
		help: "one more file or directory; may be repeated"},
	{name: "compress", key: "Compress", value: "HOW", text: func(s *buildSettings) *string { return &s.Compression },
		help: "zstd (default), xz, gzip or none; or a command that\nreads standard input and writes standard output, such\nas \"zstd -19\": smaller, and the bytes depend on its\nversion. The image is unpacked again to check it"},
	{name: "microcode", key: "Microcode", value: "FILE", path: true, many: func(s *buildSettings) *list { return &s.microcode },
		help: "processor microcode to put in front, not compressed: a\ncpio archive of it, a file of Intel's or AMD's, or a\ndirectory of those; may be repeated"},
	{name: "no-manifest", key: "NoManifest", flag: func(s *buildSettings) *bool { return &s.noManifest },
		help: "do not write FILE.manifest.json and FILE.spdx.json"},
	{name: "quiet", flag: func(s *buildSettings) *bool { return &s.quiet },
		help: "print errors and warnings only"},
}

// buildUsage is the help of build.
func buildUsage() string {
	var b strings.Builder
	b.WriteString("Usage: mkpreroot build --kernel WHAT --output FILE [OPTION]...\n\n")
	writeOption(&b, "--config FILE", "options from a file, section [Build]: see\nmkpreroot(8); those given here count more")
	for _, o := range buildOptions {
		left := "--" + o.name
		if o.value != "" {
			left += " " + o.value
		}
		if o.name == "quiet" {
			left = "-q, " + left
		}
		writeOption(&b, left, o.help)
	}
	writeOption(&b, "-h, --help", "print this")
	fmt.Fprintf(&b, "\nThe default modules (built-in ones are left out):\n%s\n", wrap(initramfs.DefaultModules, 74))
	b.WriteString("SOURCE_DATE_EPOCH sets the time of all files (default 0).\n")
	return b.String()
}

// writeOption writes an option with its help at column 25, below it where it is too long.
func writeOption(b *strings.Builder, left, help string) {
	const column = 22
	lines := strings.Split(help, "\n")
	if len(left) < column-1 {
		fmt.Fprintf(b, "  %-*s%s\n", column, left, lines[0])
		lines = lines[1:]
	} else {
		fmt.Fprintf(b, "  %s\n", left)
	}
	for _, line := range lines {
		fmt.Fprintf(b, "  %-*s%s\n", column, "", line)
	}
}

// finish checks the settings and fills in what was not said.
func (s *buildSettings) finish() error {
	for _, needed := range []struct{ name, value string }{{"kernel", s.KernelTree}, {"output", s.Output}} {
		if needed.value == "" {
			return usageError{fmt.Sprintf("build: --%s is needed", needed.name)}
		}
	}
	if err := s.finishCompression(); err != nil {
		return err
	}
	switch s.Arch {
	case "":
		s.Arch = runtime.GOARCH
	case "amd64", "arm64":
	default:
		return usageError{fmt.Sprintf("build: unknown architecture %q (known: amd64, arm64)", s.Arch)}
	}
	s.ExtraModules, s.Options.Microcode = s.modules, s.microcode
	if s.noDefaultModules {
		if s.Hardware != "" {
			return usageError{"build: --hardware and --no-default-modules exclude each other"}
		}
		s.Modules = []string{}
	}
	s.Describe = !s.noManifest
	for _, text := range s.includes {
		include, err := parseInclude(text)
		if err != nil {
			return err
		}
		s.Includes = append(s.Includes, include)
	}
	if s.profile == "" {
		s.profile = "full"
	}
	program, known := profiles[s.profile]
	if !known {
		return usageError{fmt.Sprintf("build: unknown profile %q (known: full, sealed)", s.profile)}
	}
	s.NoApplets = s.profile == "sealed"
	var err error
	if s.Init == "" {
		if s.Init, err = programFor(program, s.Arch); err != nil {
			return err
		}
	}
	if err := checkSettings(s.Conf, s.Init); err != nil {
		return err
	}
	s.ModifiedAt, err = sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
	return err
}

// finishCompression tells the compressions that the library has from commands, whose words spaces part.
func (s *buildSettings) finishCompression() error {
	switch s.Compression {
	case "":
		s.Compression = initramfs.CompressionZstd
		return nil
	case initramfs.CompressionZstd, initramfs.CompressionXz, initramfs.CompressionGzip, initramfs.CompressionNone:
		return nil
	}
	words := strings.Fields(s.Compression)
	if len(words) == 0 {
		return usageError{fmt.Sprintf("build: --compress %q names nothing", s.Compression)}
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		if why, ok := errors.AsType[*exec.Error](err); ok {
			err = why.Err
		}
		if why, ok := errors.AsType[*os.PathError](err); ok {
			err = why.Err
		}
		return usageError{fmt.Sprintf("build: --compress %q: neither zstd, xz, gzip or none, nor a command: %q: %v", s.Compression, words[0], err)}
	}
	s.Compression, s.Compressor = "", words
	return nil
}

// parseInclude cuts SRC:DST at the last colon, so that SRC may have colons.
func parseInclude(text string) (initramfs.Include, error) {
	cut := strings.LastIndexByte(text, ':')
	if cut < 1 || cut == len(text)-1 {
		return initramfs.Include{}, usageError{fmt.Sprintf("build: --include %q is not SRC:DST", text)}
	}
	return initramfs.Include{Source: text[:cut], Destination: text[cut+1:]}, nil
}

// profiles are the programs for /init by the name of what is in them.
var profiles = map[string]string{"full": "preroot", "sealed": "preroot-sealed"}

// programFor finds a program for /init, NAME-ARCH if it is not for this machine's architecture, in mkpreroot's own
// directory, or where "make install" puts those that do not run here.
func programFor(name, arch string) (string, error) {
	if arch != runtime.GOARCH {
		name += "-" + arch
	}
	own, err := os.Executable()
	if err != nil {
		// Without /proc, as in a bare chroot, the name by which it was called will do.
		own, err = exec.LookPath(os.Args[0])
	}
	if err != nil {
		return "", fmt.Errorf("find program for /init: %w", err)
	}
	folder := filepath.Dir(own)
	for _, program := range []string{filepath.Join(folder, name), filepath.Join(folder, "../lib/preroot", name)} {
		if _, err := os.Stat(program); err == nil {
			return program, nil
		}
	}
	return "", fmt.Errorf("find program for /init: no %s beside mkpreroot: name one with --init", name)
}

// sourceDate reads SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch):
// seconds since 1970, 0 when unset.
func sourceDate(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("read SOURCE_DATE_EPOCH: %q is not a number of seconds from 0 to 4294967295", text)
	}
	return int64(seconds), nil
}
