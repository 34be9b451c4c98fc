package initramfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// outputFile is a file that appears under its name only when it is complete.
type outputFile struct {
	*os.File
	name string
	done bool
}

// createOutput opens a temporary file beside name, so that a rename can put it
// there. A link is followed; anything else that is no regular file, such as a
// device, is refused rather than replaced.
func createOutput(name string) (*outputFile, error) {
	target := name
	if resolved, err := filepath.EvalSymlinks(name); err == nil {
		target = resolved
	}
	if info, err := os.Stat(target); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("write %s: it exists and is not a regular file", name)
	}
	temporary := filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+"."+strconv.Itoa(os.Getpid())+".new")
	// A file of a process with our number is a leftover of a killed one.
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("write %s: %w", name, cause(err))
	}
	f, err := os.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, cause(err))
	}
	return &outputFile{File: f, name: target}, nil
}

// commit makes the file durable and gives it its name.
func (o *outputFile) commit() error {
	o.done = true
	err := o.Sync()
	if closing := o.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(o.File.Name(), o.name)
	}
	if err != nil {
		os.Remove(o.File.Name())
		return cause(err)
	}
	return nil
}

// discard removes what was written, unless it has its name already.
func (o *outputFile) discard() {
	if o.done {
		return
	}
	o.done = true
	o.Close()
	os.Remove(o.File.Name())
}

// cause takes the temporary file's name out of an error, which means nothing to
// the reader.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}
