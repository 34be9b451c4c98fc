//go:build vm

package scenario

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/ddi/dditest"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/gpt/gpttest"
	"github.com/preroot/preroot/internal/vmtest"
)

// oemSettings choose sysexts as on Flatcar.
const oemSettings = "[SysExtSelection]\nPreset=flatcar\n"

// Where Flatcar has the sysext of the OEM "test", and one of its own, for a /usr of VERSION=2.
const (
	oemLink     = "etc/extensions/oem-test.raw"
	oemImage    = "sysext/oem-test-2.raw"
	oemOld      = "sysext/oem-test-1.raw"
	oemCopy     = "etc/flatcar/oem-sysext/oem-test-2.raw"
	enabledLink = "etc/extensions/flatcar-tool.raw"
	enabledFile = "etc/flatcar/sysext/flatcar-tool-2.raw"
)

// activeOEM is the partition of an OEM whose sysext is in use.
var activeOEM = map[string]string{"oem-release": "ID=test\n", "sysext/active-oem-test": ""}

// oemDisk says what is on a disk with the labels of Flatcar's.
type oemDisk struct {
	// usr, oem and root are files by their paths; a text "-> TARGET" is a link. "image NAME VERSION" is a sysext of that name that fits
	// the version, with a file /usr/share/NAME that has the version in it.
	usr, oem, root map[string]string
	// stage says that /usr has a second stage.
	stage bool
}

// with returns both.
func with(files, more map[string]string) map[string]string {
	both := map[string]string{}
	maps.Copy(both, files)
	maps.Copy(both, more)
	return both
}

// writeOEMTree makes what oemDisk describes.
func writeOEMTree(t *testing.T, b *vmtest.Testbed, files map[string]string) string {
	t.Helper()
	plain := map[string]string{}
	for name, text := range files {
		if words := strings.Fields(text); len(words) == 3 && words[0] == "image" {
			text = sysextImage(t, b, words[1], words[2])
		}
		if !strings.HasPrefix(text, "-> ") {
			plain[name] = text
		}
	}
	tree := writeTree(t, plain)
	for name, text := range files {
		target, isLink := strings.CutPrefix(text, "-> ")
		if !isLink {
			continue
		}
		makeDirectory(t, filepath.Dir(filepath.Join(tree, name)))
		if err := os.Symlink(target, filepath.Join(tree, name)); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// sysextImage is a sysext as a bare file system, tied to a version as Flatcar's are.
func sysextImage(t *testing.T, b *vmtest.Testbed, name, version string) string {
	t.Helper()
	tree := writeTree(t, map[string]string{
		"usr/lib/extension-release.d/extension-release." + name: "ID=testbed\nVERSION_ID=" + version + "\n",
		"usr/share/" + name: name + "-" + version + "\n",
	})
	image := filepath.Join(t.TempDir(), "image.raw")
	tool(t, b, "usr/bin/mkfs.erofs", "--quiet", "--all-root", image, tree)
	return string(readWhole(t, image))
}

// build makes the disk.
func (d oemDisk) build(t *testing.T, b *vmtest.Testbed) (path, hash string) {
	t.Helper()
	usr := with(aConfext, map[string]string{
		"lib/os-release": "ID=testbed\nVERSION=2\nVERSION_ID=2\n", "lib/systemd/confext.conf": mutableAuto,
	})
	if d.stage {
		usr["lib/flatcar/bootengine.img"] = string(readWhole(t, buildStage(t, b)))
	}
	root := with(d.root, map[string]string{"etc/edited": "edited\n", "var/lib/extensions.mutable/etc": "-> /etc"})
	label := func(name string, tree string) []byte {
		image := sparseFile(t, name, 16<<20)
		tool(t, b, "usr/sbin/mkfs.ext4", "-q", "-F", "-L", name, "-d", tree, image)
		return readWhole(t, image)
	}
	return verityDisk(t, b, smallUsr(t, with(usr, d.usr)), gpt.GUID{}, label("ROOT", writeOEMTree(t, b, root)), gpttest.Partition{
		Type: dditest.GUID(dditest.TypeGeneric), ID: dditest.GUID("11111111-2222-3333-4444-777777777777"), Name: "OEM",
		Data: label("OEM", writeOEMTree(t, b, d.oem)),
	})
}

// oemLooks says what is merged, how /oem is mounted, and where the links lead.
const oemLooks = "say merged $(cat /usr/share/oem-test /usr/share/flatcar-tool 2>/dev/null); say $(grep ' /oem ' /proc/mounts); " +
	"say links $(ls -l /etc/extensions 2>/dev/null); say $(grep -c 'wher[e].: ./oem.' /run/preroot/report.json) $(cat /etc/shipped)"

// TestOEM (S4) has the sysext of an OEM, and one that is enabled by name, in all places where Flatcar has them.
func TestOEM(t *testing.T) {
	t.Parallel()
	m, err := PrepareImage(vmtest.Forky, t.TempDir(), Image{Settings: oemSettings})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		disk oemDisk
		// merged is what the merged /usr has, links are those in /etc/extensions, in order, and console what the log must have.
		merged  string
		links   []string
		console []string
	}{
		{name: "on OEM", disk: oemDisk{oem: with(activeOEM, map[string]string{oemImage: "image oem-test 2"})},
			merged: "oem-test-2", links: []string{"oem-test.raw -> /oem/sysext/oem-test-2.raw"}},
		{name: "on the root", disk: oemDisk{oem: activeOEM, root: map[string]string{oemCopy: "image oem-test 2"}},
			merged: "oem-test-2", links: []string{"oem-test.raw -> /" + oemCopy}},
		{name: "after an update, with a second stage that is not needed", disk: oemDisk{stage: true,
			usr: map[string]string{"share/flatcar/enabled-sysext.conf": "tool # a comment\nother\n"},
			oem: with(activeOEM, map[string]string{oemImage: "image oem-test 2", oemOld: "image oem-test 1"}),
			root: map[string]string{
				oemLink: "-> /oem/" + oemOld, enabledLink: "-> /etc/flatcar/sysext/flatcar-tool-1.raw", enabledFile: "image flatcar-tool 2",
				"etc/flatcar/sysext/flatcar-tool-1.raw": "image flatcar-tool 1", "etc/flatcar/enabled-sysext.conf": "-other\n",
			}},
			merged: "oem-test-2 flatcar-tool-2", links: []string{"flatcar-tool.raw -> /" + enabledFile, "oem-test.raw -> /oem/" + oemImage}},
		{name: "enabled by a confext", disk: oemDisk{
			usr:  map[string]string{"lib/confexts/00-default/etc/flatcar/enabled-sysext.conf": "tool\n"},
			root: map[string]string{enabledFile: "image flatcar-tool 2"},
		}, merged: "flatcar-tool-2", links: []string{"flatcar-tool.raw -> /" + enabledFile}},
		{name: "missing, without a second stage", disk: oemDisk{oem: with(activeOEM, map[string]string{oemOld: "image oem-test 1"}),
			root: map[string]string{oemLink: "-> /oem/" + oemOld}},
			links: []string{"oem-test.raw -> /oem/" + oemOld}, console: []string{
				"the sysext oem-test is missing and must be downloaded: there is no /oem/sysext/oem-test-2.raw /etc/flatcar/oem-sysext/oem-test-2.raw",
				`sysext "oem-test" is left out: made for VERSION_ID=1, the host is 2`,
			}},
		{name: "an ID with slashes", disk: oemDisk{oem: map[string]string{"oem-release": "ID=x/../../../etc/passwd\n", "sysext/active-oem-x": ""}},
			console: []string{`oem-release has ID="x/../../../etc/passwd", which names no file: no sysext of the OEM is chosen`}},
		{name: "a link out of the OEM", disk: oemDisk{stage: true,
			oem:  with(activeOEM, map[string]string{oemImage: "-> ../../usr/share/mine.raw"}),
			usr:  map[string]string{"share/mine.raw": "x"},
			root: map[string]string{oemCopy: "image oem-test 2"}},
			merged: "oem-test-2", links: []string{"oem-test.raw -> /" + oemCopy},
			console: []string{"/oem/sysext/oem-test-2.raw is not a regular file: it is left alone"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			disk, hash := c.disk.build(t, m.Testbed)
			said, run := askAt(t, m, "root=PARTLABEL=ROOT rw usrhash="+hash, "/usr/bin/sh", []vmtest.Disk{{Path: disk, Snapshot: true}}, oemLooks)
			links := "links"
			for _, link := range c.links {
				links += ".* " + regexp.QuoteMeta(link)
			}
			wantSaid(t, said, []string{strings.TrimSpace("merged " + c.merged), "/dev/vda4 /oem ext4 rw,nodev,.*", links, "1 shipped"})
			for _, text := range c.console {
				if _, found := run.Find(text); !found {
					t.Errorf("%q is not on the console", text)
				}
			}
			if _, found := run.Find("the root is for the second stage"); found {
				t.Error("the second stage was meant to take over")
			}
		})
	}
}

// TestOEMNeedsTheSecondStage (S4) has what preroot cannot do: the second stage finds the disk as it was.
func TestOEMNeedsTheSecondStage(t *testing.T) {
	t.Parallel()
	m, err := PrepareImage(vmtest.Forky, t.TempDir(), Image{Settings: oemSettings})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		disk    oemDisk
		because string
	}{
		{"a sysext of the OEM is missing", oemDisk{oem: with(activeOEM, map[string]string{oemOld: "image oem-test 1"}),
			root: map[string]string{oemLink: "-> /oem/" + oemOld}}, "the sysext oem-test is missing and must be downloaded"},
		{"a sysext that is enabled is missing", oemDisk{root: map[string]string{"etc/flatcar/enabled-sysext.conf": "tool\n"}},
			"the sysext flatcar-tool is missing and must be downloaded"},
		{"files are to be deleted", oemDisk{oem: with(activeOEM, map[string]string{oemImage: "image oem-test 2", "sysext/migrate-oem-test": ""})},
			"/oem/sysext/migrate-oem-test asks to delete the files that the sysext oem-test replaces"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.disk.stage = true
			disk, hash := c.disk.build(t, m.Testbed)
			before := digestOf(t, disk)
			run, err := m.Boot(t.Context(), Start{Disk: disk, Keep: true, CommandLine: "root=LABEL=ROOT rw usrhash=" + hash, Timeout: 150 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			for _, text := range []string{"the root is for the second stage: " + c.because, "stage: /usr of the stage: stage", "stage: end"} {
				if _, found := run.Find(text); !found {
					t.Errorf("%q is not on the console:\n%s", text, run.Tail(60))
				}
			}
			// Nothing but the stage itself, /usr and /run is mounted, and in use.
			if mounts := regexp.MustCompile(`(?m)stage: mount (/\S*)`).FindAllStringSubmatch(run.Console, -1); len(mounts) != 5 {
				t.Errorf("mounted are %q", mounts)
			}
			if digestOf(t, disk) != before {
				t.Error("the disk was written to")
			}
		})
	}
}

// TestOEMIsRequired (S4) has an image without which this boot must not go on, and no second stage that could bring it.
func TestOEMIsRequired(t *testing.T) {
	t.Parallel()
	m, err := PrepareImage(vmtest.Forky, t.TempDir(), Image{Settings: oemSettings + "[SysExt]\nRequire=oem-test\n"})
	if err != nil {
		t.Fatal(err)
	}
	disk, hash := oemDisk{oem: activeOEM}.build(t, m.Testbed)
	run, err := m.Boot(t.Context(), Start{Disk: disk, CommandLine: "root=LABEL=ROOT rw usrhash=" + hash, Timeout: 150 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	judge(t, run, CheckRefusal(run, regexp.MustCompile(`required sysext "?oem-test"?`), refusalLimit))
	if _, found := run.Find("the sysext oem-test is missing and must be downloaded"); !found {
		t.Errorf("the log does not say what is missing:\n%s", run.Tail(60))
	}
}
