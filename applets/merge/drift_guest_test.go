//go:build guest

package merge

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/etcrules"
)

// TestDrift changes a live hierarchy in all the ways that have a word.
func TestDrift(t *testing.T) {
	w := newWorld(t)
	const mutable = "/var/lib/extensions.mutable/srv.etc"
	w.check(os.MkdirAll("/var/lib/extensions.mutable", 0o755))
	w.check(os.RemoveAll(mutable))
	w.check(os.Symlink("/srv/etc", mutable))
	t.Cleanup(func() { _ = os.Remove(mutable) })
	if output, err := w.try("drift"); err == nil || !strings.Contains(output, "nothing can drift") {
		t.Errorf("without confexts: %v, %s", err, output)
	}
	w.add("one", "changed", "older", "touched", "gone", "new\nline", "sub/a", "sub/b", "opaque/a", "dir/a")
	w.check(os.Chmod("/var/lib/confexts/one/srv/etc", 0o755))
	w.ours("merge", "--mutable=auto")
	w.write("/srv/etc/changed", "mine")
	w.write("/srv/etc/older", "mine")
	old := time.Unix(1000, 0)
	w.check(os.Chtimes("/srv/etc/older", old, old))
	w.check(os.Chtimes("/srv/etc/touched", old, old))
	w.check(os.Chtimes("/srv/etc/new\nline", old, old))
	w.check(os.Remove("/srv/etc/gone"))
	w.write("/srv/etc/added", "mine")
	w.check(os.Remove("/srv/etc/sub/a"))
	w.check(os.RemoveAll("/srv/etc/opaque"))
	w.check(os.Mkdir("/srv/etc/opaque", 0o755))
	w.check(os.Chmod("/srv/etc/dir", 0o700))

	text := w.ours("drift", "--mutable=auto", "--no-legend")
	states := map[string]string{}
	for line := range strings.Lines(text) {
		for word, state := range map[string]string{"/srv/etc/": ""} {
			if at := strings.Index(line, word); at >= 0 {
				state = strings.TrimSpace(line[:at])
				states[strings.Fields(line[at:])[0]] = state
			}
		}
	}
	for path, want := range map[string]string{
		"/srv/etc/changed": "changed file", "/srv/etc/older": "hides a newer default file", "/srv/etc/touched": "same as default (frozen) file",
		"/srv/etc/gone": "deleted whiteout", "/srv/etc/added": "added file", "/srv/etc/sub/a": "deleted whiteout", "/srv/etc/opaque": "opaque directory",
		"/srv/etc/dir": "changed directory", "/srv/etc/sub": "", "/srv/etc/sub/b": "",
	} {
		if got := strings.Join(strings.Fields(states[path]), " "); got != want {
			t.Errorf("%s is %q, want %q in\n%s", path, got, want, text)
		}
	}
	w.has(text, `"/srv/etc/new\nline"`)
	w.has(w.ours("drift", "--mutable=auto", "/srv/etc/sub"), "/srv/etc/sub/a")
	if text := w.ours("drift", "--mutable=auto", "/srv/etc/sub"); strings.Contains(text, "/srv/etc/gone") {
		t.Errorf("all of it:\n%s", text)
	}
	w.has(w.ours("drift", "--mutable=auto", "--json=short"), `{"path":"/srv/etc/older","state":"hides-newer","type":"file","why":"other content","hidden":false,"modified":1000000000,"defaultModified":`)
	w.is(w.read("changed")+" "+w.read("gone"), "mine missing")
	// The list is for /etc alone, which the next boot has.
	w.has(w.ours("drift", "--mutable=auto", "--thaw"), "Nothing to thaw.")
	if _, err := os.Lstat(etcrules.ThawList); err == nil {
		t.Error("a list was written")
	}
	for _, arguments := range [][]string{{"drift", "relative"}, {"drift", "/a", "/b"}, {"status", "--thaw"}, {"drift", "--class=sysext"}} {
		if output, err := w.try(arguments...); err == nil {
			t.Errorf("%q: %s", arguments, output)
		}
	}
}
