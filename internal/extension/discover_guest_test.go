//go:build guest

package extension

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// erofsImage is what the probe takes for an erofs image: magic and block size at their places.
var erofsImage = strings.Repeat("\x00", 1024) + "\xe2\xe1\xf5\xe0" + strings.Repeat("\x00", 8) + "\x0c" + strings.Repeat("\x00", 8192)

// list gives what was found, one line an image.
func list(images []Image) string {
	var lines []string
	for _, i := range images {
		lines = append(lines, fmt.Sprintf("%s %s %s", i.Name, i.Type, i.Path))
	}
	return strings.Join(lines, "\n")
}

func discover(t *testing.T, root *rootdir.Root, class osrelease.Class) []Image {
	t.Helper()
	images, err := Discover(root, class)
	if err != nil {
		t.Error(err)
	}
	for _, i := range images {
		if i.Class != class {
			t.Errorf("%s is a %s", i.Name, i.Class)
		}
	}
	return images
}

func problemOf(t *testing.T, images []Image, name string) string {
	t.Helper()
	for _, i := range images {
		if i.Name == name {
			return i.Problem
		}
	}
	t.Errorf("%s was not found", name)
	return ""
}

func TestDiscoverNamesAndTypes(t *testing.T) {
	const at = "var/lib/confexts/"
	root := newTree(t, map[string]string{
		at + "dir/":                  "",
		at + "suffixed.confext/":     "",
		at + "other.sysext/":         "",
		at + "rawdir.raw/":           "",
		at + ".hid/":                 "",
		at + "a b,c:d\\e/":           "",
		at + "plain.raw":             erofsImage,
		at + "full.confext.raw":      erofsImage,
		at + "alien.sysext.raw":      erofsImage,
		at + "ddi_1.raw":             erofsImage,
		at + "noraw":                 erofsImage,
		at + "upper.RAW":             erofsImage,
		at + ".raw":                  erofsImage,
		at + ".confext.raw":          erofsImage,
		at + ".sysupdate.x.raw":      erofsImage,
		at + ".sysupdate.dir/":       "",
		at + ".#locked/":             "",
		at + "new\nline/":            "",
		at + "bad\xff/":              "",
		at + "todir -> /data/d":      "",
		at + "toraw.raw -> /data/i":  "",
		at + "linked -> /data/i.raw": "",
		at + "dangling -> /nowhere":  "",
		at + "dev.raw -> /dev/null":  "",
		"data/d/":                    "",
		"data/i":                     erofsImage,
		"data/i.raw":                 erofsImage,
	})
	if err := os.Mkdir(host(root, "/dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	// A character device is none, by link or by itself; neither is a pipe.
	for name, mode := range map[string]uint32{"/dev/null": unix.S_IFCHR, "/" + at + "char": unix.S_IFCHR, "/" + at + "pipe.raw": unix.S_IFIFO} {
		if err := unix.Mknod(host(root, name), mode|0o600, int(unix.Mkdev(1, 3))); err != nil {
			t.Fatal(err)
		}
	}
	images := discover(t, root, osrelease.ClassConfext)
	want := strings.Join([]string{
		".hid directory /" + at + ".hid",
		"a b,c:d\\e directory /" + at + "a b,c:d\\e",
		"alien.sysext raw /" + at + "alien.sysext.raw",
		"ddi_1 raw /" + at + "ddi_1.raw",
		"dir directory /" + at + "dir",
		"full raw /" + at + "full.confext.raw",
		"other.sysext directory /" + at + "other.sysext",
		"plain raw /" + at + "plain.raw",
		"rawdir.raw directory /" + at + "rawdir.raw",
		"suffixed directory /" + at + "suffixed.confext",
		"todir directory /data/d",
		"toraw raw /data/i",
	}, "\n")
	if got := list(images); got != want {
		t.Errorf("found\n%s\nwant\n%s", got, want)
	}
	for _, i := range images {
		if i.Problem != "" {
			t.Errorf("%s: %s", i.Name, i.Problem)
		}
		if (i.Dissected != nil) != (i.Type == Raw) || i.MountID < 1<<31 {
			t.Errorf("%+v", i)
		}
	}
}

func TestDiscoverOrderOfDirectories(t *testing.T) {
	for class, directories := range map[osrelease.Class][]string{
		osrelease.ClassConfext: {"run/confexts/", "var/lib/confexts/", "usr/local/lib/confexts/", "usr/lib/confexts/"},
		osrelease.ClassSysext:  {"etc/extensions/", "run/extensions/", "var/lib/extensions/"},
	} {
		entries := map[string]string{"etc/confexts/never/": "", "usr/lib/extensions/never/": "", ".extra/confext/never/": ""}
		var want []string
		for i, directory := range directories {
			// Every later directory has all names of the earlier ones, and one more.
			for j := range i + 1 {
				name := fmt.Sprintf("image%d", j)
				if (i+j)%2 == 0 {
					entries[directory+name+"/"] = ""
				} else {
					entries[directory+name+"."+string(class)+".raw"] = erofsImage
				}
			}
			want = append(want, fmt.Sprintf("image%d directory /%simage%d", i, directory, i))
		}
		if got := list(discover(t, newTree(t, entries), class)); got != strings.Join(want, "\n") {
			t.Errorf("%s: found\n%s\nwant\n%s", class, got, strings.Join(want, "\n"))
		}
	}
}

// An empty directory hides an image: it is found, and has no release file later.
func TestDiscoverMask(t *testing.T) {
	root := newTree(t, map[string]string{"run/confexts/x/": "", "usr/lib/confexts/x.raw": erofsImage})
	if got := list(discover(t, root, osrelease.ClassConfext)); got != "x directory /run/confexts/x" {
		t.Error(got)
	}
}

func TestDiscoverDirectoriesThatAreLinks(t *testing.T) {
	root := newTree(t, map[string]string{
		"var/lib/confexts -> /data/../../../data/c": "", "data/c/in/": "", "run/confexts -> /nowhere": "",
	})
	if got := list(discover(t, root, osrelease.ClassConfext)); got != "in directory /data/c/in" {
		t.Error(got)
	}
}

func TestDiscoverGoesOnWithoutADirectory(t *testing.T) {
	for name, entries := range map[string]map[string]string{
		"a file":     {"run/confexts": "x"},
		"below one":  {"run": "x"},
		"link loop":  {"run/confexts -> confexts": ""},
		"long chain": {"run -> run": ""},
	} {
		entries["usr/lib/confexts/good/"] = ""
		images, err := Discover(newTree(t, entries), osrelease.ClassConfext)
		if err == nil || !strings.HasPrefix(err.Error(), "look for confexts: ") {
			t.Errorf("%s: %v", name, err)
		}
		if got := list(images); got != "good directory /usr/lib/confexts/good" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestDiscoverProblems(t *testing.T) {
	const at = "var/lib/confexts/"
	root := newTree(t, map[string]string{
		at + "loop.raw -> loop.raw":          "",
		at + "through.confext -> file/x":     "",
		at + "file":                          "x",
		at + "empty.raw":                     "",
		at + "junk.raw":                      strings.Repeat("junk", 4096),
		at + "sidecar.raw":                   erofsImage,
		at + "sidecar.roothash":              "00",
		at + "tree.raw":                      erofsImage,
		at + "tree.verity":                   "",
		at + "linkedside.raw -> /data/x.raw": "",
		"data/x.raw":                         erofsImage,
		"data/x.usrhash":                     "00",
		at + "attribute.raw":                 erofsImage,
		at + "v.v/":                          "",
		at + "w.confext.raw.v/":              "",
		at + "m.mstack/":                     "",
		at + "n.confext.mstack.v/":           "",
		at + "odd -> /data/\xff":             "",
		"data/\xff/":                         "",
		"usr/lib/confexts/loop/":             "",
		"usr/lib/confexts/good/":             "",
	})
	if err := unix.Setxattr(host(root, "/"+at+"attribute.raw"), "user.verity.roothash", []byte("00"), 0); err != nil {
		t.Fatal(err)
	}
	images := discover(t, root, osrelease.ClassConfext)
	for name, want := range map[string]string{
		"good": "", "loop": "too many levels of symbolic links", "through": "not a directory",
		"empty": "neither a partition table nor", "junk": "neither a partition table nor",
		"sidecar": "sidecar.roothash", "tree": "tree.verity", "linkedside": "x.usrhash",
		"attribute": "user.verity.roothash", "v": "(.v)", "w": "(.v)", "m": "(.mstack)", "n": "(.v)", "odd": "not UTF-8",
	} {
		if got := problemOf(t, images, name); got == "" && want != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(images) != 14 {
		t.Errorf("found\n%s", list(images))
	}
}

// A block device is an image by its whole name.
func TestDiscoverBlockDevice(t *testing.T) {
	root := newTree(t, map[string]string{"run/confexts/": ""})
	if err := unix.Mknod(host(root, "/run/confexts/disk.raw"), unix.S_IFBLK|0o600, int(unix.Mkdev(240, 200))); err != nil {
		t.Fatal(err)
	}
	images := discover(t, root, osrelease.ClassConfext)
	if problem := problemOf(t, images, "disk.raw"); !strings.Contains(problem, "block devices") {
		t.Error(problem)
	}
}

// The tree may be anywhere: nothing outside of it is looked at, and paths are those inside.
func TestDiscoverStaysInside(t *testing.T) {
	outside := t.TempDir()
	if err := os.Mkdir(outside+"/secret", 0o755); err != nil {
		t.Fatal(err)
	}
	root := newTree(t, map[string]string{
		"run/confexts/abs -> " + outside + "/secret":                                "",
		"run/confexts/up -> ../../../../../../../../../../.." + outside + "/secret": "",
		"run/confexts/proc -> /proc/self/root":                                      "",
	})
	if got := list(discover(t, root, osrelease.ClassConfext)); got != "" {
		t.Error(got)
	}
}
