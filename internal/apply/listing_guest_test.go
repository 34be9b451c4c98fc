//go:build guest

package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// listImages makes a directory of each image's files ("x/" is an empty directory), lists them, and returns what they have.
func listImages(t *testing.T, images map[string][]string) map[string]plan.Candidate {
	t.Helper()
	var all []plan.Candidate
	for name, files := range images {
		top := filepath.Join(t.TempDir(), name)
		for _, file := range files {
			at := filepath.Join(top, "etc", file)
			directory := filepath.Dir(at)
			if file[len(file)-1] == '/' {
				directory = at
			}
			if err := os.MkdirAll(directory, 0o755); err != nil {
				t.Fatal(err)
			}
			if directory != at {
				if err := os.WriteFile(at, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		all = append(all, plan.Candidate{Image: extension.Image{Name: name, Path: top}, Content: map[string]string{}, Files: map[string][]string{}})
	}
	lists := newListing(all)
	for i := range all {
		tree, err := rootdir.Open(all[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		inside, names, err := extension.Content(tree, "/etc")
		tree.Close()
		if err != nil {
			t.Fatal(err)
		}
		all[i].Content["/etc"] = tree.Host(inside)
		lists.add(&all[i], "/etc", names)
	}
	lists.descend()
	found := map[string]plan.Candidate{}
	for _, c := range all {
		slices.Sort(c.Files["/etc"])
		found[c.Name] = c
	}
	return found
}

func TestListingFindsWhatIsShared(t *testing.T) {
	found := listImages(t, map[string][]string{
		"a": {"both", "d/e/both", "d/e/a", "only-a/f/g", "kind", "d/empty/"},
		"b": {"both", "d/e/both", "d/b", "only-b/f/g", "kind/x"},
		"c": {"d/e/c", "c"},
	})
	for name, want := range map[string][]string{
		// A directory that no other image has is not looked into.
		"a": {"both", "d/e/a", "d/e/both", "kind"},
		"b": {"both", "d/b", "d/e/both"},
		"c": {"c", "d/e/c"},
	} {
		if got := found[name].Files["/etc"]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if found[name].FilesCut {
			t.Errorf("%s is cut", name)
		}
	}
}

func TestListingOfOneImageReadsNothing(t *testing.T) {
	found := listImages(t, map[string][]string{"a": {"x", "d/y"}})
	if files := found["a"].Files["/etc"]; len(files) != 0 {
		t.Errorf("%q", files)
	}
}

func TestListingIsBounded(t *testing.T) {
	many := []string{"d/z"}
	for i := range maxFiles {
		many = append(many, fmt.Sprintf("f%05d", i))
	}
	found := listImages(t, map[string][]string{"many": many, "few": {"f00000", "d/z"}})
	if c := found["many"]; !c.FilesCut || len(c.Files["/etc"]) > maxFiles || len(c.Files["/etc"]) < maxFiles-1 {
		t.Errorf("%d files, cut %v", len(c.Files["/etc"]), c.FilesCut)
	}
	if c := found["few"]; c.FilesCut || !slices.Contains(c.Files["/etc"], "f00000") {
		t.Errorf("%+v", c.Files)
	}
}

func TestListingFollowsNoLink(t *testing.T) {
	top := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.MkdirAll(filepath.Join(top, name, "etc/real"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(top, name, "etc/real/x"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("real", filepath.Join(top, name, "etc/link")); err != nil {
			t.Fatal(err)
		}
	}
	if names := readBelow(filepath.Join(top, "a/etc"), "link"); names != nil {
		t.Errorf("%v", names)
	}
	if names := readBelow(filepath.Join(top, "a/etc"), "real"); len(names) != 1 || names[0].Text != "x" {
		t.Errorf("%v", names)
	}
}
