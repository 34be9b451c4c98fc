//go:build hostroot

package etcrules

import (
	"os"
	"testing"
)

// TestSeveralNames: overlayfs makes one file of all whiteouts, and users link files. Each name is judged by itself, in one run.
func TestSeveralNames(t *testing.T) {
	user := entry{kind: 'f', mode: 0o644, content: "user"}
	top := newRoot(t, scenario(someDefaults, tree{
		"/etc/resolv.conf": {kind: 'w'}, "/etc/link": {kind: 'd'}, "/etc/hosts": someDefaults["/etc/hosts"],
		"/selective-os-reset": {kind: 'f', content: "/etc(/.*)?|/home/(me|you)/keep\n"}, "/home/me/keep": user, "/home/me/a": user, "/home/you/keep": user,
	}))
	for from, to := range map[string]string{"/etc/resolv.conf": "/etc/link/resolv.conf", "/home/me/a": "/home/you/b", "/home/you/keep": "/home/you/c"} {
		if err := os.Link(top+from, top+to); err != nil {
			t.Fatal(err)
		}
	}
	done := runRules(t, top, flatcarLike, false)
	after := snapshot(t, top)
	for _, p := range []string{"/etc/resolv.conf", "/etc/link/resolv.conf", "/home/me/a", "/home/you/b", "/home/you/c"} {
		if after[p] != "" {
			t.Errorf("%s is still there: %s", p, after[p])
		}
	}
	for _, p := range []string{"/home/me/keep", "/home/you/keep"} {
		if after[p] == "" {
			t.Errorf("%s is gone", p)
		}
	}
	for _, a := range done.Actions {
		if a.Error != "" {
			t.Error(a)
		}
	}
}
