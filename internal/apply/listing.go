package apply

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// maxFiles bounds how many entries of an extension are looked at: a warning is not worth a long walk.
const maxFiles = 4096

// listing finds the files that several images have. A directory that only one image has cannot hold any, and is
// not read: a large tree costs what it shares with others.
type listing struct {
	// left is how many more entries of an image are looked at.
	left map[*plan.Candidate]int
	// waiting are the images that had no place in the workspace when they were opened.
	waiting map[*plan.Candidate]pending
	// level are the directories that were read last, by hierarchy and path below it ("" is the hierarchy itself).
	level map[place]map[*plan.Candidate][]rootdir.Name
}

type place struct{ hierarchy, directory string }

func comparePlaces(a, b place) int {
	return cmp.Or(strings.Compare(a.hierarchy, b.hierarchy), strings.Compare(a.directory, b.directory))
}

func newListing(all []plan.Candidate) *listing {
	l := &listing{
		left: make(map[*plan.Candidate]int, len(all)), waiting: make(map[*plan.Candidate]pending, len(all)),
		level: map[place]map[*plan.Candidate][]rootdir.Name{},
	}
	for i := range all {
		l.left[&all[i]] = maxFiles
	}
	return l
}

// add takes what an image has at the top of a hierarchy.
func (l *listing) add(c *plan.Candidate, hierarchy string, names []rootdir.Name) {
	l.put(c, place{hierarchy, ""}, names)
}

func (l *listing) put(c *plan.Candidate, at place, names []rootdir.Name) {
	if len(names) > l.left[c] {
		names, c.FilesCut = names[:l.left[c]], true
	}
	l.left[c] -= len(names)
	if l.level[at] == nil {
		l.level[at] = map[*plan.Candidate][]rootdir.Name{}
	}
	l.level[at][c] = names
}

// needsPlaces reports whether an image can be read only where it lies in the workspace.
func (l *listing) needsPlaces() bool {
	waiting := 0
	for _, p := range l.waiting {
		if p.mount.Fd() >= 0 {
			waiting++
		}
	}
	return waiting < len(l.left)
}

// descend fills the files of the candidates, level by level. It runs where the images are mounted, if needsPlaces.
func (l *listing) descend() {
	for len(l.level) > 0 {
		level := l.level
		l.level = map[place]map[*plan.Candidate][]rootdir.Name{}
		places := slices.Collect(maps.Keys(level))
		sort.Slice(places, func(i, j int) bool { return comparePlaces(places[i], places[j]) < 0 })
		for _, at := range places {
			if owners := level[at]; len(owners) > 1 {
				l.expand(at, owners)
			}
		}
	}
}

// expand notes the files of a directory that several images have, and reads the directories in it that are shared again.
func (l *listing) expand(at place, owners map[*plan.Candidate][]rootdir.Name) {
	prefix := ""
	if at.directory != "" {
		prefix = at.directory + "/"
	}
	shared := map[string][]*plan.Candidate{}
	for c, names := range owners {
		for _, name := range names {
			if name.IsDirectory {
				shared[name.Text] = append(shared[name.Text], c)
			} else {
				c.Files[at.hierarchy] = append(c.Files[at.hierarchy], prefix+name.Text)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shared)) {
		below := place{at.hierarchy, prefix + name}
		for _, c := range shared[name] {
			if len(shared[name]) < 2 || l.left[c] <= 0 {
				continue
			}
			l.put(c, below, l.read(c, at.hierarchy, below.directory))
		}
	}
}

// read lists a directory of an image, through no link. What cannot be read has no names.
func (l *listing) read(c *plan.Candidate, hierarchy, directory string) []rootdir.Name {
	p := l.waiting[c]
	if p.mount == nil || p.mount.Fd() < 0 {
		return readBelow(c.Content[hierarchy], directory)
	}
	tree := rootdir.OfMount(p.mount.Fd(), p.at)
	inside := strings.TrimPrefix(c.Content[hierarchy], p.at)
	names, _ := tree.List(inside+"/"+directory, unix.O_NOFOLLOW)
	return names
}

// readBelow lists a directory below another one, through no link. What cannot be read has no names.
func readBelow(top, directory string) []rootdir.Name {
	root, err := rootdir.Open(top)
	if err != nil {
		return nil
	}
	defer root.Close()
	names, _ := root.List(directory, unix.O_NOFOLLOW)
	return names
}
