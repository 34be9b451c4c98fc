//go:build vm

package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/vmtest"
)

// The disk in the shape of Flatcar's, and what preroot is told of it.
const (
	flatcarDisk     = "flatcar.raw"
	flatcarMaker    = "scripts/testbed/make-flatcar-disk"
	flatcarSettings = "[ConfExt]\nRequire=00-flatcar-default\nMountFlags=/etc exec\n[EtcRules]\nPreset=flatcar\n"
)

// flatcar is a machine with a private copy of that disk.
type flatcar struct {
	*Machine
	disk   string
	values map[string]string
}

// prepareFlatcar makes one, with more settings behind flatcarSettings.
func prepareFlatcar(t *testing.T, suite string, more ...string) *flatcar {
	t.Helper()
	b, err := vmtest.OpenTestbed()
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := b.Kernel(suite)
	if err != nil {
		t.Fatal(err)
	}
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "preroot.conf")
	if err := os.WriteFile(conf, []byte(flatcarSettings+strings.Join(more, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	f := &flatcar{Machine: &Machine{Testbed: b, Kernel: kernel, Initrd: filepath.Join(dir, "initrd")}, disk: filepath.Join(dir, "disk.raw")}
	if _, err = initramfs.Build(initramfs.Options{
		KernelTree: kernel.Tree, Release: kernel.Release, Init: filepath.Join(repository, "bin/preroot"), Output: f.Initrd,
		Conf: conf, ExtraModules: []string{"btrfs"},
	}); err != nil {
		t.Fatal(err)
	}
	source, err := b.File(flatcarDisk, flatcarMaker)
	if err != nil {
		t.Fatal(err)
	}
	if f.values, err = b.DiskValues(flatcarDisk); err != nil {
		t.Fatal(err)
	}
	if err := vmtest.CopyDisk(f.disk, source); err != nil {
		t.Fatal(err)
	}
	return f
}

// offset is a value of flatcar.env, in bytes.
func (f *flatcar) offset(t *testing.T, key string) int64 {
	t.Helper()
	offset, err := strconv.ParseInt(f.values[key], 10, 64)
	if err != nil {
		t.Fatalf("flatcar.env: %s: %v", key, err)
	}
	return offset
}

// start boots the disk with systemd's words for its verity. What is written stays.
func (f *flatcar) start(words string) Start {
	return Start{Disk: f.disk, Keep: true, CommandLine: f.values["CMDLINE_SYSTEMD"], Append: words, Timeout: 1500 * time.Second}
}

// provedOnFlatcar are the points of Check that are not about the testbed's own extensions.
var provedOnFlatcar = []string{
	"1 systemd skips its refresh exactly twice",
	"1 systemd's tools merged nothing themselves",
	"2 /etc is the same mount from systemd's start to the end of the start",
	"2 /usr is the same mount from systemd's start to the end of the start",
	"2 systemctl reload of both services succeeds",
	"3 /etc is exactly one overlay",
	"3 /etc is writable",
	"4 veritysetup status usr says verified",
	"5 dev-mapper-usr.device is active",
	"5 no unit failed",
	"5 systemctl is-system-running says running",
	"6 preroot saw an empty old root",
	"6 no helper mount is left when systemd starts",
	"7 this is the kernel that was to be tested",
}

// isOEM tells the partition of the OEM, at its place.
func isOEM(m tableMount) bool {
	return m.target == "/oem" && m.kind == "btrfs" && m.source == "/dev/vda6"
}

// TestFlatcar boots the disk twice with what Flatcar's GRUB passes, to the end of the start, and then with a damaged /usr. The partition of its OEM, a
// btrfs, stays mounted under systemd.
func TestFlatcar(t *testing.T) {
	t.Parallel()
	f := prepareFlatcar(t, vmtest.Forky, oemSettings)
	boot := func(t *testing.T) *vmtest.Run {
		t.Helper()
		// At a first boot systemd enables the log of audits, which would fill the console.
		start := f.start("audit=0")
		start.CommandLine = f.values["CMDLINE"]
		run, err := f.Boot(t.Context(), start)
		if err != nil {
			t.Fatal(err)
		}
		logRun(t, run)
		return run
	}
	for _, name := range []string{"first boot", "second boot"} {
		t.Run(name, func(t *testing.T) {
			run := boot(t)
			report, err := Parse(run.Console)
			if err != nil {
				t.Fatalf("%v\n%s", err, run.Tail(60))
			}
			var findings []Finding
			for _, finding := range Check(report, f.Kernel.Release) {
				if slices.Contains(provedOnFlatcar, finding.Point) {
					findings = append(findings, finding)
				}
			}
			if len(findings) != len(provedOnFlatcar) {
				t.Errorf("%d of %d points were judged", len(findings), len(provedOnFlatcar))
			}
			judge(t, run, findings)
			if _, found := run.Find("on /oem (btrfs), the partition of the OEM"); !found {
				t.Error("the partition of the OEM was not mounted")
			}
			if table, err := report.mountTable("mountinfo"); err != nil || !slices.ContainsFunc(table, isOEM) {
				t.Errorf("at the end of the start /oem is not mounted: %v, %+v", err, table)
			}
			if table, err := report.Text("dm-table"); err != nil || !strings.Contains(table, " "+f.values["USRHASH"]+" ") || !strings.Contains(table, " 4096 4096 260094 260095 sha256 ") {
				t.Errorf("dm-table: %v\n%s", err, table)
			}
		})
	}
	t.Run("damaged usr", func(t *testing.T) {
		if err := vmtest.FlipBit(f.disk, f.offset(t, "USR_OFFSET")+1030, 3); err != nil {
			t.Fatal(err)
		}
		run := boot(t)
		judge(t, run, CheckRefusal(run, regexp.MustCompile(`data block 0 does not match the hash tree`), refusalLimit))
	})
}

// addJudge builds the judge, which is init or a unit of the scenarios, and puts it on the root of the disk, where nothing else is, with a signed confext for it
// to install. It must be done before the first boot: debugfs knows nothing of a journal.
func (f *flatcar) addJudge(t *testing.T) {
	t.Helper()
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "judge"), "./internal/vmtest/scenario/judge")
	build.Dir, build.Env = repository, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build judge: %v\n%s", err, output)
	}
	image, err := f.Testbed.File("disk.exts/user.raw", "scripts/testbed/make-disk")
	if err != nil {
		t.Fatal(err)
	}
	f.editRoot(t, "mkdir /opt", "write "+filepath.Join(dir, "judge")+" /opt/judge", "write "+image+" /opt/user.raw")
}

// editRoot changes the root file system of the disk, which is not in use.
func (f *flatcar) editRoot(t *testing.T, commands ...string) {
	t.Helper()
	editFiles(t, f.Testbed, f.disk+"?offset="+f.values["ROOT_OFFSET"], commands...)
}

// Words for boots with the judge: as init, or as a unit.
const (
	judgeWords   = "printk.devkmsg=on scenario.phase="
	judgeIsInit  = "init=/opt/judge "
	judgeIsAUnit = "audit=0 systemd.unit=scenario.target systemd.getty_auto=no testbed.noreport "
)

// runPhase boots the disk with the judge, and wants it to have judged these things and no others, all of them well.
func (f *flatcar) runPhase(t *testing.T, how, phase string, want ...string) {
	t.Helper()
	t.Run(phase, func(t *testing.T) {
		run, err := f.Boot(t.Context(), f.start(how+judgeWords+phase))
		if err != nil {
			t.Fatal(err)
		}
		logRun(t, run)
		findings, err := readVerdicts(run.Console, phase, want)
		judge(t, run, findings)
		if err != nil {
			t.Errorf("%v\n%s", err, run.Tail(60))
		}
	})
}
