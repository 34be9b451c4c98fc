package initramfs

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/mkuimage/cpio"
	"github.com/ulikunitz/xz"

	"github.com/preroot/preroot/initramfs/kerneltree/kerneltreetest"
)

const testRelease = "7.2.0-test"

// moduleContent is what the unpacked file of a test module holds.
func moduleContent(name string) string {
	return string(kerneltreetest.Module(testRelease, elf.EM_X86_64, "name="+name, "license=GPL", "filler="+strings.Repeat(name, 300)))
}

// testDep is modules.dep of the test tree: one module in each kind of file, a
// chain of two dependencies, and one that is there for its soft dependency.
const testDep = `kernel/drivers/block/virtio_blk.ko.xz:
kernel/drivers/md/dm-verity.ko.zst: kernel/drivers/md/dm-bufio.ko kernel/drivers/md/dm-mod.ko.gz
kernel/drivers/md/dm-bufio.ko: kernel/drivers/md/dm-mod.ko.gz
kernel/drivers/md/dm-mod.ko.gz:
kernel/fs/erofs/erofs.ko.xz: kernel/lib/libcrc32c.ko.xz
kernel/lib/libcrc32c.ko.xz:
kernel/arch/x86/crypto/crc32c-intel.ko.xz:
kernel/sound/unwanted.ko.xz: kernel/drivers/md/dm-mod.ko.gz
`

// makeTree writes a small kernel tree and gives its directory.
func makeTree(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	folder := filepath.Join(tree, "lib/modules", testRelease)
	for line := range strings.Lines(testDep) {
		file, _, _ := strings.Cut(line, ":")
		name := strings.ReplaceAll(strings.Split(filepath.Base(file), ".")[0], "-", "_")
		writeFile(t, filepath.Join(folder, file), packFor(t, file, moduleContent(name)))
	}
	writeFile(t, filepath.Join(folder, "modules.dep"), testDep)
	writeFile(t, filepath.Join(folder, "modules.alias"),
		"alias virtio:d00000002v* virtio_blk\nalias fs-erofs erofs\nalias crc32c crc32c_intel\nalias snd-x unwanted\nalias target-verity dm-verity\n")
	writeFile(t, filepath.Join(folder, "modules.softdep"),
		"# comment\nsoftdep libcrc32c pre: crc32c missing\nsoftdep unwanted pre: dm_mod\nsoftdep erofs pre: missing post: missing\n")
	writeFile(t, filepath.Join(folder, "modules.builtin"), "kernel/fs/ext4/ext4.ko\nkernel/drivers/nvme/host/nvme.ko\n")
	writeFile(t, filepath.Join(folder, "modules.builtin.modinfo"), "ext4.alias=fs-ext4\x00")
	return tree
}

// testOptions gives options for an image of a few modules of the test tree.
func testOptions(t *testing.T) Options {
	t.Helper()
	program := filepath.Join(t.TempDir(), "preroot")
	writeFile(t, program, "#!/not/a/real/program\n"+strings.Repeat("text ", 1000))
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	return Options{
		KernelTree: makeTree(t),
		Init:       program,
		Output:     filepath.Join(t.TempDir(), "image"),
		Modules:    []string{"virtio_blk", "dm-verity", "erofs", "ext4", "nvme"},
	}
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// packed keeps what packFor has made: nearly every test makes the same tree.
var packed = make(map[[2]string]string)

// packFor compresses as the file's suffix says.
func packFor(t *testing.T, file, content string) string {
	t.Helper()
	key := [2]string{filepath.Ext(file), content}
	if _, done := packed[key]; !done {
		packed[key] = packAnew(t, file, content)
	}
	return packed[key]
}

func packAnew(t *testing.T, file, content string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch filepath.Ext(file) {
	case ".ko":
		return content
	case ".xz":
		w, err = xz.WriterConfig{CheckSum: xz.CRC32, DictCap: 1 << 16}.NewWriter(&b)
	case ".zst":
		w, err = zstd.NewWriter(&b)
	case ".gz":
		w = gzip.NewWriter(&b)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// readImage unpacks an image and gives its records in their order.
func readImage(t *testing.T, file, compression string) []cpio.Record {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	suffix := map[string]string{CompressionZstd: ".ko.zst", CompressionXz: ".ko.xz", CompressionGzip: ".ko.gz", CompressionNone: ".ko"}[compression]
	content, err = unpack(content, suffix, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if len(content)%4 != 0 {
		t.Errorf("the archive has %d bytes, so nothing could be appended to it", len(content))
	}
	var records []cpio.Record
	reader := cpio.Newc.Reader(bytes.NewReader(content))
	for {
		r, err := reader.ReadRecord()
		if err == io.EOF {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
}

// contentOf reads what a record holds.
func contentOf(t *testing.T, r cpio.Record) string {
	t.Helper()
	content, err := io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize)))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
