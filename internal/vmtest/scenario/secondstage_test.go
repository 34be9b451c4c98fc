//go:build vm

package scenario

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/ddi/dditest"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/gpt/gpttest"
	"github.com/preroot/preroot/internal/vmtest"
)

// tool runs a program of the testbed's tools without leaving this root.
func tool(t *testing.T, b *vmtest.Testbed, name string, arguments ...string) {
	t.Helper()
	tree, err := b.File("tools-forky", "scripts/guest")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(tree, "lib64/ld-linux-x86-64.so.2"), append([]string{
		"--library-path", filepath.Join(tree, "usr/lib/x86_64-linux-gnu"), filepath.Join(tree, name)}, arguments...)...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, output)
	}
}

// writeTree writes files below a new directory.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	tree := t.TempDir()
	for name, text := range files {
		at := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// buildStage makes the image of a stand-in for the second stage.
func buildStage(t *testing.T, b *vmtest.Testbed) string {
	t.Helper()
	tree := writeTree(t, map[string]string{"usr/marker": "stage\n"})
	for _, directory := range []string{"proc", "sys", "dev", "run", "oem"} {
		if err := os.Mkdir(filepath.Join(tree, directory), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	buildProgram(t, "amd64", "./internal/vmtest/stageinit", filepath.Join(tree, "init"))
	image := filepath.Join(t.TempDir(), "bootengine.img")
	tool(t, b, "usr/bin/mksquashfs", tree, image, "-quiet", "-no-progress", "-comp", "gzip")
	return image
}

// stageDisk is a disk with a verified /usr, which has a second stage if image is not empty, and a partition ROOT.
func stageDisk(t *testing.T, b *vmtest.Testbed, image string, disk gpt.GUID, root []byte) (path, hash string) {
	t.Helper()
	tree := writeTree(t, map[string]string{"marker": "verified\n", "lib/os-release": "ID=flatcar\n"})
	if image != "" {
		text, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(tree, "lib/flatcar"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, "lib/flatcar/bootengine.img"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return verityDisk(t, b, tree, disk, root)
}

// verityDisk is a disk with a tree as verified /usr and a partition ROOT of the given content, and more partitions.
func verityDisk(t *testing.T, b *vmtest.Testbed, tree string, disk gpt.GUID, root []byte, more ...gpttest.Partition) (path, hash string) {
	t.Helper()
	usr := filepath.Join(t.TempDir(), "usr.erofs")
	tool(t, b, "usr/bin/mkfs.erofs", "--quiet", usr, tree)
	content, err := os.ReadFile(usr)
	if err != nil {
		t.Fatal(err)
	}
	data, hashes, rootHash := dditest.Tree(content, "sha256")
	bytes := gpttest.Disk{ID: disk, Partitions: append([]gpttest.Partition{
		{Type: dditest.GUID(dditest.TypeUsr), ID: gpt.GUID(rootHash[:16]), Name: "USR-A", Data: data},
		{Type: dditest.GUID(dditest.TypeUsrVerity), ID: gpt.GUID(rootHash[16:]), Name: "USR-A-verity", Data: hashes},
		{Type: dditest.GUID(dditest.TypeGeneric), ID: dditest.GUID("11111111-2222-3333-4444-555555555555"), Name: "ROOT", Data: root},
	}, more...)}.Bytes()
	path = filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, append(bytes, make([]byte, -len(bytes)&(1<<20-1))...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, fmt.Sprintf("%x", rootHash)
}

// dirtyExt4 looks like an ext4 without a journal that was not unmounted: as much as is looked at.
func dirtyExt4() []byte {
	b := make([]byte, 64<<10)
	s := b[1024:]
	binary.LittleEndian.PutUint32(s[4:], 16)
	binary.LittleEndian.PutUint16(s[56:], 0xef53)
	binary.LittleEndian.PutUint16(s[58:], 2)
	binary.LittleEndian.PutUint32(s[76:], 1)
	binary.LittleEndian.PutUint32(s[96:], 0x40)
	copy(s[120:], "ROOT")
	return b
}

// stageCases lead to the second stage.
var stageCases = []struct {
	name, words string
	disk        gpt.GUID
	root        []byte
	because     string
}{
	{name: "H1 first boot", words: "root=LABEL=ROOT rw flatcar.first_boot=detected", because: "flatcar.first_boot"},
	{name: "H2 an encrypted root", words: "root=LABEL=ROOT rw", root: luks(), because: "holds crypto_LUKS"},
	{name: "H2 an encrypted root by its partition", words: "root=PARTLABEL=ROOT rw", root: luks(), because: "holds crypto_LUKS"},
	{name: "H5 no root", words: "rw", because: "has no root="},
	{name: "a root that must be checked", words: "root=LABEL=ROOT rw", root: dirtyExt4(), because: "its ext4 must be checked"},
	{name: "a fresh disk", words: "root=PARTLABEL=ROOT rw", disk: dditest.GUID("00000000-0000-0000-0000-000000000001"), because: "GUID of a fresh image"},
	{name: "a root that never comes", words: "root=LABEL=nowhere rw rd.timeout=5", because: "LABEL=nowhere.*appeared within 5s"},
	{name: "a breakpoint", words: "root=LABEL=ROOT rw rd.break=pre-mount", because: "rd.break"},
}

// TestSecondStage boots into a stand-in for Flatcar's second stage, and reads what it found.
func TestSecondStage(t *testing.T) {
	t.Parallel()
	extra := writeTree(t, map[string]string{"credentials/a.cred": "secret\n"})
	oem := writeTree(t, map[string]string{"oem-release": "ID=test\n", "sysext/x": "image\n"})
	share := writeTree(t, map[string]string{"config.ign": "{}\n"})
	squashfs := filepath.Join(writeTree(t, map[string]string{"usr.squashfs": "no real one\n"}), "usr.squashfs")
	m, err := PrepareWith(vmtest.Forky, t.TempDir(), "",
		initramfs.Include{Source: extra, Destination: ".extra"}, initramfs.Include{Source: oem, Destination: "oem"},
		initramfs.Include{Source: share, Destination: "usr/share/oem"}, initramfs.Include{Source: squashfs, Destination: "usr.squashfs"})
	if err != nil {
		t.Fatal(err)
	}
	plain := prepare(t, vmtest.Forky)
	image := buildStage(t, m.Testbed)
	for i, c := range stageCases {
		t.Run(c.name, func(t *testing.T) {
			machine := plain
			// One of them with all that an appended initrd may bring (H4).
			appended := i == 0
			if appended {
				machine = m
			}
			disk, hash := stageDisk(t, m.Testbed, image, c.disk, c.root)
			before := digestOf(t, disk)
			run, err := machine.Boot(t.Context(), Start{Disk: disk, Keep: true, CommandLine: c.words + " usrhash=" + hash, Timeout: 150 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			want := []string{
				`pid=1 arguments=\["/init"\]`, `/proc mounted=false error=<nil>`, `/sys mounted=false error=<nil>`, `/dev mounted=false error=<nil>`,
				`descriptor 0 is 5:1, <nil>`, `descriptor 1 is 5:1, <nil>`, `descriptor 2 is 5:1, <nil>`,
				`writable: <nil>`, `/usr of the stage: stage`, `/sysusr/usr: verified, write: .*read-only file system`,
				`mount / rw\S* overlay overlay .*`, `mount /sysusr/usr ro\S* erofs /dev/mapper/usr .*`, `mount /run rw,nosuid,nodev tmpfs tmpfs .*`,
				`mount /proc .*`, `mount /dev .*`, `report error=<nil> secondStage=true`, `end`,
			}
			if appended {
				want = append(want, `mount /oem rw,nodev\S* tmpfs oem .*mode=755.*`, `/oem drwxr-xr-x`, `/oem/oem-release -rw-r--r-- ID=test`, `/oem/sysext drwxr-xr-x`,
					`/oem/sysext/x -rw-r--r-- image`, `/oem/config.ign -rw-r--r-- \{\}`, `/.extra d\S*`, `/.extra/credentials d\S*`,
					`/.extra/credentials/a.cred -rw-r--r-- secret`, `/usr.squashfs -rw-r--r-- no real one`)
			} else {
				want = append(want, `/oem drwxr-xr-x`)
			}
			wantLines(t, run, want)
			if !regexp.MustCompile(`the root is for the second stage: .*` + c.because).MatchString(run.Console) {
				t.Errorf("the reason is not %q\n%s", c.because, run.Tail(60))
			}
			if digestOf(t, disk) != before {
				t.Error("the disk was written to")
			}
		})
	}
	t.Run("no second stage", func(t *testing.T) {
		disk, hash := stageDisk(t, m.Testbed, "", gpt.GUID{}, nil)
		run, err := plain.Boot(t.Context(), Start{Disk: disk, CommandLine: "root=LABEL=ROOT rw flatcar.first_boot=1 usrhash=" + hash, Timeout: 150 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		logRun(t, run)
		judge(t, run, CheckRefusal(run, regexp.MustCompile(`flatcar.first_boot, which preroot cannot honour`), refusalLimit))
	})
}

func digestOf(t *testing.T, file string) [32]byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

// wantLines wants the stand-in to have said each of the patterns once, and nothing else.
func wantLines(t *testing.T, run *vmtest.Run, patterns []string) {
	t.Helper()
	said := map[string]int{}
	for _, line := range run.Lines {
		_, text, found := strings.Cut(line.Text, "stage: ")
		if !found || strings.Contains(line.Text, "preroot: ") {
			continue
		}
		at := -1
		for i, pattern := range patterns {
			if regexp.MustCompile("^" + pattern + "$").MatchString(text) {
				at = i
				said[pattern]++
			}
		}
		if at < 0 {
			t.Errorf("the second stage says %q", text)
		}
	}
	for _, pattern := range patterns {
		if said[pattern] != 1 {
			t.Errorf("the second stage says %d times %q", said[pattern], pattern)
		}
	}
	if t.Failed() {
		t.Logf("the console:\n%s", run.Tail(100))
	}
}
