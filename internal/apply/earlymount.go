package apply

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// MountInside mounts a file system at a place of the root, which is made when missing, and returns where that is, links resolved. The way to it is
// resolved inside the root, and the place found is judged before anything is mounted: whoever can write to the root chooses where links lead.
func MountInside(root *rootdir.Root, where, fsType, source string, fs plan.FileSystem) (at string, err error) {
	entry, err := openPlace(root, where, maxDepth)
	if err != nil {
		return "", fmt.Errorf("mount at %s: %w", where, err)
	}
	defer entry.Close()
	if problem := plan.CheckPlace(entry.Path); problem != "" {
		return "", fmt.Errorf("mount at %s: it leads to %s: %s", where, entry.Path, problem)
	}
	if mountapi.IsMountPoint(root.Host(entry.Path)) {
		return "", fmt.Errorf("mount at %s: something is mounted there", where)
	}
	mount, err := mountapi.New(fsType, source, fs.Options, fs.Attributes)
	if err != nil {
		return "", err
	}
	// By descriptor: the path may lead elsewhere by now.
	return entry.Path, mount.MoveToFile(entry.File)
}

// openPlace opens a directory of the root, and makes what is missing on the way to it.
func openPlace(root *rootdir.Root, where string, depth int) (*rootdir.Entry, error) {
	if depth == 0 {
		return nil, unix.ENAMETOOLONG
	}
	entry, err := root.Resolve(where)
	if errors.Is(err, os.ErrNotExist) && where != "/" {
		above, err := openPlace(root, path.Dir(where), depth-1)
		if err != nil {
			return nil, err
		}
		defer above.Close()
		if problem := plan.CheckPlace(path.Join(above.Path, path.Base(where))); problem != "" {
			return nil, fmt.Errorf("make %s: %s", path.Join(above.Path, path.Base(where)), problem)
		}
		// A link that leads nowhere is in the way.
		if err := unix.Mkdirat(int(above.File.Fd()), path.Base(where), 0o755); err != nil {
			return nil, fmt.Errorf("make %s: %w", where, err)
		}
		return root.Resolve(where)
	}
	if err != nil {
		return nil, err
	}
	if !entry.IsDirectory() {
		entry.Close()
		return nil, unix.ENOTDIR
	}
	return entry, nil
}
