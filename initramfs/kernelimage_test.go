package initramfs

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// bzImage is the part of x86's kernel image that names its release.
func bzImage(release string) []byte {
	image := make([]byte, 0x400)
	copy(image[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(image[0x20e:], 0x100)
	return append(image[:0x300], release+" (root@host) #1 SMP\x00"...)
}

// arm64Image is that of arm64, with the format string of the banner before the banner.
func arm64Image(release string) []byte {
	image := make([]byte, 0x100)
	copy(image[0x38:], "ARM\x64")
	return append(image, "Linux version %s (%s)\x00..Linux version "+release+" (root@host)\x00"...)
}

func zboot(kind string, packed []byte) []byte {
	image := make([]byte, 0x100)
	copy(image, "MZ\x00\x00zimg")
	binary.LittleEndian.PutUint32(image[8:], 0x100)
	binary.LittleEndian.PutUint32(image[12:], uint32(len(packed)))
	copy(image[0x18:], kind)
	return append(append(image, packed...), "a signature"...)
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReleaseOfAKernelImage(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := arm64Image("7.2.0-test")
	for name, test := range map[string]struct {
		image []byte
		want  string
	}{
		"bzImage":        {bzImage("7.2.0-test"), ""},
		"Image":          {plain, ""},
		"Image.gz":       {gzipped(t, plain), ""},
		"zboot gzip":     {zboot("gzip", gzipped(t, plain)), ""},
		"zboot zstd":     {zboot("zstd22", encoder.EncodeAll(plain, nil)), ""},
		"zboot lzma":     {zboot("lzma", plain), `packed with "lzma"`},
		"zboot cut":      {zboot("gzip", gzipped(t, plain))[:0x110], "is cut"},
		"no name":        {bzImage("")[:0x300], "names no release"},
		"empty name":     {bzImage(""), "names no release"},
		"a path":         {bzImage("../../etc"), "names no release"},
		"no banner":      {make([]byte, 0x300), "no kernel image"},
		"empty":          {nil, "no kernel image"},
		"format only":    {plain[:0x110], "names no release"},
		"a program":      {[]byte(dynamicProgram("/lib/ld.so")), "no kernel image"},
		"gzip of text":   {gzipped(t, []byte("text")), "no kernel image"},
		"gzip that ends": {gzipped(t, plain)[:20], "unpack kernel image"},
	} {
		got, err := parseKernelImage(test.image)
		switch {
		case test.want == "" && (err != nil || got != testRelease):
			t.Errorf("%s: %q, %v", name, got, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %q, %v, want an error with %q", name, got, err, test.want)
		}
	}
}

func FuzzParseKernelImage(f *testing.F) {
	f.Add(bzImage("7.2"))
	f.Add(arm64Image("7.2"))
	f.Add(zboot("gzip", gzipped(f, arm64Image("7.2"))))
	f.Fuzz(func(t *testing.T, image []byte) {
		if release, err := parseKernelImage(image); err == nil && (release == "" || strings.ContainsAny(release, "/ \x00\n")) {
			t.Fatalf("release %q", release)
		}
	})
}

// TestFindKernel names one tree in all ways.
func TestFindKernel(t *testing.T) {
	root := makeTree(t)
	folder := filepath.Join(root, "lib/modules", testRelease)
	image := filepath.Join(root, "vmlinuz")
	boot := filepath.Join(root, "boot/vmlinuz-"+testRelease)
	inFolder := filepath.Join(folder, "vmlinuz")
	for _, file := range []string{image, boot, inFolder} {
		writeFile(t, file, string(bzImage(testRelease)))
	}
	elsewhere := filepath.Join(t.TempDir(), "vmlinuz")
	writeFile(t, elsewhere, string(bzImage(testRelease)))
	stranger := filepath.Join(root, "stranger")
	writeFile(t, stranger, string(bzImage("6.0")))
	merged := t.TempDir() // a root that has /usr/lib only
	if err := os.MkdirAll(filepath.Join(merged, "usr/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "lib/modules"), filepath.Join(merged, "usr/lib/modules")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		kernel, root, release string
		wantRoot, problem     string
	}{
		"root":                 {root, "", "", root, ""},
		"root and release":     {root, "", testRelease, root, ""},
		"other root":           {root, merged, "", merged, ""},
		"folder":               {folder, "", "", root, ""},
		"release in a root":    {testRelease, root, "", root, ""},
		"release below usr":    {testRelease, merged, "", merged, ""},
		"directory with usr":   {merged, "", "", merged, ""},
		"image beside":         {image, "", "", root, ""},
		"image in boot":        {boot, "", "", filepath.Join(root, "boot/.."), ""},
		"image in folder":      {inFolder, "", "", root, ""},
		"image and root":       {elsewhere, root, "", root, ""},
		"image without":        {elsewhere, "", "", "", "there is no lib/modules/" + testRelease + " in "},
		"image of another":     {stranger, "", "", "", "is of release 6.0, and there is no"},
		"image, wrong release": {image, "", "6.0", "", "is of release 7.2.0-test, not 6.0"},
		"folder, wrong one":    {folder, "", "6.0", "", "is of release 7.2.0-test, not 6.0"},
		"no image":             {filepath.Join(folder, "modules.dep"), "", "", "", "no kernel image"},
		"no release":           {"6.0", root, "", "", "6.0 is no file here, and no release in " + root + "/lib/modules (it has: " + testRelease + ")"},
		"two releases":         {testRelease, root, "6.0", "", "two releases asked for"},
		"no such path":         {"no/such", "", "", "", "no/such does not exist"},
		"a device":             {"/dev/null", "", "", "", "neither a directory nor a kernel image"},
		"a release of dots":    {"..", "/no/such", "", "", "has no lib/modules"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := findKernel(test.kernel, test.root, test.release)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("got %v, want an error with %q", err, test.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(got.folder, "modules.dep")); err != nil || got.release != testRelease || filepath.Clean(got.root) != filepath.Clean(test.wantRoot) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}
