//go:build guest

package merge

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

func TestWishes(t *testing.T) {
	directory, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"quiet":  "ID=_any\nEXTENSION_RELOAD_MANAGER=0\n",
		"reload": "ID=_any\nEXTENSION_RELOAD_MANAGER=1\n",
		"a":      "EXTENSION_RESTART_UNITS=\"x.service y.service\"\n",
		"b":      "EXTENSION_RELOAD_OR_RESTART_UNITS=\"y.service z.service\"\n",
	} {
		file := filepath.Join(directory, osrelease.ReleaseFileName(osrelease.ClassConfext, name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootdir.Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, c := range []struct {
		names   []string
		reload  bool
		restart map[string]bool
	}{
		{[]string{"quiet", "missing"}, false, nil},
		{[]string{"reload"}, true, nil},
		{[]string{"a", "b"}, true, map[string]bool{"x.service": false, "y.service": false, "z.service": true}},
		{[]string{"b", "a"}, true, map[string]bool{"x.service": false, "y.service": false, "z.service": true}},
	} {
		var w wishes
		w.collect(root, osrelease.ClassConfext, c.names)
		if w.reload != c.reload || !maps.Equal(w.restart, c.restart) {
			t.Errorf("%q: %+v", c.names, w)
		}
	}
}

func TestNothingIsAskedForNothing(t *testing.T) {
	var output bytes.Buffer
	s := &session{stderr: &output}
	s.fulfil(wishes{})
	if output.Len() != 0 {
		t.Error(output.String())
	}
}
