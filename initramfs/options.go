// Package initramfs makes a preroot image on the host: it picks the kernel
// modules, lays out the files, packs them with mkuimage's uimage library into
// one cpio archive ("newc") and compresses that. The same inputs give the same
// bytes.
//
// It runs on a build machine only and is never linked into the boot binary.
package initramfs

import "io"

// Compressions an image may have. Debian's kernels unpack all three.
const (
	CompressionZstd = "zstd"
	CompressionGzip = "gzip"
	CompressionNone = "none"
)

// Options say what goes into an image. KernelTree, Init and Output are needed.
type Options struct {
	// KernelTree is a directory that holds lib/modules/RELEASE with a
	// modules.dep. Beside it lies vmlinuz, which Build does not read.
	KernelTree string

	// Release picks one of several releases below lib/modules. When empty,
	// there must be exactly one.
	Release string

	// Init is the program that becomes /init: static, since nothing else is
	// in the image.
	Init string

	// Output is the file to write. It is replaced as a whole or not at all.
	Output string

	// Conf is copied to /etc/preroot.conf; none when empty.
	Conf string

	// Modules are the names to include, instead of DefaultModules, when not
	// nil. An empty non-nil slice means none but ExtraModules.
	Modules []string

	// ExtraModules are added to Modules or DefaultModules.
	ExtraModules []string

	// Includes are further files, links and directories.
	Includes []Include

	// Compression is one of the Compression constants; zstd when empty.
	Compression string

	// ZstdProgram is a zstd(1) program, by path or name, that compresses with
	// level 19 instead of the library. Images get about 12 % smaller, and
	// their bytes depend on the program's version. Used with zstd only.
	ZstdProgram string

	// ModifiedAt is the time of every file, in seconds since 1970 (0 to
	// 2^32-1). cmd/mkpreroot fills in SOURCE_DATE_EPOCH.
	ModifiedAt int64

	// Log gets one line a step ("==> ..."); none when nil.
	Log io.Writer
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

	// BuiltIn are the names asked for that the kernel itself contains.
	BuiltIn []string

	// RawSize and Size are bytes of the archive and of the file as written.
	RawSize, Size int64
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
}
