package observe

import (
	"errors"
	"os"
	"path"
)

// ExtraFile is a file that somebody else added to the initramfs.
type ExtraFile struct {
	// Source is its path below the directory that was asked for; Name the last part.
	Source, Name string
	// Size in bytes, -1 for what is not a regular file.
	Size int64
}

// ExtraFiles lists what is in the named directories below root, in their order and by name. A directory that is missing or a link has
// nothing. What cannot be read is returned beside the others' files.
func ExtraFiles(root string, directories []string) (files []ExtraFile, err error) {
	for _, directory := range directories {
		at := path.Join(root, directory)
		if info, statErr := os.Lstat(at); statErr != nil || !info.IsDir() {
			continue
		}
		entries, readErr := os.ReadDir(at)
		err = errors.Join(err, readErr)
		for _, entry := range entries {
			file := ExtraFile{Source: path.Join(directory, entry.Name()), Name: entry.Name(), Size: -1}
			if info, infoErr := entry.Info(); infoErr == nil && info.Mode().IsRegular() {
				file.Size = info.Size()
			}
			files = append(files, file)
		}
	}
	return files, err
}
