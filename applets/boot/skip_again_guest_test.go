//go:build guest

package boot

import (
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/ddi/dditest"
	"github.com/preroot/preroot/internal/osrelease"
)

func init() {
	skipCases = slices.Concat(skipCases, bothClasses, changed, refusedBySystemd)
}

// bothClasses are cases in which one class decides about what the other one finds.
var bothClasses = []skipCase{
	{name: "confexts on a merged /usr", class: confext, kinds: several, in: "usr/lib/confexts", more: func(s *stage) {
		s.writeAll(sysexts+"/sx", sysextFiles("sx"))
	}, late: skipsToo(sysext)},
	{name: "sysexts beside confexts on /usr", class: sysext, kinds: several, in: sysexts, more: func(s *stage) {
		s.writeAll("usr/lib/confexts/cx", confextFiles("cx"))
		s.writeRaw("usr/lib/confexts/raw.raw", confext, "erofs", "raw")
	}, late: skipsToo(confext)},
	{name: "sysexts in a merged /etc", class: sysext, kinds: several, in: "etc/extensions", more: func(s *stage) {
		s.writeAll(confexts+"/cx", confextFiles("cx"))
	}, late: skipsToo(confext)},
	{name: "sysexts in a merged /etc that takes writes", class: sysext, kinds: several, in: "etc/extensions", more: func(s *stage) {
		s.settings(confext, "Mutable=auto\n")
		mutable("etc=/etc")(s)
		s.writeDDI("usr/lib/confexts/cx.raw", confext, "cx", dditest.Image{})
	}, late: skipsToo(confext)},
	{name: "sysexts in an /etc that takes writes, no confext", class: sysext, kinds: several, in: "etc/extensions", more: func(s *stage) {
		s.settings(confext, "Mutable=auto\n")
		mutable("etc=/etc")(s)
	}, late: skipsToo(confext)},
	{name: "sysexts in a confext", class: sysext, kinds: several, in: confexts + "/cx/etc/extensions", more: func(s *stage) {
		s.writeAll(confexts+"/cx", confextFiles("cx"))
	}, late: skipsToo(confext)},
	{name: "links in a merged /etc", class: sysext, more: func(s *stage) {
		s.writeAll(confexts+"/cx", confextFiles("cx"))
		s.writeAll("opt-data/dir", sysextFiles("dir"))
		s.writeRaw("opt-data/raw.raw", sysext, "squashfs", "raw")
		s.link("/opt-data/dir", "etc/extensions/dir")
		s.link("../../opt-data/raw.raw", "etc/extensions/raw.raw")
	}, late: skipsToo(confext)},
	{name: "confexts in a sysext", class: confext, kinds: several, in: sysexts + "/sx/usr/lib/confexts", more: func(s *stage) {
		s.writeAll(sysexts+"/sx", sysextFiles("sx"))
	}, late: skipsToo(sysext)},
	{name: "sysexts in /etc, confext directory on a merged /usr", class: sysext, kinds: several, in: "etc/extensions", more: func(s *stage) {
		s.writeAll("usr/lib/confexts/cx", confextFiles("cx"))
	}, late: skipsToo(confext)},
	// No directory: with one, systemd's own overlay would be deeper than the kernel takes.
	{name: "sysexts in /etc, confext changed by a sysext", class: sysext, kinds: "erofs gpt-verity", in: "etc/extensions", more: func(s *stage) {
		s.writeAll("usr/lib/confexts/cx", confextFiles("cx"))
		s.writeAll(sysexts+"/sx", sysextFiles("sx"))
		s.write(sysexts+"/sx/usr/lib/confexts/cx/etc/more", "more\n")
	}, late: skipsToo(confext)},
}

// skipsToo makes sure that systemd skips another class as well.
func skipsToo(class osrelease.Class) func(w *world) {
	return func(w *world) {
		output, err := w.program("systemd-"+string(class), "refresh")
		if err != nil || !strings.Contains(output, skipped) {
			w.Errorf("systemd does not skip the %ss: %v\n%s", class, err, output)
		}
	}
}

// changed are cases in which systemd has to merge again, and does.
var changed = []skipCase{
	{name: "/var is the real root's business", class: confext, kinds: several, in: confexts, on: "late-var=ext4",
		because: "nobody has mounted /var when extensions are merged early", after: "k00 k01 k02"},
	{name: "/home is the real root's business", class: confext, kinds: "directory", in: confexts, on: "late-home=ext4", more: func(s *stage) {
		s.writeRaw("home/h.raw", confext, "erofs", "h")
		s.link("/home/h.raw", confexts+"/h.raw")
	}, because: "the link leads to what is mounted later", after: "h k00"},
	{name: "/var is mounted anew", class: confext, kinds: several, in: confexts, on: "var=ext4", late: mountAnew,
		because: "what has no root hash is identified by the mount it lies on"},
	{name: "/var is mounted anew, root hashes", class: confext, kinds: "gpt-verity gpt-signed roothash roothash-attribute roothash-without-tree",
		in: confexts, on: "var=ext4", late: mountAnew},
	{name: "link to a name of udev's", class: confext, kinds: "directory", in: confexts, more: func(s *stage) {
		device := s.blockDevice(s.pack("erofs", confextFiles("u")))
		s.check(unix.Mknod(s.at("u-node"), unix.S_IFBLK|0o600, int(device)))
		s.link("/dev/disk/by-label/u", confexts+"/u")
	}, late: func(w *world) {
		w.check(os.MkdirAll("/dev/disk/by-label", 0o755))
		var st unix.Stat_t
		w.check(unix.Stat("/u-node", &st))
		w.check(unix.Mknod("/dev/disk/by-label/u", unix.S_IFBLK|0o600, int(st.Rdev)))
		w.Cleanup(func() { _ = os.RemoveAll("/dev/disk") })
	}, because: "udev runs in the real root only", after: "k00 u"},
	{name: "an image came", class: confext, kinds: several, in: confexts, late: func(w *world) {
		w.check(os.CopyFS("/"+confexts+"/new", os.DirFS("/"+confexts+"/k00")))
		w.check(os.Rename("/"+confexts+"/new/etc/extension-release.d/extension-release.k00", "/"+confexts+"/new/etc/extension-release.d/extension-release.new"))
		w.check(os.Rename("/"+confexts+"/new/etc/k00", "/"+confexts+"/new/etc/new"))
		w.check(os.WriteFile("/"+confexts+"/new/etc/new", []byte("new\n"), 0o644))
	}, because: "there is one more", after: "k00 k01 k02 new"},
	{name: "an image went", class: confext, kinds: several, in: confexts, late: func(w *world) {
		w.check(os.Remove("/" + confexts + "/k01.raw"))
	}, because: "there is one less", after: "k00 k02"},
	{name: "an image was touched", class: sysext, kinds: several, in: sysexts, late: func(w *world) {
		w.check(os.Chtimes("/"+sysexts+"/k01.raw", time.Now(), time.Now()))
	}, because: "it may be another one"},
	{name: "a directory was changed inside", class: confext, kinds: several, in: confexts, late: func(w *world) {
		w.check(os.WriteFile("/"+confexts+"/k00/etc/k00", []byte("k00\n"), 0o644))
	}},
	{name: "mount options of the service", class: confext, kinds: several, in: confexts, late: func(w *world) {
		w.Setenv("SYSTEMD_CONFEXT_OVERLAYFS_MOUNT_OPTIONS", "redirect_dir=off")
	}, because: "they are in the environment of the real root's service"},
	{name: "settings in /etc", class: confext, kinds: several, in: confexts, more: func(s *stage) {
		s.write("etc/systemd/confext.conf", "[ConfExt]\nMutable=ephemeral\n")
	}, because: "before the switch only those of the verified /usr count"},
	{name: "settings in /etc that say the same", class: confext, kinds: several, in: confexts, more: func(s *stage) {
		s.write("etc/systemd/confext.conf", "[ConfExt]\n#Mutable=no\n")
	}},
	{name: "settings in a confext", class: confext, kinds: several, in: confexts, more: func(s *stage) {
		s.write(confexts+"/k00/etc/systemd/confext.conf", "[ConfExt]\nMutable=ephemeral\n")
	}, because: "they count from the next merge on"},
	{name: "settings in a sysext", class: sysext, kinds: several, in: sysexts, more: func(s *stage) {
		s.write(sysexts+"/k00/usr/lib/systemd/sysext.conf", "[SysExt]\nMutable=ephemeral\n")
	}, because: "they count from the next merge on"},
	{name: "another os-release", class: confext, kinds: several, in: confexts, more: func(s *stage) {
		s.write(confexts+"/old/etc/extension-release.d/extension-release.old", "ID=debian\nVERSION_ID=14\n")
		s.write(confexts+"/old/etc/old", "old\n")
		s.write("os-release-15", "ID=debian\nVERSION_ID=15\n")
	}, late: func(w *world) {
		w.check(unix.Mount("/os-release-15", "/usr/lib/os-release", "", unix.MS_BIND, ""))
	}, because: "one image does not fit any more", after: "k00 k01 k02"},
}

// mountAnew takes /var away and mounts it again.
func mountAnew(w *world) {
	w.Helper()
	source := ""
	for _, m := range w.all {
		if m.at == "/var" {
			source = m.node
		}
	}
	w.check(unix.Unmount("/var", unix.MNT_DETACH))
	w.check(unix.Mount(source, "/var", "ext4", 0, ""))
}

// refusedBySystemd are cases in which systemd's refresh fails as a whole, because of one image. Ours has left it out, and
// merged the others: they stay.
var refusedBySystemd = []skipCase{
	{name: "no file system", class: confext, kinds: several, in: confexts, more: func(s *stage) {
		s.write(confexts+"/junk.raw", strings.Repeat("junk", 4096))
	}, fails: "Failed to read metadata for image junk: Package not installed", after: "k00 k01 k02"},
	{name: "an empty file", class: sysext, kinds: several, in: sysexts, more: func(s *stage) {
		s.write(sysexts+"/junk.raw", "")
	}, fails: "Failed to read metadata for image junk: Package not installed", after: "k00 k01 k02"},
	{name: "half a root hash", class: confext, kinds: several + " gpt-verity-sha512", in: confexts,
		fails: "Failed to read metadata for image", after: "k00 k01 k02"},
	{name: "a mount stack", class: confext, kinds: several, in: confexts, more: func(s *stage) {
		s.writeAll(confexts+"/m.mstack", confextFiles("m"))
	}, fails: "Failed to read metadata for image m: Operation not supported", after: "k00 k01 k02"},
	{name: "a whole system", class: sysext, kinds: several, in: sysexts, more: func(s *stage) {
		s.writeAll(sysexts+"/os", sysextFiles("os"))
		s.write(sysexts+"/os/usr/lib/os-release", "ID=debian\n")
	}, fails: "Failed to read metadata for image os: No medium found", after: "k00 k01 k02"},
	{name: "a stranger's signature", class: confext, kinds: "gpt-signed gpt-signed-by-stranger", in: confexts, more: func(s *stage) {
		s.settings(confext, "ImagePolicy=root=signed+absent\n")
	}, on: "usr=verity", fails: "Required key not available", after: "k00"},
	{name: "damaged content", class: confext, kinds: several, in: confexts, more: func(s *stage) {
		b := dditest.Image{Content: s.pack("erofs", confextFiles("bad"))}.Build()
		b.Data[b.DataStart+1030] ^= 1
		s.writeImage(confexts+"/bad.raw", b.Data)
	}, fails: "Failed to read metadata for image bad", after: "k00 k01 k02"},
	{name: "usr partition of a confext", class: confext, kinds: "directory", in: confexts, more: func(s *stage) {
		s.writeImage(confexts+"/u.raw", dditest.Image{Content: s.pack("erofs", confextFiles("u")), Usr: true}.Build().Data)
	}, fails: "Failed to read metadata for image u", after: "k00"},
	{name: "device nodes in /run", class: confext, kinds: "directory block", in: "run/confexts", fails: "Failed to read metadata for image", after: "k00"},
	{name: "vfat", class: confext, kinds: "directory vfat", in: confexts, fails: "Failed to mount confext (type overlay)", bare: true},
	{name: "read-only root without /opt", class: sysext, kinds: several, in: sysexts, on: "root=erofs", more: func(s *stage) {
		s.check(os.RemoveAll(s.at("opt")))
	}},
}
