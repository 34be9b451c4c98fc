//go:build hostroot

package etcrules

import (
	"os"
	"testing"
)

// TestMutableLink: the link is made in a root without /var, and is left alone once there is anything of its name.
func TestMutableLink(t *testing.T) {
	settings := flatcarLike
	settings.MutableLink = "/var/lib/extensions.mutable/etc"
	for name, test := range map[string]struct {
		root tree
		want string
	}{
		"nothing there": {tree{}, "/etc"},
		"another link":  {tree{settings.MutableLink: {kind: 'l', content: "/var/lib/other"}}, "/var/lib/other"},
		"dangling":      {tree{settings.MutableLink: {kind: 'l', content: "/nowhere"}}, "/nowhere"},
		"directory":     {tree{settings.MutableLink: {kind: 'd'}}, ""},
		"file":          {tree{settings.MutableLink: {kind: 'f'}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			top := newRoot(t, scenario(someDefaults, test.root))
			runRules(t, top, settings, false)
			if got, _ := os.Readlink(top + settings.MutableLink); got != test.want {
				t.Errorf("it leads to %q, want %q", got, test.want)
			}
			if info, err := os.Stat(top + "/var/lib/extensions.mutable"); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("the directory: %v, %v", info, err)
			}
			if again := runRules(t, top, settings, false); len(again.Actions) != 0 {
				t.Errorf("a second run does\n%s", planText(again))
			}
		})
	}
}
