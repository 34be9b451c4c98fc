package vmtest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// useFakeQEMU puts a shell script in the place of QEMU. Its working directory
// is a new folder, which is returned.
func useFakeQEMU(t *testing.T, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text := "#!/bin/sh\ncd '" + dir + "' || exit 9\n" + script
	if err := os.WriteFile(filepath.Join(dir, qemuProgram), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("TMPDIR", dir) // slots of its own: real guests may hold the others
	return dir
}

func fakeConfig(t *testing.T) Config {
	kernel := filepath.Join(t.TempDir(), "vmlinuz")
	if err := os.WriteFile(kernel, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{Kernel: kernel, Accelerator: TCG}
}

func TestBootKeepsConsoleAndLineTimes(t *testing.T) {
	useFakeQEMU(t, `printf 'one\r\ntw'; sleep 0.3; printf 'o\r\nthree'`)
	var log strings.Builder
	c := fakeConfig(t)
	c.Log = &log
	run, err := Boot(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if run.Console != "one\ntwo\nthree\n" || run.End != EndedByGuest {
		t.Errorf("console %q, %s", run.Console, run.End)
	}
	if log.String() != "one\r\ntwo\r\nthree" {
		t.Errorf("log %q", log.String())
	}
	first, _ := run.Find("one")
	second, found := run.Find("two")
	if !found || second.At-first.At < 200*time.Millisecond || run.Wall < second.At {
		t.Errorf("lines at %v and %v, wall %v", first.At, second.At, run.Wall)
	}
	if run.Count("t") != 2 || run.Tail(1) != "three\n" {
		t.Errorf("count %d, tail %q", run.Count("t"), run.Tail(1))
	}
}

func TestBootEndsAtTheTimeout(t *testing.T) {
	useFakeQEMU(t, `echo hanging; exec sleep 60`)
	c := fakeConfig(t)
	c.Timeout = 300 * time.Millisecond
	run, err := Boot(t.Context(), c)
	if err != nil || run.End != EndedByTimeout || run.Console != "hanging\n" {
		t.Errorf("%+v, %v", run, err)
	}
}

func TestBootIsTriedOnceMoreWhenInitWasNotReached(t *testing.T) {
	useFakeQEMU(t, `if [ -e tried ]; then echo 'Run /init'; else touch tried; echo 'double fault'; fi`)
	var log strings.Builder
	c := fakeConfig(t)
	c.Reached, c.Log = "Run /init", &log
	run, err := Boot(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if run.Console != "Run /init\n" || run.Discarded != "double fault\n" {
		t.Errorf("console %q, discarded %q", run.Console, run.Discarded)
	}
	if !strings.Contains(log.String(), "trying once more") {
		t.Errorf("the second boot is not told: %q", log.String())
	}
}

func TestBootThatNeverReachesInitIsAnError(t *testing.T) {
	dir := useFakeQEMU(t, `echo x >>boots; echo 'double fault'`)
	c := fakeConfig(t)
	c.Reached = "Run /init"
	run, err := Boot(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "double fault") || run == nil {
		t.Errorf("%v, %v", run, err)
	}
	if boots, _ := os.ReadFile(filepath.Join(dir, "boots")); string(boots) != "x\nx\n" {
		t.Errorf("booted %q, want two times", boots)
	}
}

func TestBootFailureAfterInitIsNotTriedAgain(t *testing.T) {
	dir := useFakeQEMU(t, `echo x >>boots; echo 'Run /init'; echo 'Kernel panic'`)
	c := fakeConfig(t)
	c.Reached = "Run /init"
	if _, err := Boot(t.Context(), c); err != nil {
		t.Error(err)
	}
	if boots, _ := os.ReadFile(filepath.Join(dir, "boots")); string(boots) != "x\n" {
		t.Errorf("booted %q, want once", boots)
	}
}

func TestBootErrors(t *testing.T) {
	t.Run("QEMU complains", func(t *testing.T) {
		useFakeQEMU(t, `echo 'qemu: no such machine' >&2; exit 1`)
		_, err := Boot(t.Context(), fakeConfig(t))
		if err == nil || !strings.Contains(err.Error(), "no such machine") {
			t.Error(err)
		}
	})
	t.Run("KVM pauses the guest", func(t *testing.T) {
		useFakeQEMU(t, `echo 'KVM internal error. Suberror: 1' >&2; exec sleep 60`)
		_, err := Boot(t.Context(), fakeConfig(t))
		if err == nil || !strings.Contains(err.Error(), "KVM failed") {
			t.Error(err)
		}
	})
	t.Run("the caller gives up", func(t *testing.T) {
		useFakeQEMU(t, `exec sleep 60`)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := Boot(ctx, fakeConfig(t)); err == nil {
			t.Error("no error")
		}
	})
	t.Run("no initramfs file", func(t *testing.T) {
		c := fakeConfig(t)
		c.Initrd = c.Kernel + ".missing"
		if _, err := Boot(t.Context(), c); err == nil || !strings.Contains(err.Error(), "vmlinuz.missing") {
			t.Error(err)
		}
	})
	t.Run("no QEMU", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		t.Setenv("TMPDIR", t.TempDir())
		if _, err := Boot(t.Context(), fakeConfig(t)); err == nil || !strings.Contains(err.Error(), "install-tools installs") {
			t.Error(err)
		}
	})
}

func TestGuestsWaitForASlot(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var releases []func()
	for range slotCount() {
		release, err := takeSlot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := takeSlot(ctx); err == nil {
		t.Fatal("one slot too many")
	}
	for _, release := range releases {
		release()
	}
	release, err := takeSlot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestCommandLine(t *testing.T) {
	c := Config{Kernel: "k", Initrd: "i", Append: "a b", MemoryMiB: 512, CPUs: 1, Accelerator: TCG}
	for _, bus := range []Bus{"", Virtio, NVMe, SCSI, AHCI, Fusion, PVSCSI, UAS, SD, USB} {
		c.Disks = append(c.Disks, Disk{Path: "d,1", Bus: bus, Snapshot: bus == ""})
	}
	c.Plugs = []Plug{{Path: "p"}}
	got := commandLine(c)
	for _, want := range [][]string{
		{"-M", "q35"}, {"-nodefaults"}, {"-no-reboot"}, {"-serial", "stdio"}, {"-m", "512"}, {"-smp", "1"},
		{"-accel", "tcg,thread=multi"}, {"-cpu", "max,cx16=off"},
		{"-kernel", "k"}, {"-initrd", "i"}, {"-append", "a b"},
		{"-drive", "file=d,,1,format=raw,if=none,id=disk0,snapshot=on,cache=unsafe"},
		{"-drive", "file=d,,1,format=raw,if=none,id=disk1,snapshot=off,cache=unsafe"},
		{"-device", "virtio-blk-pci,drive=disk1"}, {"-device", "nvme,drive=disk2,serial=disk2"},
		{"-device", "scsi-hd,bus=busdisk3.0,drive=disk3"}, {"-device", "ide-hd,bus=busdisk4.0,drive=disk4"},
		{"-device", "mptsas1068,id=busdisk5", "-device", "scsi-hd,bus=busdisk5.0,drive=disk5,wwn=0x5000c50000000006,port_wwn=0x5000c50000000106"},
		{"-device", "pvscsi,id=busdisk6", "-device", "scsi-hd,bus=busdisk6.0,drive=disk6"},
		{"-device", "qemu-xhci,id=busdisk7", "-device", "usb-uas,bus=busdisk7.0,id=uasdisk7", "-device", "scsi-hd,bus=uasdisk7.0,drive=disk7"},
		{"-device", "sdhci-pci", "-device", "sd-card,bus=sd-bus,drive=disk8"},
		{"-device", "qemu-xhci,id=busdisk9", "-device", "usb-storage,bus=busdisk9.0,drive=disk9"},
		{"-device", "pcie-root-port,id=slot0,chassis=1,slot=1"}, {"-drive", "file=p,format=raw,if=none,id=plug0,snapshot=on,cache=unsafe"},
		{"-mon", "chardev=monitor,mode=control"},
	} {
		if !containsRun(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	c.Accelerator = KVM
	if got := commandLine(c); !containsRun(got, []string{"-accel", "kvm", "-cpu", "host"}) {
		t.Errorf("KVM: %q", got)
	}
	if c.Arch = ARM64; !containsRun(commandLine(c), []string{"-M", "virt"}) || !containsRun(commandLine(c), []string{"-cpu", "cortex-a72"}) || c.program() != "qemu-system-aarch64" {
		t.Errorf("arm64: %s %q", c.program(), commandLine(c))
	}
	c.Arch, c.Counted, c.Plugs = "", true, nil
	got = commandLine(c)
	for _, want := range [][]string{{"-M", "pc,hpet=off"}, {"-accel", "tcg,thread=single"}, {"-icount", "shift=0,sleep=off,align=off"}} {
		if !containsRun(got, want) {
			t.Errorf("counted: %q is not in %q", want, got)
		}
	}
}

func containsRun(all, part []string) bool {
	for i := range all {
		if i+len(part) <= len(all) && slices.Equal(all[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

func TestKVMIsJudgedByWhatTheKernelDid(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		works  bool
	}{
		"kernel comes to its end": {`echo 'VFS: Unable to mount root fs on unknown-block(0,0)'; exec sleep 60`, true},
		"kernel stops":            {`echo 'KVM internal error. Suberror: 1' >&2; exec sleep 60`, false},
		"KVM is refused":          {`echo 'failed to initialize kvm' >&2; exit 1`, false},
		"kernel ends early":       {`echo Booting`, false},
	} {
		t.Run(name, func(t *testing.T) {
			useFakeQEMU(t, c.script)
			reason := runProbe(t.Context(), fakeConfig(t).Kernel)
			if (reason == "") != c.works {
				t.Errorf("works %v, want %v: %s", reason == "", c.works, reason)
			}
		})
	}
}

func TestAcceleratorVariable(t *testing.T) {
	for _, value := range []string{"kvm", "tcg"} {
		t.Setenv(AcceleratorVariable, value)
		if got, _, err := FindAccelerator(t.Context(), ""); err != nil || string(got) != value {
			t.Errorf("%s: %s, %v", value, got, err)
		}
	}
	t.Setenv(AcceleratorVariable, "xen")
	if _, _, err := FindAccelerator(t.Context(), ""); err == nil {
		t.Error("xen was taken")
	}
}
