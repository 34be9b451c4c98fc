//go:build guest

package extension

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/imagepolicy"
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
	images, err := Discover(root, Search{Class: class})
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
		images, err := Discover(newTree(t, entries), Search{Class: osrelease.ClassConfext})
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
		"sidecar": "sidecar.roothash", "tree": "", "linkedside": "x.usrhash",
		"attribute": "user.verity.roothash", "m": "(.mstack)", "odd": "not UTF-8",
	} {
		if got := problemOf(t, images, name); got == "" && want != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(images) != 11 {
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
	if len(images) != 1 || images[0].Type != Block || images[0].Path != "/run/confexts/disk.raw" {
		t.Errorf("%+v", images)
	}
	if problem := problemOf(t, images, "disk.raw"); problem == "" {
		t.Error("a device that is not there can be opened")
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

// The cases are those of a real run of systemd 262.
func TestDiscoverVersions(t *testing.T) {
	foreign := "arm64"
	native := osrelease.Architecture(runtime.GOARCH)
	if native == foreign {
		foreign = "x86-64"
	}
	for want, entries := range map[string]string{
		"m.v/m_2_" + native:               "m_1/ m_2/ m_2_" + native + "/ m_3_" + foreign + "/",
		"m.v/m_1+1-0":                     "m_1+1-0/ m_2+0-3/",
		"m.v/m_1_" + native:               "m_1_" + native + "/ m_" + native + "/ m/ other_9/",
		"m.v/m_1.confext":                 "m_1.confext/ m_1/",
		"m.confext.v/m_1.confext":         "m_1.confext/ m_2/",
		"m.v/m_2~rc1":                     "m_1/ m_2~rc1/ m_3 m_4.raw",
		"m.raw.v/m_10.raw":                "m_9.raw m_10.raw m_11.raw/ m_12",
		"m.confext.raw.v/m_1.confext.raw": "m_1.confext.raw m_2.raw",
		"":                                "m/ n_1/ m_/ m_a+b/ m_3_" + foreign + "/",
		"m.v/m_5_unheardof":               "m_5_unheardof/ m_4/",
		"m.v/m_1+3":                       "m_1+3/ m_1+2-1/ m_1+2/",
	} {
		directory, _, _ := strings.Cut(want, "/")
		if directory == "" {
			directory = "m.v"
		}
		tree := map[string]string{}
		for entry := range strings.FieldsSeq(entries) {
			tree["var/lib/confexts/"+directory+"/"+entry] = erofsImage
		}
		images := discover(t, newTree(t, tree), osrelease.ClassConfext)
		switch {
		case want == "" && len(images) != 0:
			t.Errorf("%s: found %+v", entries, images)
		case want != "" && (len(images) != 1 || images[0].Name != "m" || images[0].Path != "/var/lib/confexts/"+want || images[0].Problem != ""):
			t.Errorf("%s: want %s, found %+v", entries, want, images)
		}
	}
}

// What lies beside an image: attributes before files, roothash before usrhash.
func TestReadSidecar(t *testing.T) {
	const at = "/var/lib/confexts/x.raw"
	hash := func(c string) string { return strings.Repeat(c, 64) }
	for name, c := range map[string]struct {
		files      map[string]string
		attributes map[string]string
		want       string
	}{
		"nothing":      {nil, nil, "none"},
		"a file":       {map[string]string{"x.roothash": hash("ab") + "\n"}, nil, hash("ab") + " usr=false sig= tree="},
		"all files":    {map[string]string{"x.roothash": hash("ab"), "x.roothash.p7s": "DER", "x.verity": "tree"}, nil, hash("ab") + " usr=false sig=DER tree=/var/lib/confexts/x.verity"},
		"an attribute": {map[string]string{"x.roothash": hash("cd")}, map[string]string{"user.verity.roothash": hash("ab")}, hash("ab") + " usr=false sig= tree="},
		"usr":          {map[string]string{"x.usrhash": hash("ab"), "x.usrhash.p7s": "DER"}, nil, hash("ab") + " usr=true sig=DER tree="},
		"root first":   {map[string]string{"x.usrhash": hash("ab"), "x.roothash": hash("cd")}, nil, hash("cd") + " usr=false sig= tree="},
		"tree only":    {map[string]string{"x.verity": "tree"}, nil, " usr=false sig= tree=/var/lib/confexts/x.verity"},
		"too short":    {map[string]string{"x.roothash": "abcd"}, nil, "the root hash in the file x.roothash is not 16 to 64 bytes in hex"},
		"no hex":       {nil, map[string]string{"user.verity.roothash": "zz"}, "the root hash in the attribute user.verity.roothash is not"},
		"empty p7s":    {map[string]string{"x.roothash": hash("ab"), "x.roothash.p7s": ""}, nil, "the signature /var/lib/confexts/x.roothash.p7s is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := map[string]string{at[1:]: erofsImage}
			for file, text := range c.files {
				tree["var/lib/confexts/"+file] = text
			}
			root := newTree(t, tree)
			for attribute, text := range c.attributes {
				if err := unix.Setxattr(host(root, at), attribute, []byte(text), 0); err != nil {
					t.Fatal(err)
				}
			}
			s, err := ReadSidecar(root, at)
			got := "none"
			if err != nil {
				got = err.Error()
			} else if s != nil {
				got = fmt.Sprintf("%x usr=%v sig=%s tree=%s", s.RootHash, s.Usr, s.Signature, s.Tree)
			}
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// The policy decides what of an image is used.
func TestImagePolicy(t *testing.T) {
	root := newTree(t, map[string]string{"var/lib/confexts/x.raw": erofsImage})
	for text, want := range map[string]string{
		"root=signed+absent":        "it does not match the image policy: its root partition is unprotected, allowed is signed+absent",
		"root=verity":               "it does not match the image policy: its root partition is unprotected, allowed is verity",
		"~":                         "it does not match the image policy: its root partition is there, allowed is absent",
		"-":                         "the image policy ignores its root partition",
		"*":                         "",
		"root=unprotected":          "",
		"root=unprotected+ext4":     "",
		"usr=unprotected":           "the image policy ignores its root partition",
		"=unprotected":              "",
		"root=read-only-on":         "it does not match the image policy: its root partition lacks the attribute read-only, allowed is open+read-only-on",
		"root=verity+signed:usr=~~": "it does not match",
	} {
		policy, _ := imagepolicy.ParseGraceful(text)
		images, err := Discover(root, Search{Class: osrelease.ClassConfext, Policy: &policy})
		if err != nil || len(images) != 1 || !strings.HasPrefix(images[0].Problem, want) || (want == "") != (images[0].Problem == "") {
			t.Errorf("%s: %q, %v", text, images[0].Problem, err)
		}
	}
}
