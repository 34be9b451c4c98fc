package initramfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestBuildRefuses(t *testing.T) {
	folder := func(o *Options) string { return filepath.Join(o.KernelTree, "lib/modules", testRelease) }
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, o *Options)
		want   string
	}{
		{"no tree", func(t *testing.T, o *Options) { o.KernelTree = "" }, "no kernel tree given"},
		{"no init", func(t *testing.T, o *Options) { o.Init = "" }, "no program for /init given"},
		{"no output", func(t *testing.T, o *Options) { o.Output = "" }, "no output given"},
		{"compression", func(t *testing.T, o *Options) { o.Compression = "lzop" }, `unknown compression "lzop"`},
		{"time", func(t *testing.T, o *Options) { o.ModifiedAt = 1 << 32 }, "outside 0 to 4294967295"},
		{"tree without modules", func(t *testing.T, o *Options) { o.KernelTree = t.TempDir() }, "has no lib/modules"},
		{"no release", func(t *testing.T, o *Options) { must(t, os.RemoveAll(folder(o))) }, "no release in"},
		{"two releases", func(t *testing.T, o *Options) { must(t, os.Mkdir(folder(o)+"2", 0o755)) }, "2 releases in"},
		{"unknown release", func(t *testing.T, o *Options) { o.Release = "6.0" }, `no release "6.0" (it has: ` + testRelease + ")"},
		{"release that is a path", func(t *testing.T, o *Options) { o.Release = "../modules/" + testRelease }, "no release"},
		{"no modules.dep", func(t *testing.T, o *Options) { must(t, os.Remove(folder(o)+"/modules.dep")) }, `run "depmod -b `},
		{"bad modules.dep", func(t *testing.T, o *Options) { writeFile(t, folder(o)+"/modules.dep", "/a.ko:\n") }, "modules.dep line 1"},
		{"bad modules.alias", func(t *testing.T, o *Options) { writeFile(t, folder(o)+"/modules.alias", "alias a\n") }, "modules.alias line 1"},
		{"bad modules.softdep", func(t *testing.T, o *Options) { writeFile(t, folder(o)+"/modules.softdep", "softdep\n") }, "modules.softdep line 1"},
		{"unknown module", func(t *testing.T, o *Options) { o.ExtraModules = []string{"vfat"} }, "neither a module of this kernel nor built in: vfat"},
		{"module file missing", func(t *testing.T, o *Options) {
			must(t, os.Remove(folder(o)+"/kernel/lib/libcrc32c.ko.xz"))
		}, "libcrc32c.ko.xz: no such file"},
		{"module file damaged", func(t *testing.T, o *Options) {
			must(t, os.Truncate(folder(o)+"/kernel/lib/libcrc32c.ko.xz", 40))
		}, "unpack module kernel/lib/libcrc32c.ko.xz"},
		{"no such init", func(t *testing.T, o *Options) { o.Init += ".not" }, "add /init"},
		{"init is a directory", func(t *testing.T, o *Options) { o.Init = t.TempDir() }, "not a regular file"},
		{"init not executable", func(t *testing.T, o *Options) { must(t, os.Chmod(o.Init, 0o644)) }, "is not executable"},
		{"no such settings", func(t *testing.T, o *Options) { o.Conf = "/no/such/file" }, "add settings"},
		{"settings are a directory", func(t *testing.T, o *Options) { o.Conf = t.TempDir() }, "not a regular file"},
		{"no such include", func(t *testing.T, o *Options) { o.Includes = []Include{{"/no/such/file", "/x"}} }, "include /no/such/file: no such file"},
		{"include without a name", func(t *testing.T, o *Options) { o.Includes = []Include{{o.Init, "/"}} }, "root directory is no destination"},
		{"include outside", func(t *testing.T, o *Options) { o.Includes = []Include{{o.Init, "../x"}} }, "not a path inside"},
		{"include over init", func(t *testing.T, o *Options) { o.Includes = []Include{{o.Init, "/init"}} }, "add /init: it is already in the image"},
		{"include over a link", func(t *testing.T, o *Options) { o.Includes = []Include{{o.Init, "bin/report"}} }, "add /bin/report: it is already in the image"},
		{"include below a file", func(t *testing.T, o *Options) { o.Includes = []Include{{o.Init, "dev/null/x"}} }, "/dev/null is not a directory"},
		{"include a device", func(t *testing.T, o *Options) { o.Includes = []Include{{"/dev/null", "x"}} }, "neither a file, a directory nor a link"},
		{"include the end mark", func(t *testing.T, o *Options) { o.Includes = []Include{{o.Init, "TRAILER!!!"}} }, "marks the end"},
		{"include a long name", func(t *testing.T, o *Options) { o.Includes = []Include{{o.Init, strings.Repeat("x/", 2100) + "x"}} }, "too long"},
		{"output is a directory", func(t *testing.T, o *Options) { o.Output = t.TempDir() }, "not a regular file"},
		{"output is a device", func(t *testing.T, o *Options) { o.Output = "/dev/null" }, "not a regular file"},
		{"no such output directory", func(t *testing.T, o *Options) { o.Output = "/no/such/directory/image" }, "write /no/such/directory/image: no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions(t)
			writeFile(t, o.Output, "earlier image")
			earlier := o.Output
			c.change(t, &o)
			_, err := Build(o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
			checkUntouched(t, earlier)
		})
	}
}

// checkUntouched makes sure that a failed build left the earlier image and
// nothing beside it.
func checkUntouched(t *testing.T, file string) {
	t.Helper()
	if content, err := os.ReadFile(file); err != nil || string(content) != "earlier image" {
		t.Errorf("the earlier image is now %q (%v)", content, err)
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("left beside the image: %v (%v)", entries, err)
	}
}

// script makes a shell script.
func script(t *testing.T, body string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	writeFile(t, file, "#!/bin/sh\n"+body+"\n")
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRefusesAFileThatNewcCannotHold(t *testing.T) {
	o := testOptions(t)
	large := filepath.Join(t.TempDir(), "large")
	writeFile(t, large, "")
	if err := os.Truncate(large, 1<<32); err != nil {
		t.Fatal(err)
	}
	o.Includes = []Include{{large, "large"}}
	if _, err := Build(o); err == nil || !strings.Contains(err.Error(), "more than a cpio archive can hold") {
		t.Errorf("got %v", err)
	}
}

func TestRefusesADynamicInit(t *testing.T) {
	loader := "/lib64/loader.so"
	o := testOptions(t)
	writeFile(t, o.Init, dynamicProgram(loader))
	if _, err := Build(o); err == nil || !strings.Contains(err.Error(), "is not static: it needs "+loader) {
		t.Errorf("got %v", err)
	}
	o.Includes = []Include{{o.Init, loader}}
	if _, err := Build(o); err != nil {
		t.Errorf("with the loader in the image: %v", err)
	}
}

// dynamicProgram is a little-endian ELF64 header with one PT_INTERP segment.
func dynamicProgram(loader string) string {
	header := make([]byte, 64+56)
	copy(header, "\x7fELF\x02\x01\x01")
	header[16], header[18], header[20] = 2, 62, 1 // ET_EXEC, x86-64, version
	header[32] = 64                               // program headers start here
	header[52], header[54], header[56], header[58] = 64, 56, 1, 64
	segment := header[64:]
	segment[0] = 3 // PT_INTERP
	segment[8] = byte(len(header))
	segment[32] = byte(len(loader) + 1)
	segment[40] = byte(len(loader) + 1)
	return string(header) + loader + "\x00"
}

// fullDisk fails after some bytes.
type fullDisk struct{ left int }

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.left -= len(b); d.left < 0 {
		return 0, &os.PathError{Op: "write", Path: "temporary", Err: syscall.ENOSPC}
	}
	return len(b), nil
}

func TestFullDiskIsNoticed(t *testing.T) {
	l := newLayout()
	if err := l.addFile("x", 0o644, []byte(strings.Repeat("some content", 400000))); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{
		{Compression: CompressionZstd}, {Compression: CompressionGzip}, {Compression: CompressionNone},
		{Compressor: []string{script(t, "exec cat")}},
	} {
		packed := &counter{w: &fullDisk{left: 100}}
		_, err := compressImage(l, o, t.TempDir(), packed)
		if err == nil || !errors.Is(packed.err, syscall.ENOSPC) {
			t.Errorf("%+v: got %v and %v", o, err, packed.err)
		}
	}
}
