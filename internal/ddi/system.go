package ddi

import (
	"errors"
	"io"

	"github.com/preroot/preroot/internal/gpt"
)

// System says where an image of a whole system has its file systems.
type System struct {
	SectorSize int // what a loop device should have
	// Root and Usr are where they are, nil if there is none; not both.
	Root, Usr *Area
}

// FindSystem finds the root and the usr partition of an image of size bytes, by the types and labels that count for the images of extensions. What
// has no partition table is a root file system. Nothing is verified.
func FindSystem(r io.ReaderAt, size int64, architecture string) (*System, error) {
	table, err := gpt.ReadImage(r, size)
	if errors.Is(err, gpt.ErrNoTable) {
		return &System{SectorSize: 512, Root: &Area{Size: size}}, nil
	}
	if err != nil {
		return nil, err
	}
	parts, generic := sortPartitions(table, Options{Architecture: architecture})
	root := parts[rootData]
	if !root.found && len(generic) == 1 {
		root = candidate{generic[0], 0, true}
	}
	if !root.found && !parts[usrData].found {
		return nil, errors.New("a partition table without a root or usr partition")
	}
	return &System{SectorSize: table.SectorSize, Root: area(table, root), Usr: area(table, parts[usrData])}, nil
}
