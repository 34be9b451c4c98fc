// Package initramfs makes a preroot image on the host: it picks the kernel
// modules, lays out the files, packs them with mkuimage's uimage library into
// one cpio archive ("newc") and compresses that. The same inputs give the same
// bytes.
//
// It runs on a build machine only and is never linked into the boot binary.
package initramfs

import (
	"context"
	"io"
)

// Compressions an image may have. Debian's kernels unpack all of them.
const (
	CompressionZstd = "zstd"
	CompressionXz   = "xz"
	CompressionGzip = "gzip"
	CompressionNone = "none"
)

// Options say what goes into an image. KernelTree, Init and Output are needed.
type Options struct {
	// KernelTree is a directory that holds lib/modules/RELEASE with a
	// modules.dep, or such a RELEASE directory, or a kernel image, whose
	// modules are beside it or in Root, or a release that Root has.
	KernelTree string

	// Root is the system that the image is for: releases are looked for there,
	// and modprobe.d and boot/config-RELEASE read. When empty it is
	// the one that the kernel was found in.
	Root string

	// Release picks one of several releases below lib/modules. When empty,
	// there must be exactly one.
	Release string

	// Arch is the architecture by Go's name, amd64 or arm64, that modules and
	// program have to be for. When empty they only have to agree.
	Arch string

	// Init is the program that becomes /init: static, since nothing else is
	// in the image.
	Init string

	// NoApplets says that the program has no applets (profile sealed): the image
	// has no links by their names, which would lead nowhere.
	NoApplets bool

	// Output is the file to write. It is replaced as a whole or not at all.
	Output string

	// Conf is copied to /etc/preroot.conf; none when empty.
	Conf string

	// Hardware is a set of drivers: HardwareDefault, which is also the empty
	// text, HardwareGeneric, HardwareThis, or names separated by commas. All but
	// the first come with what opens and merges /usr.
	Hardware string

	// Machine is what HardwareThis looks at; the running one when zero.
	Machine Machine

	// Modules are the names to include, instead of a set of hardware, when not
	// nil. An empty non-nil slice means none but ExtraModules.
	Modules []string

	// ExtraModules are added to Modules or the set of hardware.
	ExtraModules []string

	// Microcode are files or directories of processor microcode for amd64. It
	// stands in front of the image, not compressed.
	Microcode []string

	// Includes are further files, links and directories.
	Includes []Include

	// NoFirmware leaves out the firmware that the drivers of the image name,
	// which is taken from lib/firmware of the system that the image is for.
	NoFirmware bool

	// Compression is one of the Compression constants; zstd when empty.
	Compression string

	// Compressor is a command of this machine that compresses in the place of
	// Compression: a program, by path or name, and its arguments. It reads the
	// archive from standard input and writes to standard output. What it writes
	// has to be what a kernel unpacks, to the same bytes; those of the image
	// depend on the program's version.
	Compressor []string

	// ModifiedAt is the time of every file, in seconds since 1970 (0 to
	// 2^32-1). cmd/mkpreroot fills in SOURCE_DATE_EPOCH.
	ModifiedAt int64

	// Describe writes OUTPUT.manifest.json and OUTPUT.spdx.json as well.
	Describe bool

	// Log gets one line a step ("==> ..."); none when nil.
	Log io.Writer

	// Progress is told how much of the archive has been packed, in bytes.
	Progress func(done, total int64)

	// Stop ends the build when it is done, with its cause; nil never does.
	Stop context.Context
}

// Include copies a host file, link or directory (with all below it) into the
// image. Destination is a path in the image, with or without a leading slash.
// Permission bits are kept; owners and times are not. A Source that is a link
// is followed, links below a directory stay links, and hard links become
// copies. What is in the image already cannot be replaced.
type Include struct {
	Source, Destination string
}

// Result tells what Build wrote.
type Result struct {
	// Release of the kernel whose modules are in the image.
	Release string

	// Modules in the order in which they can be loaded.
	Modules []Module

	// Arch is the architecture of the modules, by Go's name, else that of the
	// program; empty where neither is an ELF file.
	Arch string

	// BuiltIn are the names asked for that the kernel itself contains, Missing
	// those of a portable set that it lacks, and Blacklisted those that the
	// target's modprobe.d forbids.
	BuiltIn, Missing, Blacklisted []string

	// MissingFirmware are the drivers that name firmware which the system has
	// not, with the names of its files in brackets.
	MissingFirmware []string

	// Warnings are for a person: what the kernel lacks and may be missed.
	Warnings []string

	// Manifest says what was written.
	Manifest *Manifest

	// RawSize and Size are bytes of the archive and of the file as written.
	RawSize, Size int64

	compression string // of the image
}

// Module is one kernel module in the image.
type Module struct {
	// Name as the kernel has it, with underscores.
	Name string

	// Path in the image, absolute, ending in ".ko".
	Path string

	// Reason says in words why it is there: "asked for", "needed by sd_mod",
	// "wanted before erofs".
	Reason string

	// Size in bytes, decompressed.
	Size int64

	// License as the module itself states it, and Firmware the files that it
	// may ask for, as paths below lib/firmware, some with "*".
	License  string
	Firmware []string
}
