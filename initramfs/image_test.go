package initramfs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/initramfs/kerneltree/kerneltreetest"
)

// wantImage lists the whole image of the options below: mode, size where it
// matters, device numbers and link targets, by path.
const wantImage = `40755 .
40755 bin
120777 bin/confext -> /init
120777 bin/report -> /init
120777 bin/switch_root -> /init
120777 bin/switchroot -> /init
120777 bin/sysext -> /init
120777 bin/systemd-confext -> /init
120777 bin/systemd-sysext -> /init
120777 bin/verity -> /init
120777 bin/veritysetup -> /init
40755 dev
20600 dev/console 5:1
20644 dev/kmsg 1:11
20666 dev/null 1:3
40755 etc
100644 etc/preroot.conf
40750 etc/private
100600 etc/private/key
120777 etc/private/link -> ../preroot.conf
100755 init
40755 lib
40755 lib/modules
40755 lib/modules/7.2.0-test
40755 lib/modules/7.2.0-test/kernel
40755 lib/modules/7.2.0-test/kernel/arch
40755 lib/modules/7.2.0-test/kernel/arch/x86
40755 lib/modules/7.2.0-test/kernel/arch/x86/crypto
100644 lib/modules/7.2.0-test/kernel/arch/x86/crypto/crc32c-intel.ko
40755 lib/modules/7.2.0-test/kernel/drivers
40755 lib/modules/7.2.0-test/kernel/drivers/block
100644 lib/modules/7.2.0-test/kernel/drivers/block/virtio_blk.ko
40755 lib/modules/7.2.0-test/kernel/drivers/md
100644 lib/modules/7.2.0-test/kernel/drivers/md/dm-bufio.ko
100644 lib/modules/7.2.0-test/kernel/drivers/md/dm-mod.ko
100644 lib/modules/7.2.0-test/kernel/drivers/md/dm-verity.ko
40755 lib/modules/7.2.0-test/kernel/fs
40755 lib/modules/7.2.0-test/kernel/fs/erofs
100644 lib/modules/7.2.0-test/kernel/fs/erofs/erofs.ko
40755 lib/modules/7.2.0-test/kernel/lib
100644 lib/modules/7.2.0-test/kernel/lib/libcrc32c.ko
100644 lib/modules/7.2.0-test/modules.alias
100644 lib/modules/7.2.0-test/modules.builtin
100644 lib/modules/7.2.0-test/modules.dep
100644 lib/modules/7.2.0-test/modules.reason
100644 lib/modules/7.2.0-test/modules.softdep
40755 opt
104755 opt/tool
40755 proc
40755 run
40755 sys
40755 sysroot
40755 tmp
`

func TestImageHoldsExactlyThis(t *testing.T) {
	for _, compression := range []string{CompressionZstd, CompressionXz, CompressionGzip, CompressionNone} {
		t.Run(compression, func(t *testing.T) {
			o := testOptions(t)
			o.Compression = compression
			o.ModifiedAt = 1700000000
			o.Conf = filepath.Join(t.TempDir(), "conf")
			writeFile(t, o.Conf, "[Boot]\n")
			private := filepath.Join(t.TempDir(), "private")
			writeFile(t, filepath.Join(private, "key"), "secret")
			tool := filepath.Join(t.TempDir(), "tool")
			writeFile(t, tool, "a tool")
			for _, err := range []error{
				os.Chmod(private, 0o750), os.Chmod(filepath.Join(private, "key"), 0o600), os.Chmod(tool, 0o755|os.ModeSetuid),
				os.Symlink("../preroot.conf", filepath.Join(private, "link")), os.Symlink(tool, tool+".link"),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			o.Includes = []Include{{private, "/etc/private"}, {tool + ".link", "opt/tool"}}

			result, err := Build(o)
			if err != nil {
				t.Fatal(err)
			}
			var listing strings.Builder
			for _, r := range readImage(t, o.Output, compression) {
				fmt.Fprintf(&listing, "%o %s", r.Mode, r.Name)
				switch r.Mode &^ 0o7777 {
				case 0o120000:
					fmt.Fprintf(&listing, " -> %s", contentOf(t, r))
				case 0o020000:
					fmt.Fprintf(&listing, " %d:%d", r.Rmajor, r.Rminor)
				}
				listing.WriteByte('\n')
				if r.UID != 0 || r.GID != 0 || r.MTime != 1700000000 {
					t.Errorf("%s belongs to %d:%d and is from %d", r.Name, r.UID, r.GID, r.MTime)
				}
			}
			if listing.String() != wantImage {
				t.Errorf("the image holds\n%swant\n%s", listing.String(), wantImage)
			}

			info, err := os.Stat(o.Output)
			if err != nil {
				t.Fatal(err)
			}
			if result.Size != info.Size() || result.Release != testRelease {
				t.Errorf("result %+v, file of %d bytes", result, info.Size())
			}
			if compression == CompressionNone && result.RawSize != result.Size {
				t.Errorf("%d bytes of archive became %d", result.RawSize, result.Size)
			}
		})
	}
}

// TestAProgramWithoutAppletsHasNoLinks: they would lead to nothing.
func TestAProgramWithoutAppletsHasNoLinks(t *testing.T) {
	for _, none := range []bool{false, true} {
		o := testOptions(t)
		o.NoApplets = none
		if _, err := Build(o); err != nil {
			t.Fatal(err)
		}
		links := 0
		for _, r := range readImage(t, o.Output, CompressionZstd) {
			if r.Mode&^0o7777 == 0o120000 {
				links++
			}
		}
		if want := map[bool]int{false: len(AppletLinks), true: 0}[none]; links != want {
			t.Errorf("without applets %v: %d links, want %d", none, links, want)
		}
	}
}

func TestModulesAreUnpackedWithTheirSignatures(t *testing.T) {
	o := testOptions(t)
	result, err := Build(o)
	if err != nil {
		t.Fatal(err)
	}
	contents := make(map[string]string)
	for _, r := range readImage(t, o.Output, CompressionZstd) {
		contents["/"+r.Name] = contentOf(t, r)
	}
	for _, m := range result.Modules {
		got := contents[m.Path]
		if got != moduleContent(m.Name) {
			t.Errorf("%s differs from the module that was packed", m.Path)
		}
		if !strings.HasSuffix(got, kerneltreetest.Signature) || int64(len(got)) != m.Size {
			t.Errorf("%s: %d bytes instead of %d, or no signature", m.Path, len(got), m.Size)
		}
	}
	if program, err := os.ReadFile(o.Init); err != nil || contents["/init"] != string(program) {
		t.Errorf("/init is not the program (%v)", err)
	}
}

func TestIndexesListTheImageOnly(t *testing.T) {
	o := testOptions(t)
	if _, err := Build(o); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"modules.dep": `kernel/drivers/block/virtio_blk.ko:
kernel/drivers/md/dm-verity.ko: kernel/drivers/md/dm-bufio.ko kernel/drivers/md/dm-mod.ko
kernel/drivers/md/dm-bufio.ko: kernel/drivers/md/dm-mod.ko
kernel/drivers/md/dm-mod.ko:
kernel/fs/erofs/erofs.ko: kernel/lib/libcrc32c.ko
kernel/lib/libcrc32c.ko:
kernel/arch/x86/crypto/crc32c-intel.ko:
`,
		"modules.alias": "alias virtio:d00000002v* virtio_blk\nalias fs-erofs erofs\nalias crc32c crc32c_intel\nalias target-verity dm-verity\n",
		"modules.reason": "virtio_blk: asked for\ndm_mod: needed by dm_verity\ndm_bufio: needed by dm_verity\ndm_verity: asked for\n" +
			"crc32c_intel: wanted before libcrc32c\nlibcrc32c: needed by erofs\nerofs: asked for\n",
		"modules.softdep": "softdep libcrc32c pre: crc32c\n",
		"modules.builtin": "kernel/fs/ext4/ext4.ko\nkernel/drivers/nvme/host/nvme.ko\n",
	}
	for _, r := range readImage(t, o.Output, CompressionZstd) {
		if expected, found := want[filepath.Base(r.Name)]; found {
			if got := contentOf(t, r); got != expected {
				t.Errorf("%s holds\n%swant\n%s", r.Name, got, expected)
			}
			delete(want, filepath.Base(r.Name))
		}
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

func TestSameInputsGiveTheSameBytes(t *testing.T) {
	o := testOptions(t)
	include := t.TempDir()
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("f%d", i))
		writeFile(t, filepath.Join(include, "x", names[i]), strings.Repeat(names[i], 5000))
	}
	o.Includes = []Include{{include, "/"}}
	for _, compression := range []string{CompressionZstd, CompressionXz, CompressionGzip, CompressionNone} {
		o.Compression = compression
		var images [2][]byte
		for i := range images {
			o.Output = filepath.Join(t.TempDir(), fmt.Sprint("image", i))
			if _, err := Build(o); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(o.Output)
			if err != nil {
				t.Fatal(err)
			}
			images[i] = content
			// The second image is made from files with other times.
			for _, name := range names {
				if err := os.Chtimes(filepath.Join(include, "x", name), time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !bytes.Equal(images[0], images[1]) {
			t.Errorf("%s: two images of the same files differ", compression)
		}
		var order []string
		for _, r := range readImage(t, o.Output, compression) {
			order = append(order, r.Name)
		}
		if !sort.StringsAreSorted(order) {
			t.Errorf("%s: not sorted: %v", compression, order)
		}
	}
}

func TestModulesOfTheResult(t *testing.T) {
	o := testOptions(t)
	o.ExtraModules = []string{"fs-ext4", "dm_mod"}
	var log bytes.Buffer
	o.Log = &log
	result, err := Build(o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range result.Modules {
		got = append(got, m.Name+": "+m.Reason)
	}
	want := []string{
		"virtio_blk: asked for",
		"dm_mod: needed by dm_verity",
		"dm_bufio: needed by dm_verity",
		"dm_verity: asked for",
		"crc32c_intel: wanted before libcrc32c",
		"libcrc32c: needed by erofs",
		"erofs: asked for",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("modules are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if want := []string{"ext4", "nvme", "fs-ext4"}; !reflect.DeepEqual(result.BuiltIn, want) {
		t.Errorf("built in: %v, want %v", result.BuiltIn, want)
	}
	for line := range strings.Lines(log.String()) {
		if !strings.HasPrefix(line, "==> ") {
			t.Errorf("log line %q", line)
		}
	}
}
