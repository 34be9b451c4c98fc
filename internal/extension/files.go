package extension

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/rootdir"
)

// maxFiles bounds how many files of an extension are listed: a warning is not worth a long walk.
const maxFiles = 4096

// ListFiles lists what is not a directory below one of an opened extension, with paths relative to it, and whether there is
// more than was listed. Links are not followed. What cannot be read is left out.
func ListFiles(tree *rootdir.Root, directory string) (files []string, cut bool) {
	top, err := tree.Open(directory, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, false
	}
	defer top.Close()
	left := maxFiles
	cut = !listBelow(top, "", &files, &left)
	return files, cut
}

// listBelow reports whether all was listed.
func listBelow(directory *os.File, prefix string, files *[]string, left *int) bool {
	entries, err := directory.ReadDir(*left + 1)
	if err != nil && len(entries) == 0 {
		return true
	}
	for _, entry := range entries {
		if *left--; *left < 0 {
			return false
		}
		if !entry.IsDir() {
			*files = append(*files, prefix+entry.Name())
			continue
		}
		fd, err := unix.Openat(int(directory.Fd()), entry.Name(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		below := os.NewFile(uintptr(fd), entry.Name())
		all := listBelow(below, prefix+entry.Name()+"/", files, left)
		below.Close()
		if !all {
			return false
		}
	}
	return true
}
