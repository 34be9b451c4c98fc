package architecture

import (
	"path"
	"strings"
	"testing"
)

func TestEveryPackageHasOnePackageComment(t *testing.T) {
	for _, p := range readModule(t) {
		var with []string
		for name, file := range p.files {
			if file.Doc == nil || strings.TrimSpace(file.Doc.Text()) == "" {
				continue
			}
			with = append(with, name)
			want := "Package " + file.Name.Name + " "
			if file.Name.Name == "main" {
				want = "Command " + path.Base(p.path) + " "
			}
			if !strings.HasPrefix(file.Doc.Text(), want) {
				t.Errorf("%s/%s: the comment does not start with %q", p.path, name, want)
			}
		}
		if len(with) != 1 {
			t.Errorf("%s has %d package comments: %q", p.path, len(with), with)
		}
	}
}
