//go:build vm

package scenario

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/u-root/mkuimage/cpio"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/vmtest"
)

// shellSays runs in a /usr that has no program but the shell: what is in /etc, and how it is mounted.
const shellSays = "say $(cat /usr/marker) $(cat /etc/shipped); while read -r a b c d e; do case $b in /etc) say $a $c ${d%%,*};; esac; done </proc/mounts"

// mutableAuto is what the testbed's own /usr says, too. systemd's default is a merge that takes no writes.
const mutableAuto = "[ConfExt]\nMutable=auto\n"

// smallUsr is a tree for /usr with some files, whose only program is preroot's own shell.
func smallUsr(t *testing.T, files map[string]string) string {
	t.Helper()
	all := map[string]string{"marker": "small\n", "lib/os-release": "ID=testbed\nVERSION_ID=1\nCONFEXT_LEVEL=1\nSYSEXT_LEVEL=1\n"}
	for name, text := range files {
		all[name] = text
	}
	tree := writeTree(t, all)
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(repository, "bin/preroot"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(tree, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "bin/sh"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	return tree
}

// labelledRoot is an ext4 with the label ROOT whose /etc takes the writes of confexts.
func labelledRoot(t *testing.T, b *vmtest.Testbed) string {
	t.Helper()
	tree := writeTree(t, map[string]string{"etc/edited": "edited\n", "var/lib/extensions.mutable/.keep": ""})
	if err := os.Symlink("/etc", filepath.Join(tree, "var/lib/extensions.mutable/etc")); err != nil {
		t.Fatal(err)
	}
	image := sparseFile(t, "root.raw", 16<<20)
	tool(t, b, "usr/sbin/mkfs.ext4", "-q", "-F", "-L", "ROOT", "-d", tree, image)
	return image
}

// aConfext is the default confext as a directory of /usr.
var aConfext = map[string]string{
	"lib/confexts/00-default/etc/extension-release.d/extension-release.00-default": "ID=_any\n",
	"lib/confexts/00-default/etc/shipped":                                          "shipped\n",
}

// TestSettingsOfVerifiedUsr boots disks whose verified /usr has settings for extensions, or none.
func TestSettingsOfVerifiedUsr(t *testing.T) {
	const conf = "lib/systemd/confext.conf"
	for _, c := range []struct {
		name, conf string
		// image: the default confext is the testbed's signed DDI, whose certificate this /usr does not have.
		image   bool
		said    []string
		refused string
	}{
		{name: "E27 Mutable=auto", conf: mutableAuto, said: []string{"small shipped", "confext overlay rw"}},
		{name: "E27 Mutable=no", conf: "[ConfExt]\nMutable=no\n", said: []string{"small shipped", "confext overlay ro"}},
		{name: "E17 a default confext that is to be signed by somebody known", conf: "[ConfExt]\nImagePolicy=root=signed\n", image: true,
			refused: `00-default.*sign`},
		{name: "E17 the same image where nobody wants that", image: true, conf: mutableAuto, said: []string{"small", "confext overlay rw"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := prepare(t, vmtest.Forky)
			files := map[string]string{}
			if c.conf != "" {
				files[conf] = c.conf
			}
			if c.image {
				image, err := m.Testbed.File("disk.exts/00-default.raw", "scripts/testbed/make-disk")
				if err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile(image)
				if err != nil {
					t.Fatal(err)
				}
				files["lib/confexts/00-default.raw"] = string(text)
			} else {
				for name, text := range aConfext {
					files[name] = text
				}
			}
			root, err := os.ReadFile(labelledRoot(t, m.Testbed))
			if err != nil {
				t.Fatal(err)
			}
			disk, hash := verityDisk(t, m.Testbed, smallUsr(t, files), gpt.GUID{}, root)
			said, run := askAt(t, m, "root=PARTLABEL=ROOT rw usrhash="+hash, "/usr/bin/sh", []vmtest.Disk{{Path: disk, Snapshot: true}}, shellSays)
			if c.refused != "" {
				judge(t, run, CheckRefusal(run, regexp.MustCompile(c.refused), refusalLimit))
				return
			}
			wantSaid(t, said, c.said)
		})
	}
}

// TestInitWrapper (H11) has the flag of Flatcar's systems with control groups of version 1. The wrapper is a script for the shell.
func TestInitWrapper(t *testing.T) {
	t.Parallel()
	m, err := PrepareImage(vmtest.Forky, t.TempDir(), Image{})
	if err != nil {
		t.Fatal(err)
	}
	usr := smallUsr(t, map[string]string{"sbin/init.wrapper": "#!/usr/bin/sh\necho said: wrapper $# >/dev/console\necho b >/proc/sysrq-trigger\n"})
	if err := os.Chmod(filepath.Join(usr, "sbin/init.wrapper"), 0o755); err != nil {
		t.Fatal(err)
	}
	tree := writeTree(t, map[string]string{"etc/flatcar-cgroupv1": ""})
	if err := os.Symlink("usr/sbin", filepath.Join(tree, "sbin")); err != nil {
		t.Fatal(err)
	}
	image := sparseFile(t, "root.raw", 16<<20)
	tool(t, m.Testbed, "usr/sbin/mkfs.ext4", "-q", "-F", "-d", tree, image)
	root, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	disk, hash := verityDisk(t, m.Testbed, usr, gpt.GUID{}, root)
	run, err := m.Boot(t.Context(), Start{Disk: disk, CommandLine: "root=PARTLABEL=ROOT rw usrhash=" + hash, Timeout: 150 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	for _, text := range []string{"executing /sbin/init.wrapper", "said: wrapper 0"} {
		if _, found := run.Find(text); !found {
			t.Errorf("%q is not on the console:\n%s", text, run.Tail(60))
		}
	}
}

// appendArchive puts a second archive behind an initramfs, as boot loaders do with several of them.
func appendArchive(t *testing.T, initrd string, files map[string]string) string {
	t.Helper()
	image, err := os.ReadFile(initrd)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := cpio.Newc.Writer(&archive)
	made := map[string]bool{}
	for name, text := range files {
		var above []string
		for folder := filepath.Dir(name); folder != "."; folder = filepath.Dir(folder) {
			above = append([]string{folder}, above...)
		}
		for _, folder := range above {
			if made[folder] {
				continue
			}
			made[folder] = true
			if err := w.WriteRecord(cpio.Directory(folder, 0o755)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.WriteRecord(cpio.StaticFile(name, text, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}
	image = append(image, make([]byte, -len(image)&511)...)
	both := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(both, append(image, archive.Bytes()...), 0o600); err != nil {
		t.Fatal(err)
	}
	return both
}

// squash packs a tree.
func squash(t *testing.T, b *vmtest.Testbed, tree string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "usr.squashfs")
	tool(t, b, "usr/bin/mksquashfs", tree, image, "-quiet", "-no-progress", "-comp", "gzip")
	text, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPXE (H4) has /usr as a squashfs in an archive behind the initramfs.
func TestPXE(t *testing.T) {
	t.Parallel()
	m, err := PrepareImage(vmtest.Forky, t.TempDir(), Image{})
	if err != nil {
		t.Fatal(err)
	}
	plain := m.Initrd
	t.Run("with a root", func(t *testing.T) {
		m := *m
		files := maps.Clone(aConfext)
		files["lib/systemd/confext.conf"] = mutableAuto
		m.Initrd = appendArchive(t, plain, map[string]string{"usr.squashfs": squash(t, m.Testbed, smallUsr(t, files))})
		said, run := askAt(t, &m, "root=LABEL=ROOT rw", "/usr/bin/sh", []vmtest.Disk{{Path: labelledRoot(t, m.Testbed), Snapshot: true}}, shellSays)
		wantSaid(t, said, []string{"small shipped", "confext overlay rw"})
		if _, found := run.Find("/usr is /usr.squashfs of this initramfs"); !found {
			t.Errorf("the log does not say where /usr is from")
		}
	})
	// No root, and what the appended archive brings for an OEM: the second stage gets it.
	t.Run("diskless with an OEM", func(t *testing.T) {
		m := *m
		stage, err := os.ReadFile(buildStage(t, m.Testbed))
		if err != nil {
			t.Fatal(err)
		}
		usr := writeTree(t, map[string]string{"marker": "verified\n", "lib/os-release": "ID=flatcar\n", "lib/flatcar/bootengine.img": string(stage)})
		m.Initrd = appendArchive(t, plain, map[string]string{
			"usr.squashfs": squash(t, m.Testbed, usr), "oem/oem-release": "ID=test\n", "usr/share/oem/config.ign": "{}\n",
		})
		run, err := vmtest.Boot(t.Context(), vmtest.Config{
			Kernel: m.Kernel.Image, Initrd: m.Initrd, Append: "console=ttyS0 panic=-1 flatcar.oem.id=pxe", Timeout: 150 * time.Second, Reached: initReached,
		})
		if err != nil {
			t.Fatal(err)
		}
		logRun(t, run)
		for _, pattern := range []string{
			`the root is for the second stage: .*no root=`, `stage: /sysusr/usr: verified, write: .*read-only file system`,
			`stage: mount /sysusr/usr ro\S* squashfs /dev/loop\d+ `, `stage: /oem/oem-release -rw-r--r-- ID=test`, `stage: /oem/config.ign -rw-r--r-- \{\}`,
			`stage: /usr.squashfs -rw-r--r-- \d+ bytes`, `stage: report error=<nil> secondStage=true`, `stage: end`,
		} {
			if !regexp.MustCompile(pattern).MatchString(run.Console) {
				t.Errorf("%q is not on the console", pattern)
			}
		}
		if t.Failed() {
			t.Logf("%s", run.Tail(100))
		}
	})
}
