//go:build guest

package boot

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	confexts, sysexts = "var/lib/confexts", "var/lib/extensions"
	// several are kinds with every sort of identity: of a directory, of a file, by root hash.
	several = "directory erofs gpt-verity"
	// nodes cannot be used below /run, which is mounted nodev.
	notInRun = "all -block -block-ddi"
)

// skipCases is the table: image kinds, places, modes, classes, and what systemd 262 makes of what was merged before it started.
var skipCases = []skipCase{
	// Every kind in every place.
	{name: "on the root", class: confext, kinds: "all", in: confexts, full: true},
	{name: "on /usr", class: confext, kinds: "all", in: "usr/lib/confexts"},
	{name: "on /usr, local", class: confext, kinds: several, in: "usr/local/lib/confexts"},
	{name: "on /var", class: confext, kinds: "all", in: confexts, on: "var=ext4"},
	{name: "in /run", class: confext, kinds: notInRun, in: "run/confexts"},
	{name: "sysexts on the root", class: sysext, kinds: "all", in: sysexts, full: true},
	{name: "sysexts in /etc", class: sysext, kinds: "all", in: "etc/extensions"},
	{name: "sysexts on /var", class: sysext, kinds: "all", in: sysexts, on: "var=ext4"},
	{name: "sysexts in /run", class: sysext, kinds: notInRun, in: "run/extensions"},

	// Every file system for the root, /usr and /var.
	{name: "root on btrfs", class: confext, kinds: several, in: confexts, on: "root=btrfs", full: true},
	{name: "subvolumes, root on btrfs", class: confext, kinds: several + " subvolume", in: confexts, on: "root=btrfs"},
	{name: "subvolumes, /var on btrfs", class: confext, kinds: several + " subvolume", in: confexts, on: "var=btrfs"},
	{name: "subvolumes, /usr on btrfs", class: confext, kinds: several + " subvolume", in: "usr/lib/confexts", on: "usr=btrfs"},
	{name: "sysext subvolumes", class: sysext, kinds: several + " subvolume", in: sysexts, on: "root=btrfs"},
	{name: "root on xfs", class: confext, kinds: several, in: confexts, on: "root=xfs", full: true},
	{name: "root on tmpfs", class: confext, kinds: several, in: confexts, on: "root=tmpfs", full: true},
	{name: "root on erofs", class: confext, kinds: several, in: confexts, on: "root=erofs", full: true},
	{name: "root on squashfs", class: sysext, kinds: several, in: sysexts, on: "root=squashfs"},
	{name: "/usr on squashfs", class: confext, kinds: several, in: "usr/lib/confexts", on: "usr=squashfs"},
	{name: "/usr under dm-verity", class: confext, kinds: several, in: "usr/lib/confexts", on: "usr=verity"},
	{name: "/usr on ext4", class: confext, kinds: several, in: "usr/lib/confexts", on: "usr=ext4"},
	{name: "/usr on the root", class: confext, kinds: several, in: "usr/lib/confexts", on: "usr="},
	{name: "/usr on the root, sysexts", class: sysext, kinds: several, in: sysexts, on: "usr=", full: true},
	{name: "/var on tmpfs", class: confext, kinds: several, in: confexts, on: "var=tmpfs"},

	// Every mode.
	{name: "no", class: confext, kinds: several, in: confexts, mode: "no"},
	{name: "auto, nothing there", class: confext, kinds: several, in: confexts, mode: "auto"},
	{name: "auto, directory", class: confext, kinds: several, in: confexts, mode: "auto", more: mutable("etc"), full: true},
	{name: "auto, directory on /var", class: confext, kinds: several, in: confexts, mode: "auto", more: mutable("etc"), on: "var=ext4"},
	{name: "auto, link to /etc", class: confext, kinds: several, in: confexts, mode: "auto", more: mutable("etc=/etc"), full: true},
	{name: "auto, link to /data", class: confext, kinds: several, in: confexts, mode: "auto", more: mutable("etc=/data")},
	{name: "auto, dangling link", class: confext, kinds: several, in: confexts, mode: "auto", more: mutable("etc=/nowhere")},
	{name: "yes, nothing there", class: confext, kinds: several, in: confexts, mode: "yes", full: true},
	{name: "yes, directory", class: confext, kinds: several, in: confexts, mode: "yes", more: mutable("etc")},
	{name: "yes, link to /etc", class: confext, kinds: several, in: confexts, mode: "true", more: mutable("etc=/etc")},
	{name: "import, nothing there", class: confext, kinds: several, in: confexts, mode: "import"},
	{name: "import, directory", class: confext, kinds: several, in: confexts, mode: "import", more: mutable("etc"), full: true},
	{name: "ephemeral", class: confext, kinds: several, in: confexts, mode: "ephemeral", full: true},
	{name: "ephemeral, directory", class: confext, kinds: several, in: confexts, mode: "ephemeral", more: mutable("etc")},
	{name: "ephemeral-import, nothing there", class: confext, kinds: several, in: confexts, mode: "ephemeral-import"},
	{name: "ephemeral-import, directory", class: confext, kinds: several, in: confexts, mode: "ephemeral-import", more: mutable("etc"), full: true},
	{name: "sysexts, auto, nothing there", class: sysext, kinds: several, in: sysexts, mode: "auto"},
	{name: "sysexts, auto, directories", class: sysext, kinds: several, in: sysexts, mode: "auto", more: mutable("usr opt"), full: true},
	{name: "sysexts, auto, one directory", class: sysext, kinds: several, in: sysexts, mode: "auto", more: mutable("opt")},
	{name: "sysexts, yes", class: sysext, kinds: several, in: sysexts, mode: "yes", full: true},
	{name: "sysexts, import", class: sysext, kinds: several, in: sysexts, mode: "import", more: mutable("usr opt")},
	{name: "sysexts, ephemeral", class: sysext, kinds: several, in: sysexts, mode: "ephemeral", full: true},
	{name: "sysexts, ephemeral-import", class: sysext, kinds: several, in: sysexts, mode: "ephemeral-import", more: mutable("usr"), full: true},
	{name: "no image, auto", class: confext, mode: "auto", more: mutable("etc"), full: true},
	{name: "no image, yes", class: confext, mode: "yes"},
	{name: "no image, ephemeral", class: confext, mode: "ephemeral"},

	// Settings of the verified /usr.
	{name: "drop-in of /usr", class: confext, kinds: several, in: confexts, more: func(s *stage) {
		s.settings(confext, "Mutable=ephemeral\n")
		s.write("usr/lib/systemd/confext.conf.d/50.conf", "[ConfExt]\nMutable=auto\n")
		mutable("etc")(s)
	}},
	{name: "local settings hide others", class: confext, kinds: several, in: confexts, mode: "yes", more: func(s *stage) {
		s.write("usr/local/lib/systemd/confext.conf", "[ConfExt]\n")
	}},
	{name: "trees are ignored by policy", class: confext, kinds: "gpt-verity gpt-signed erofs", in: confexts, more: func(s *stage) {
		s.settings(confext, "ImagePolicy=root=unprotected+absent\n")
	}, full: true},
	{name: "signatures are demanded", class: confext, kinds: "directory gpt-signed roothash-p7s", in: confexts, more: func(s *stage) {
		s.settings(confext, "ImagePolicy=root=signed+absent\n")
	}, on: "usr=verity", full: true},

	// Names, links, and other ways to be odd.
	{name: "odd names", class: confext, more: func(s *stage) {
		for _, name := range oddNames {
			s.writeAll(confexts+"/"+name, confextFiles(name))
		}
	}, late: wantNames(len(oddNames))},
	{name: "odd names of raw images", class: confext, more: func(s *stage) {
		for _, name := range oddNames {
			s.writeRaw(confexts+"/"+name+".raw", confext, "erofs", name)
		}
	}, late: wantNames(len(oddNames))},
	{name: "as many names as systemd cannot mount", class: confext, more: func(s *stage) {
		for i := range 120 {
			name := fmt.Sprintf("a-name-of-thirty-characters-%03d", i)
			s.writeAll(confexts+"/"+name, confextFiles(name))
		}
	}, late: wantNames(120)},
	{name: "two entries of one name", class: confext, more: func(s *stage) {
		for i := range 8 {
			name := fmt.Sprintf("two%d", i)
			s.writeAll(confexts+"/"+name, confextFiles(name))
			s.writeAll(confexts+"/"+name+".confext", confextFiles(name))
			s.writeRaw(confexts+"/"+name+".raw", confext, "erofs", name)
		}
	}, late: wantNames(8)},
	{name: "masked by an empty directory", class: confext, kinds: "directory erofs", in: "usr/lib/confexts", more: func(s *stage) {
		s.mkdir(confexts + "/masked")
		s.writeAll("usr/lib/confexts/masked", confextFiles("masked"))
	}},
	{name: "a newer one of the same name in /run", class: confext, kinds: "directory erofs", in: "run/confexts", more: func(s *stage) {
		s.writeAll(confexts+"/k00", confextFiles("k00"))
		s.writeRaw(confexts+"/k01.raw", confext, "squashfs", "k01")
	}},
	{name: "search directory is a link", class: confext, kinds: several, in: "data/images", more: func(s *stage) {
		s.check(os.Remove(s.at(confexts)))
		s.link("/data/images", confexts)
	}},
	{name: "/opt is a link", class: sysext, kinds: several, in: sysexts, more: func(s *stage) {
		s.check(os.RemoveAll(s.at("opt")))
		s.write("var/opt/base", "host\n")
		s.link("var/opt", "opt")
	}, full: true},
	{name: "/usr of 1970", class: sysext, kinds: several, in: sysexts, more: func(s *stage) {
		s.check(os.Chtimes(s.at("usr"), time.Time{}, time.Unix(0, 0)))
	}},
	{name: "no /opt", class: sysext, kinds: several, in: sysexts, more: func(s *stage) { s.check(os.RemoveAll(s.at("opt"))) }, full: true},
	{name: "odd times", class: confext, kinds: "directory erofs", in: confexts, more: func(s *stage) {
		for name, at := range map[string]time.Time{"a.raw": time.Unix(-5, 500), "b.raw": time.Unix(0, 1001), "c.raw": time.Unix(1<<33, 999_999_999)} {
			s.writeRaw(confexts+"/"+name, confext, "erofs", strings.TrimSuffix(name, ".raw"))
			s.check(os.Chtimes(s.at(confexts+"/"+name), at, at))
		}
		s.check(unix.Setxattr(s.at(confexts+"/a.raw"), "user.crtime_usec", []byte{1, 2, 3, 0, 0, 0, 0, 0}, 0))
	}},
}

var oddNames = []string{`a,b:c\d`, "with space", "ünicode", `"q"`, ".hidden", "<&>", "\u2028", "1+1", "x_1", "~", "Ä^"}

// mutable makes directories below /var/lib/extensions.mutable, or links: "etc" or "etc=/target".
func mutable(list string) func(s *stage) {
	return func(s *stage) {
		for _, word := range words(list) {
			name, target, isLink := strings.Cut(word, "=")
			if !isLink {
				s.mkdir("var/lib/extensions.mutable/" + name)
				s.write("var/lib/extensions.mutable/"+name+"/mutable", name+"\n")
				// Older than the /usr of the image.
				s.check(os.Chtimes(s.at("var/lib/extensions.mutable/"+name), time.Time{}, time.Unix(1e9, 0)))
				continue
			}
			s.link(target, "var/lib/extensions.mutable/"+name)
			if target != "/nowhere" {
				s.mkdir(strings.TrimPrefix(target, "/"))
			}
		}
	}
}

// wantNames makes sure that so many confexts are merged.
func wantNames(count int) func(w *world) {
	return func(w *world) {
		if names := w.names(confext); len(names) != count {
			w.Errorf("%d are merged, want %d: %q", len(names), count, names)
		}
	}
}
