package sysextselection

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/plan"
)

// tree has the text of files by their paths; those in odd are no regular files.
type tree map[string]string

const odd = "odd"

func (t tree) look(at string, read bool) ([]byte, bool, error) {
	text, found := t[at]
	switch {
	case text == odd:
		return nil, false, errors.New(at + " is odd")
	case !found || !read:
		return nil, found, nil
	}
	return []byte(text), true, nil
}

func flatcar(t *testing.T) *plan.SysextSelection {
	t.Helper()
	settings, err := plan.ParseSettings([]byte("[SysExtSelection]\nPreset=flatcar\n"))
	if err != nil {
		t.Fatal(err)
	}
	return &settings.Selection
}

func TestSelect(t *testing.T) {
	const (
		oem, image, copied = "/oem/oem-release", "/oem/sysext/oem-azure-4593.1.0.raw", "/etc/flatcar/oem-sysext/oem-azure-4593.1.0.raw"
		active, migrate    = "/oem/sysext/active-oem-azure", "/oem/sysext/migrate-oem-azure"
		link               = "/etc/extensions/oem-azure.raw"
		etc, usr           = "/etc/flatcar/enabled-sysext.conf", "/usr/share/flatcar/enabled-sysext.conf"
		zfs, podman        = "/etc/flatcar/sysext/flatcar-zfs-4593.1.0.raw", "/etc/flatcar/sysext/flatcar-podman-4593.1.0.raw"
	)
	for name, c := range map[string]struct {
		files tree
		// release is in the place of the usual os-release.
		release         string
		links           []string
		needs, problems []string
	}{
		"nothing":                      {},
		"no OEM":                       {files: tree{active: "", image: ""}},
		"no ID":                        {files: tree{oem: "NAME=x\n", "/oem/sysext/active-oem-": "", "/oem/sysext/oem--4593.1.0.raw": ""}},
		"not active":                   {files: tree{oem: "ID=azure\n", image: "", copied: ""}},
		"not active, to be migrated":   {files: tree{oem: "ID=azure\n", image: "", migrate: ""}},
		"of another OEM":               {files: tree{oem: "ID=ami\n", active: "", image: ""}},
		"on OEM":                       {files: tree{oem: "ID=azure\n", active: "", image: ""}, links: []string{link + " " + image}},
		"on both":                      {files: tree{oem: "ID=\"azure\"\n", active: "", image: "", copied: ""}, links: []string{link + " " + image}},
		"on the root":                  {files: tree{oem: "ID=azure\n", active: "", copied: ""}, links: []string{link + " " + copied}},
		"missing":                      {files: tree{oem: "ID=azure\n", active: ""}, needs: []string{"oem-azure is missing and must be downloaded: there is no " + image + " " + copied}},
		"only that of another version": {files: tree{oem: "ID=azure\n", active: "", image: "", copied: ""}, release: "VERSION=2\n", needs: []string{"oem-azure-2.raw"}},
		"to be migrated": {files: tree{oem: "ID=azure\n", active: "", image: "", migrate: ""}, links: []string{link + " " + image},
			needs: []string{migrate + " asks to delete"}},
		"ID with a slash":                   {files: tree{oem: "ID=../azure\n", "/oem/sysext/active-oem-../azure": ""}, problems: []string{`ID="../azure"`}},
		"ID of dots":                        {files: tree{oem: "ID=..\n", "/oem/sysext/active-oem-..": ""}, problems: []string{`ID=".."`}},
		"ID with a new line":                {files: tree{oem: "ID=\"a\nb\"\n", "/oem/sysext/active-oem-a\nb": ""}, problems: []string{`ID="a\nb"`}},
		"a long ID":                         {files: tree{oem: "ID=" + strings.Repeat("x", 101) + "\n"}, problems: []string{"names no file"}},
		"release file is odd":               {files: tree{oem: odd}, problems: []string{oem + " is odd"}},
		"flag is odd":                       {files: tree{oem: "ID=azure\n", active: odd, image: ""}, problems: []string{active + " is odd"}},
		"image is odd":                      {files: tree{oem: "ID=azure\n", active: "", image: odd}, problems: []string{image + " is odd"}},
		"copy is odd":                       {files: tree{oem: "ID=azure\n", active: "", copied: odd}, problems: []string{copied + " is odd"}},
		"version with a slash":              {files: tree{oem: "ID=azure\n", active: ""}, release: "VERSION=../1\n", problems: []string{`VERSION="../1"`}},
		"no version":                        {files: tree{oem: "ID=azure\n", active: ""}, release: "VERSION_ID=1\n", problems: []string{`VERSION=""`}},
		"no version, and none is asked for": {release: "ID=x\n"},
		"version is odd":                    {files: tree{etc: "zfs\n"}, release: odd, problems: []string{"os-release is odd", `VERSION=""`}},
		"a nightly version": {files: tree{etc: "zfs\n", "/etc/flatcar/sysext/flatcar-zfs-9999.0.0+nightly-1.raw": ""}, release: "VERSION=9999.0.0+nightly-1\nVERSION_ID=9999.0.0\n",
			links: []string{"/etc/extensions/flatcar-zfs.raw /etc/flatcar/sysext/flatcar-zfs-9999.0.0+nightly-1.raw"}},

		"enabled": {files: tree{etc: "# mine\nzfs # and why\n\n", zfs: ""}, links: []string{"/etc/extensions/flatcar-zfs.raw " + zfs}},
		"enabled twice, one by /usr": {files: tree{etc: "zfs zfs", usr: "podman\nzfs\n", zfs: "", podman: ""},
			links: []string{"/etc/extensions/flatcar-podman.raw " + podman, "/etc/extensions/flatcar-zfs.raw " + zfs}},
		"disabled":          {files: tree{etc: "-zfs\npodman", usr: "zfs\n", zfs: "", podman: ""}, links: []string{"/etc/extensions/flatcar-podman.raw " + podman}},
		"enabled, missing":  {files: tree{etc: "zfs\n"}, needs: []string{"flatcar-zfs is missing and must be downloaded: there is no " + zfs}},
		"enabled, bad name": {files: tree{etc: "../x\nzfs\n", zfs: ""}, links: []string{"/etc/extensions/flatcar-zfs.raw " + zfs}, problems: []string{`"../x" is no name`}},
		"names are odd":     {files: tree{etc: odd, usr: "zfs\n", zfs: ""}, links: []string{"/etc/extensions/flatcar-zfs.raw " + zfs}, problems: []string{etc + " is odd"}},
		"one of two is odd": {files: tree{etc: "zfs\npodman\n", zfs: odd}, needs: []string{"flatcar-podman is missing"}, problems: []string{zfs + " is odd"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.files == nil {
				c.files = tree{}
			}
			c.files[usrRelease] = "VERSION=4593.1.0\nVERSION_ID=4593.1.0\n"
			if c.release != "" {
				c.files[usrRelease] = c.release
			}
			got := Select(flatcar(t), c.files.look)
			var links []string
			for _, link := range got.Links {
				links = append(links, link.At+" "+link.Target)
			}
			if !slices.Equal(links, c.links) {
				t.Errorf("links %q, want %q", links, c.links)
			}
			wantTexts(t, "needs", got.Needs, c.needs)
			wantTexts(t, "problems", got.Problems, c.problems)
		})
	}
}

func wantTexts(t *testing.T, what string, got, parts []string) {
	t.Helper()
	if len(got) != len(parts) {
		t.Errorf("%s %q, want %q", what, got, parts)
		return
	}
	for i, part := range parts {
		if !strings.Contains(got[i], part) {
			t.Errorf("%s %q, want %q", what, got, parts)
		}
	}
}

func TestSelectWithoutCopies(t *testing.T) {
	settings := flatcar(t)
	settings.Copies = ""
	got := Select(settings, tree{usrRelease: "VERSION=1\n", "/oem/oem-release": "ID=x\n", "/oem/sysext/active-oem-x": "", "/oem-x-1.raw": ""}.look)
	wantTexts(t, "needs", got.Needs, []string{"there is no /oem/sysext/oem-x-1.raw"})
	if len(got.Links) != 0 {
		t.Errorf("%+v", got.Links)
	}
}

func TestNamesAreBounded(t *testing.T) {
	var text strings.Builder
	for i := range maxNames + 1 {
		fmt.Fprintf(&text, "name%d\n", i)
	}
	got := Select(flatcar(t), tree{usrRelease: "VERSION=1\n", "/etc/flatcar/enabled-sysext.conf": text.String()}.look)
	wantTexts(t, "problems", got.Problems, []string{`"name500" is no name of a sysext, or one too many`})
	if len(got.Needs) != maxNames {
		t.Errorf("%d are wanted", len(got.Needs))
	}
}

// FuzzSelect has hostile names: whatever they are, no path leads out of the directories that are set.
func FuzzSelect(f *testing.F) {
	f.Add("ID=azure\n", "VERSION=1.2\n", "zfs\n")
	f.Add("ID=../../x\n", "VERSION=/\n", "..\n-a")
	f.Fuzz(func(t *testing.T, oem, release, enabled string) {
		settings := plan.SysextSelection{OEM: "/oem", Copies: "/copies", Enabled: []string{"/enabled"}, Images: "/images", Prefix: "p-"}
		texts := tree{"/oem/oem-release": oem, usrRelease: release, "/enabled": enabled}
		// Every file is there.
		view := func(at string, read bool) ([]byte, bool, error) { return []byte(texts[at]), true, nil }
		for _, link := range Select(&settings, view).Links {
			name, isIn := strings.CutPrefix(link.At, linksIn)
			directory, file := path.Split(link.Target)
			if !isIn || name == "" || name[0] == '.' || strings.Contains(name, "/") || file[0] == '.' || strings.ContainsAny(link.At+link.Target, "\x00\n ") ||
				directory != "/oem/sysext/" && directory != "/images/" {
				t.Errorf("%+v", link)
			}
		}
	})
}
