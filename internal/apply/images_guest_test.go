//go:build guest

package apply

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/plan"
)

// One bad image is left out with its reason; the others are merged, and nothing of it stays open.
func TestBadImagesAreLeftOut(t *testing.T) {
	files := confextFiles("bad")
	files["etc/large"] = strings.Repeat("enough for a tree with a level\n", 2000)
	b := image{files: files}.build(t)
	put := func(offset int, value ...byte) built {
		changed := b.Damage(b.HashStart)
		copy(changed.Data, b.Data)
		copy(changed.Data[b.HashStart+offset:], value)
		return changed
	}
	huge := binary.LittleEndian.AppendUint64(nil, 1<<60)
	for name, c := range map[string]struct {
		bad    built
		reason string
	}{
		"first data block":          {b.Damage(b.DataStart + 1030), "data block 0 does not match the hash tree"},
		"top hash block":            {b.Damage(b.HashStart + 4096 + 5), "top hash block does not match the root hash"},
		"no superblock":             {put(0, make([]byte, 8)...), "no verity superblock"},
		"absurd data block size":    {put(64, 3), "verity superblock: data block size"},
		"absurd number of blocks":   {put(72, huge...), "verity superblock: "},
		"more blocks than there":    {put(72, 0xff, 0xff), "verity data: 65535 blocks"},
		"no blocks":                 {put(72, make([]byte, 8)...), "verity superblock: "},
		"unknown algorithm":         {put(32, []byte("md17\x00")...), `verity hash algorithm "md17"`},
		"another algorithm":         {put(32, []byte("sha512\x00")...), ""},
		"salt of 64 KiB":            {put(80, 0xff, 0xff), "verity superblock: "},
		"no file system in it":      {image{files: nil}.buildOf(t, make([]byte, 64<<10)), "it holds no file system that can be mounted"},
		"truncated in the data":     {built{Data: b.Data[:b.DataStart+4096]}, ""},
		"truncated in the table":    {built{Data: b.Data[:1000]}, ""},
		"empty":                     {built{}, "neither a partition table nor a known file system"},
		"file system that is junk":  {built{Data: []byte("hsqs" + strings.Repeat("\x04\x00", 4096))}, "mount (squashfs)"},
		"directory entry is a file": {built{Data: []byte("x")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "tmpfs", func(w *world) {
				w.addDirectory("var/lib/confexts/dir", confextFiles("dir"))
				w.addImage("var/lib/confexts/good.raw", image{files: confextFiles("good")}.build(w.T))
				w.addImage("var/lib/confexts/bad.raw", c.bad)
			})
			before := imageDevices(t)
			m := w.merge(confext)
			reasons := rejected(m)
			if reason, left := reasons["bad"]; !left || !strings.Contains(reason, c.reason) || reason == "" {
				t.Errorf("%q, want %q", reasons, c.reason)
			}
			t.Logf("%q", reasons["bad"])
			if !slices.Equal(m.Names, []string{"dir", "good"}) || w.read("etc/both") != "good\n" {
				t.Errorf("%q", m.Names)
			}
			w.missing("etc/bad")
			w.noHelperMounts()
			w.unmerge(m)
			noNewDevices(t, before)
		})
	}
}

// Damage that lies deeper is met later: what is read then fails, and only that.
func TestDamageBehindTheFirstBlock(t *testing.T) {
	files := confextFiles("x")
	files["etc/large"] = strings.Repeat("some content that does not repeat exactly\n", 20000)
	b := image{files: files}.build(t)
	w := newWorld(t, "tmpfs", func(w *world) {
		w.addImage("var/lib/confexts/x.raw", b.Damage(b.DataStart+b.DataSize-8192))
	})
	m := w.merge(confext)
	if reasons := rejected(m); len(reasons) != 0 {
		t.Fatal(reasons)
	}
	if got := w.read("etc/x"); got != "x\n" {
		t.Errorf("%q", got)
	}
	if _, err := os.ReadFile(w.at("etc/large")); err == nil {
		t.Error("a damaged file was read")
	}
}

func TestTwoImagesOfOneRootHash(t *testing.T) {
	files := confextFiles("one")
	for name, text := range confextFiles("two") {
		files[name] = text
	}
	b := image{files: files}.build(t)
	w := newWorld(t, "tmpfs", func(w *world) {
		w.addImage("var/lib/confexts/one.raw", b)
		w.addImage("usr/lib/confexts/two.raw", b)
	})
	before := imageDevices(t)
	m := w.merge(confext)
	if !slices.Equal(m.Names, []string{"one", "two"}) {
		t.Errorf("%q, %q", m.Names, rejected(m))
	}
	mapped := 0
	for _, name := range imageDevices(t) {
		if strings.HasSuffix(name, "-verity") {
			mapped++
		}
	}
	// A device each: with the same directory in two layers there is no overlay.
	if mapped != 2 {
		t.Errorf("devices %q", imageDevices(t))
	}
	w.unmerge(m)
	noNewDevices(t, before)
}

func TestImageWithSHA512(t *testing.T) {
	w := newWorld(t, "tmpfs", func(w *world) {
		w.addImage("var/lib/confexts/x.raw", image{files: confextFiles("x"), algorithm: "sha512", signed: true}.build(t))
	})
	before := imageDevices(t)
	m := w.merge(confext)
	if reasons := rejected(m); len(reasons) != 0 || w.read("etc/x") != "x\n" {
		t.Errorf("%q", reasons)
	}
	w.unmerge(m)
	noNewDevices(t, before)
}

func TestForbiddenContent(t *testing.T) {
	with := func(files map[string]string) map[string]string {
		files["usr/lib/os-release"] = "ID=debian\n"
		return files
	}
	w := newWorld(t, "tmpfs", func(w *world) {
		w.addDirectory("var/lib/confexts/dir", with(confextFiles("dir")))
		w.addFileSystem("var/lib/confexts/raw.raw", "erofs", with(confextFiles("raw")))
		w.addDirectory("var/lib/extensions/dir", with(sysextFiles("dir")))
	})
	m := w.merge(confext)
	if !slices.Equal(m.Names, []string{"dir"}) || !strings.Contains(rejected(m)["raw"], "usr/lib/os-release") {
		t.Errorf("%q, %q", m.Names, rejected(m))
	}
	if m := w.merge(sysext); len(m.Names) != 0 || !strings.Contains(rejected(m)["dir"], "usr/lib/os-release") {
		t.Errorf("%q, %q", m.Names, rejected(m))
	}
}

// Layers are read-only views: not even a writable merge can change an extension.
func TestDirectoriesAreOpenedReadOnly(t *testing.T) {
	w := newWorld(t, "tmpfs", func(w *world) {
		w.addDirectory("var/lib/confexts/x", confextFiles("x"))
		w.check(os.Mkdir(w.at("var/lib/confexts/x/below"), 0o755))
	})
	if err := unix.Mount("tmpfs", w.at("var/lib/confexts/x/below"), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(w.at("var/lib/confexts/x/below"), unix.MNT_DETACH)
	w.write("var/lib/confexts/x/below/mounted", "x")
	ws := w.openWorkspace()
	images, err := extension.Discover(w.root, extension.Search{Class: confext})
	if err != nil || len(images) != 1 {
		t.Fatalf("%+v, %v", images, err)
	}
	at, err := ws.Open(images[0])
	w.check(err)
	w.check(ws.space.Do(func() error {
		if err := os.WriteFile(at+"/etc/x", nil, 0o644); err == nil {
			t.Error("written")
		}
		if _, err := os.Stat(at + "/below/mounted"); err == nil {
			t.Error("a mount below the extension is in its layer")
		}
		if _, err := os.Stat(at + "/etc/both"); err != nil {
			t.Error(err)
		}
		return nil
	}))
	if _, err := os.Stat(at); err == nil {
		t.Error("the workspace is seen outside")
	}
	w.check(ws.Close())
	w.write("var/lib/confexts/x/etc/x", "changed")
}

// A sysext can put another file where a confext lies: what is opened then must be that one.
func TestImageThatChangesBetweenTwoRounds(t *testing.T) {
	const at = "usr/lib/confexts/"
	newer := func(name string) map[string]string {
		files := confextFiles(name)
		files["etc/"+name] = "newer\n"
		return files
	}
	w := newWorld(t, "tmpfs", func(w *world) {
		w.addImage(at+"ddi.raw", image{files: confextFiles("ddi")}.build(t))
		w.addImage(at+"same.raw", image{files: confextFiles("same")}.build(t))
		w.addFileSystem(at+"bare.raw", "erofs", confextFiles("bare"))
		w.addDirectory(at+"dir", confextFiles("dir"))
		sx := "var/lib/extensions/sx/"
		w.addDirectory(sx, sysextFiles("sx"))
		w.addImage(sx+at+"ddi.raw", image{files: newer("ddi")}.build(t))
		w.addFileSystem(sx+at+"bare.raw", "erofs", newer("bare"))
		w.addDirectory(sx+at+"dir", newer("dir"))
	})
	ws := w.openWorkspace()
	first := w.observe(ws, confext)
	sysexts, err := plan.PlanMerge(w.observe(ws, sysext))
	w.check(err)
	w.check(ws.Merge(sysexts))
	w.unmergeLater(sysexts)
	second := w.observe(ws, confext)
	for i, c := range first.Candidates {
		same := c.Content["/etc"] == second.Candidates[i].Content["/etc"]
		if c.Name != second.Candidates[i].Name || same != (c.Name == "same") {
			t.Errorf("%s: %q, then %q", c.Name, c.Content, second.Candidates[i].Content)
		}
	}
	m, err := plan.PlanMerge(second)
	w.check(err)
	w.check(ws.Merge(m))
	w.unmergeLater(m)
	w.check(ws.Close())
	if got := w.read("etc/ddi") + w.read("etc/bare") + w.read("etc/dir") + w.read("etc/same"); got != "newer\nnewer\nnewer\nsame\n" {
		t.Errorf("%q, %q", got, rejected(m))
	}
}
