//go:build guest

package toolbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// real runs a program of util-linux.
func real(t *testing.T, words ...string) string {
	t.Helper()
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", words, err, out)
	}
	return string(out)
}

// good runs one of our commands, which has to succeed.
func good(t *testing.T, line string) string {
	t.Helper()
	got := run(t, "", "", line)
	if got.code != 0 || got.err != "" {
		t.Fatalf("%s: %+v", line, got)
	}
	return got.out
}

// loopImage makes an image with a file system and attaches it.
func loopImage(t *testing.T, name string, mkfs ...string) (device string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	if len(mkfs) > 0 {
		real(t, append(mkfs, image)...)
	}
	device = strings.TrimSpace(real(t, "/usr/sbin/losetup", "--find", "--show", image))
	t.Cleanup(func() { _ = exec.Command("/usr/sbin/losetup", "--detach", device).Run() })
	return device
}

func ext4Image(t *testing.T) string {
	return loopImage(t, "ext4", "/usr/sbin/mkfs.ext4", "-q", "-L", "a label", "-U", "11111111-2222-3333-4444-555555555555")
}

// The real blkid and lsblk say the same of the disks of the guest and of a file system that was just made.
func TestSameAsBlkidAndLsblk(t *testing.T) {
	device := ext4Image(t)
	wanted := map[string][]string{}
	names := []string{device}
	for line := range strings.Lines(real(t, "/usr/bin/lsblk", "-rno", "PATH")) {
		names = append(names, strings.TrimSpace(line))
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		// 2 stands for a device with nothing on it.
		out, err := exec.Command("/usr/sbin/blkid", "-p", "-o", "export", name).Output()
		if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() != 2 {
			t.Fatalf("blkid %s: %v", name, err)
		}
		for line := range strings.Lines(string(out)) {
			key, _, _ := strings.Cut(line, "=")
			key = map[string]string{"PART_ENTRY_UUID": "PARTUUID", "PART_ENTRY_NAME": "PARTLABEL"}[key] + map[string]string{"UUID": key, "LABEL": key, "TYPE": key}[key]
			if key != "" {
				_, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				wanted[name] = append(wanted[name], key+"="+value)
			}
		}
		got := run(t, "", "", "blkid -o export "+name)
		var lines []string
		for line := range strings.Lines(got.out) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "DEVNAME=") {
				lines = append(lines, line)
			}
		}
		slices.Sort(lines)
		slices.Sort(wanted[name])
		if !slices.Equal(lines, wanted[name]) {
			t.Errorf("%s: %q, %d, %s; want %q", name, lines, got.code, got.err, wanted[name])
		}
	}
	if len(wanted[device]) != 3 {
		t.Errorf("the judge says %q of %s", wanted[device], device)
	}
	for _, columns := range []string{"KNAME,MAJ:MIN,RM,SIZE,RO,TYPE", "PATH,PKNAME,MOUNTPOINT"} {
		got, want := strings.Split(good(t, "lsblk -rn -o "+columns), "\n"), strings.Split(real(t, "/usr/bin/lsblk", "-rno", columns), "\n")
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(slices.Compact(got), slices.Compact(want)) {
			t.Errorf("%s:\n%q\nwant\n%q", columns, got, want)
		}
	}
	if got := good(t, "blkid -U 11111111-2222-3333-4444-555555555555"); got != device+"\n" {
		t.Errorf("-U: %q", got)
	}
	if got := good(t, "blkid -o value -s LABEL "+device); got != "a label\n" {
		t.Errorf("-s LABEL: %q", got)
	}
	if got := run(t, "", "", "blkid -L nothing"); got.code != 2 {
		t.Errorf("%+v", got)
	}
}

func TestMountAndUmount(t *testing.T) {
	device := ext4Image(t)
	dir := t.TempDir()
	for _, name := range []string{"m", "b", "t", "moved"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m, b, tmp, moved := dir+"/m", dir+"/b", dir+"/t", dir+"/moved"
	shown := func(target string) string {
		return real(t, "/usr/bin/findmnt", "-rn", "-o", "SOURCE,FSTYPE,OPTIONS", "--mountpoint", target)
	}
	gone := func(target string) bool { return exec.Command("/usr/bin/findmnt", "--mountpoint", target).Run() != nil }
	// By its UUID, without a type: the device is looked at, and the driver loaded.
	good(t, "mount -o nosuid,noexec UUID=11111111-2222-3333-4444-555555555555 "+m)
	if got := shown(m); !strings.HasPrefix(got, device+" ext4 ") || !strings.Contains(got, "nosuid") || !strings.Contains(got, "noexec") || !strings.Contains(got, " rw,") {
		t.Errorf("%s", got)
	}
	good(t, "mount -o remount,ro "+m)
	if got := shown(m); !strings.Contains(got, " ro,") || !strings.Contains(got, "nosuid") {
		t.Errorf("remount: %s", got)
	}
	good(t, "mount --bind "+m+" "+b)
	if got := shown(b); !strings.HasPrefix(got, device) {
		t.Errorf("bind: %s", got)
	}
	good(t, "mount -t tmpfs -o size=1m,mode=700 none "+tmp)
	if got := shown(tmp); !strings.HasPrefix(got, "none tmpfs ") || !strings.Contains(got, "size=1024k") || !strings.Contains(got, "mode=700") {
		t.Errorf("tmpfs: %s", got)
	}
	good(t, "mount --make-private /")
	good(t, "mount --move "+tmp+" "+moved)
	if !gone(tmp) || gone(moved) {
		t.Error("it did not move")
	}
	for line := range strings.Lines(good(t, "mount -t ext4,tmpfs")) {
		if !strings.Contains(line, " type ext4 (") && !strings.Contains(line, " type tmpfs (") {
			t.Errorf("mount -t: %s", line)
		}
	}
	keep, err := os.Open(m)
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, "", "", "umount "+m); got.code != 32 || !strings.Contains(got.err, "in use") {
		t.Errorf("busy: %+v", got)
	}
	keep.Close()
	good(t, "umount "+b)
	// By the device as well.
	good(t, "umount "+device)
	good(t, "umount -l "+moved)
	for _, target := range []string{m, b, moved} {
		if !gone(target) {
			t.Errorf("%s is still there", target)
		}
	}
	if got := run(t, "", "", "umount "+m); got.code != 32 || !strings.Contains(got.err, "not mounted") {
		t.Errorf("again: %+v", got)
	}
	empty := loopImage(t, "empty")
	for line, want := range map[string]string{
		"mount " + empty + " " + m: "holds no file system", "mount -t ext4 " + empty + " " + m: "ext4", "mount LABEL=nothing " + m: "no such device",
		"mount -t nonsense none " + m: "no such device", "mount " + device + " " + dir + "/none": "no such file", "mount -o nonsense=1 " + device + " " + m: "nonsense",
	} {
		if got := run(t, "", "", line); got.code != 32 || !strings.Contains(got.err, want) {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

func TestModules(t *testing.T) {
	if got := run(t, "", "", "modprobe nonsense"); got.code != 1 || !strings.Contains(got.err, "there is no module nonsense") {
		t.Errorf("%+v", got)
	}
	// Other packages' tests in this machine need it.
	t.Cleanup(func() { good(t, "modprobe erofs") })
	good(t, "modprobe erofs")
	if got := good(t, "lsmod"); !strings.Contains(got, "\nerofs ") || got != normalized(real(t, "/usr/bin/lsmod"), got) {
		t.Errorf("lsmod: %s", got)
	}
	good(t, "rmmod erofs")
	good(t, "modprobe fs-erofs")
	if got := good(t, "lsmod"); !strings.Contains(got, "\nerofs ") {
		t.Errorf("by its alias: %s", got)
	}
	good(t, "modprobe -r erofs")
	if got := run(t, "", "", "rmmod erofs"); got.code != 1 || !strings.Contains(got.err, "not loaded") {
		t.Errorf("%+v", got)
	}
}

// normalized is ours if both have the same words.
func normalized(theirs, ours string) string {
	if slices.Equal(strings.Fields(theirs), strings.Fields(ours)) {
		return ours
	}
	return theirs
}

func TestKernelLog(t *testing.T) {
	if err := os.WriteFile("/dev/kmsg", []byte("<11>toolbox: an error\n"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/dev/kmsg", []byte("<14>toolbox: some news\n"), 0); err != nil {
		t.Fatal(err)
	}
	got := good(t, "dmesg -l err")
	if !strings.Contains(got, "] toolbox: an error\n") || strings.Contains(got, "some news") {
		t.Errorf("%s", got)
	}
	ours, theirs := strings.Split(good(t, "dmesg"), "\n"), strings.Split(real(t, "/usr/bin/dmesg"), "\n")
	if len(ours) != len(theirs) || len(ours) < 20 {
		t.Fatalf("%d lines, the real one has %d", len(ours), len(theirs))
	}
	for i, line := range ours {
		if line != theirs[i] {
			t.Errorf("%q, the real one has %q", line, theirs[i])
		}
	}
	if got := good(t, "dmesg -u"); !strings.Contains(got, "some news") || strings.Contains(got, "Linux version") {
		t.Errorf("-u: %s", got)
	}
	good(t, "dmesg -n 3")
	if level := read(t, "/proc/sys/kernel/printk"); !strings.HasPrefix(level, "3\t") {
		t.Errorf("-n: %s", level)
	}
}

func TestNetwork(t *testing.T) {
	good(t, "ip link set lo up")
	if got := good(t, "ip addr show lo"); !strings.Contains(got, "LOOPBACK,UP,LOWER_UP") || !strings.Contains(got, "    inet 127.0.0.1/8 scope host lo\n") {
		t.Errorf("%s", got)
	}
	good(t, "ip addr add 10.1.2.3/24 brd + dev lo")
	if got := good(t, "ip -4 -br a"); !strings.Contains(got, " 127.0.0.1/8 10.1.2.3/24\n") {
		t.Errorf("%s", got)
	}
	good(t, "ip route add 10.50.0.0/16 via 10.1.2.4 dev lo metric 7")
	if got := good(t, "ip r"); !strings.Contains(got, "10.50.0.0/16 via 10.1.2.4 dev lo metric 7\n") {
		t.Errorf("%s", got)
	}
	if got := run(t, "", "", "ip route add 10.50.0.0/16 via 10.1.2.4 dev lo metric 7"); got.code != 2 || !strings.Contains(got.err, "file exists") {
		t.Errorf("%+v", got)
	}
	good(t, "ip route del 10.50.0.0/16 metric 7")
	if got := run(t, "", "", "ip route del 10.50.0.0/16"); got.code != 2 || !strings.Contains(got.err, "no such process") {
		t.Errorf("%+v", got)
	}
	for _, target := range []string{"127.0.0.1", "10.1.2.3", "::1"} {
		if got := run(t, "", "", "ping -c 2 -i 0.01 "+target); got.code != 0 || !strings.Contains(got.out, "2 packets transmitted, 2 received, 0% packet loss") {
			t.Errorf("%+v", got)
		}
	}
	good(t, "ip addr flush dev lo")
	if got := good(t, "ip addr show lo"); strings.Contains(got, "inet") {
		t.Errorf("%s", got)
	}
	if got := run(t, "", "", "ip link set none up"); got.code != 2 || !strings.Contains(got.err, `no network device "none"`) {
		t.Errorf("%+v", got)
	}
}

// What is moved to another file system is copied whole, and only then removed.
func TestMoveBetweenFileSystems(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	good(t, "mount -t tmpfs -o size=64k none "+other)
	defer good(t, "umount -l "+other)
	write(t, dir, map[string]string{"small/a": "one", "large/b": strings.Repeat("x", 1<<20)})
	if err := os.Symlink("a", dir+"/small/l"); err != nil {
		t.Fatal(err)
	}
	good(t, "mv "+dir+"/small "+other)
	if got := read(t, other, "small/l"); got != "one" {
		t.Error(got)
	}
	if _, err := os.Lstat(dir + "/small"); err == nil {
		t.Error("the original stays")
	}
	if got := run(t, "", "", "mv "+dir+"/large "+other); got.code == 0 || !strings.Contains(got.err, "no space left on device") || !strings.Contains(got.err, "stays") {
		t.Errorf("%+v", got)
	}
	if got := read(t, dir, "large/b"); len(got) != 1<<20 {
		t.Errorf("%d bytes are left of the original", len(got))
	}
	// So with gzip: the packed file does not fit.
	write(t, dir, map[string]string{"z": "text"})
	good(t, "gzip "+dir+"/z")
	if got := run(t, "", "", "cp "+dir+"/large/b "+other+"/b"); got.code != 1 || !strings.Contains(got.err, "no space left") {
		t.Errorf("%+v", got)
	}
}

func TestChroot(t *testing.T) {
	if got := run(t, "", "", "chroot / /usr/bin/lsblk --version"); got.code != 0 || !strings.Contains(got.out, "util-linux") {
		t.Errorf("%+v", got)
	}
	if got := run(t, "", "", "chroot / /none"); got.code != 127 {
		t.Errorf("%+v", got)
	}
	if got := run(t, "", "", "chroot / lsblk nonsense"); got.code == 0 {
		t.Errorf("%+v", got)
	}
}
