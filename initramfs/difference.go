package initramfs

import (
	"fmt"
	"sort"
	"strings"
)

// CompareImage says what an image has that differs from a manifest, a line each; nothing when they agree.
func CompareImage(facts ImageFacts, files []ManifestFile, m *Manifest) []string {
	differences := CompareFiles(files, m.Files)
	if len(differences) == 0 && facts.SHA256 != m.Image.SHA256 {
		differences = append(differences, fmt.Sprintf("the same files, but packed to %d bytes with sha256 %s instead of %d with %s",
			facts.Size, facts.SHA256, m.Image.Size, m.Image.SHA256))
	}
	return differences
}

// CompareFiles says how one list of files differs from the one that is wanted. Files are told apart by part and path,
// and by their turn where an archive has a path twice.
func CompareFiles(got, want []ManifestFile) []string {
	type key struct {
		part int
		path string
		turn int
	}
	index := func(files []ManifestFile) map[key]ManifestFile {
		all := make(map[key]ManifestFile, len(files))
		for _, f := range files {
			k := key{f.Part, f.Path, 0}
			for _, taken := all[k]; taken; _, taken = all[k] {
				k.turn++
			}
			all[k] = f
		}
		return all
	}
	have, wanted := index(got), index(want)
	var differences []string
	for k, w := range wanted {
		g, found := have[k]
		if !found {
			differences = append(differences, fmt.Sprintf("missing: %s", k.path))
			continue
		}
		if changes := changesOf(g, w); len(changes) > 0 {
			differences = append(differences, fmt.Sprintf("changed: %s: %s", k.path, strings.Join(changes, ", ")))
		}
	}
	for k := range have {
		if _, found := wanted[k]; !found {
			differences = append(differences, fmt.Sprintf("added: %s", k.path))
		}
	}
	sort.Strings(differences)
	return differences
}

func changesOf(got, want ManifestFile) (changes []string) {
	for _, c := range []struct{ what, got, want string }{
		{"mode", got.Mode, want.Mode},
		{"owner", got.Owner, want.Owner},
		{"size", fmt.Sprint(got.Size), fmt.Sprint(want.Size)},
		{"sha256", got.SHA256, want.SHA256},
		{"target", got.Target, want.Target},
		{"device", got.Device, want.Device},
	} {
		if c.got != c.want {
			changes = append(changes, fmt.Sprintf("%s %s instead of %s", c.what, orNone(c.got), orNone(c.want)))
		}
	}
	return changes
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
