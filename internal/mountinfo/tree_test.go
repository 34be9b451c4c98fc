package mountinfo

import (
	"strings"
	"testing"
)

// An initramfs with a root above it, a merged /etc with two overlays and mounts below each, and mounts that are covered.
const tree = `1 1 0:2 / / rw - rootfs rootfs rw
22 1 254:1 / / rw - ext4 /dev/vda1 rw
30 22 0:30 / /run rw - tmpfs tmpfs rw
40 22 0:40 / /etc/old rw - tmpfs covered rw
50 22 0:50 / /etc rw - overlay confext rw
51 50 0:50 /.systemd-confext /etc/.systemd-confext ro - overlay confext rw
52 50 0:52 / /etc/machine-id rw - tmpfs first rw
60 50 0:60 / /etc rw - overlay confext rw
61 60 0:61 / /etc/machine-id rw - tmpfs second rw
62 60 0:62 / /etc/a rw - tmpfs a rw
63 62 0:63 / /etc/a/b rw - tmpfs b rw
64 60 0:64 / /etc/a/c rw - tmpfs c rw
65 61 0:65 / /etc/machine-id rw - tmpfs third rw
66 22 0:66 / /etcetera rw - tmpfs x rw
`

func parsed(t *testing.T) []Mount {
	t.Helper()
	mounts, err := Parse(strings.NewReader(tree))
	if err != nil {
		t.Fatal(err)
	}
	return mounts
}

func TestAt(t *testing.T) {
	mounts := parsed(t)
	for path, want := range map[string]int{
		"/": 22, "/usr": 22, "/run": 30, "/run/x/y": 30, "/etc": 60, "/etc/x": 60, "/etc/machine-id": 65, "/etc/old": 60,
		"/etc/a/b/x": 63, "/etc/a/c": 62, "/etcetera/x": 66, "/etcet": 22,
	} {
		if m, found := At(mounts, path); !found || m.ID != want {
			t.Errorf("%s: %d, want %d", path, m.ID, want)
		}
	}
	if _, found := At(nil, "/"); found {
		t.Error("a root in an empty table")
	}
}

func TestBelow(t *testing.T) {
	mounts := parsed(t)
	for directory, want := range map[string]string{
		"/etc": "/etc/machine-id /etc/a", "/run": "", "/etc/a": "/etc/a/b", "/etcetera": "", "/usr": "",
	} {
		var got []string
		for _, m := range Below(mounts, directory) {
			got = append(got, m.Target)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", directory, got, want)
		}
	}
}

func FuzzBelow(f *testing.F) {
	f.Add(tree, "/etc")
	f.Fuzz(func(t *testing.T, text, directory string) {
		mounts, err := Parse(strings.NewReader(text))
		if err != nil || len(mounts) > 50 {
			return
		}
		for _, m := range Below(mounts, directory) {
			if !isBelow(m.Target, directory) {
				t.Errorf("%q is not below %q", m.Target, directory)
			}
		}
	})
}
