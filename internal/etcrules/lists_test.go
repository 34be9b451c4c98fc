package etcrules

import (
	"path"
	"slices"
	"strings"
	"testing"
)

func TestParsePaths(t *testing.T) {
	paths, bad := parsePaths("/etc/a\n\n/etc/b c\n/var/x\nrelative\n/etc/../x\n/etc/x/\n/etc//y\n/etc\n/etc/last")
	if want := []string{"/etc/a", "/etc/b c", "/etc/last"}; !slices.Equal(paths, want) || bad != 6 {
		t.Errorf("%q, %d bad", paths, bad)
	}
}

func TestThawListIsReadBack(t *testing.T) {
	want := []string{"/etc/a", "/etc/new\nline", "/etc/quote\"", "/etc/\xff"}
	got, err := ParseThawList(FormatThawList(want))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"/etc/a\n", "\"/usr/a\"\n", "\"/etc/../a\"\n", "\"/etc/a\n", "`/etc/a`\n", "\n", strings.Repeat("\"/etc/a\"\n", maxThaw+1)} {
		if got, err := ParseThawList(bad); err == nil {
			t.Errorf("%.40q: %q", bad, got)
		}
	}
}

func FuzzLists(f *testing.F) {
	f.Add("/etc/a\n\n/etc/../b\n/etc/x/\n")
	f.Add("\"/etc/a\"\n\"/etc/\\n\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		paths, _ := parsePaths(text)
		thaw, err := ParseThawList(text)
		for _, p := range append(paths, thaw...) {
			if path.Clean(p) != p || !strings.HasPrefix(p, "/etc/") || strings.Contains(p, "\x00") {
				t.Errorf("path %q", p)
			}
		}
		if err == nil {
			if again, err := ParseThawList(FormatThawList(thaw)); err != nil || !slices.Equal(again, thaw) {
				t.Errorf("%q is read back as %q, %v", thaw, again, err)
			}
		}
	})
}
