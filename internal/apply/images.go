package apply

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
	"github.com/preroot/preroot/internal/superblock"
	"github.com/preroot/preroot/internal/veritytable"
)

// imageKey tells images apart that have the same path at different times: a
// sysext may put another file over an image below /usr between two rounds.
type imageKey struct {
	class          osrelease.Class
	path, rootHash string
	mountID, inode uint64
	handleType     int32
	handle         string
	created        uint64
	modified       uint64
}

func keyOf(image extension.Image) imageKey {
	if image.Use.Verity {
		return imageKey{class: image.Class, path: image.Path, rootHash: string(image.RootHash())}
	}
	i := &image.Identity
	return imageKey{
		class: image.Class, path: image.Path, mountID: i.MountID, inode: i.Inode, handleType: i.HandleType, handle: string(i.Handle),
		created: i.CreatedUSec, modified: i.ModifiedUSec,
	}
}

// open makes a detached mount of an image, and says what became of its signature.
func (w *Workspace) open(image extension.Image) (mount *mountapi.Mount, signature SignatureOutcome, err error) {
	if image.Type.IsTree() {
		mount, err = w.openTree(image)
		return mount, signature, err
	}
	file, err := w.Root.Open(image.Path, unix.O_RDONLY)
	if err != nil {
		return nil, signature, err
	}
	defer file.Close()
	if err := w.LoadModule("loop"); err != nil {
		return nil, signature, err
	}
	if image.Use.Verity {
		return w.openVerified(image, file)
	}
	mount, err = w.openPlain(image, file)
	return mount, signature, err
}

// openTree makes a read-only view of a directory, without the mounts below it.
func (w *Workspace) openTree(image extension.Image) (*mountapi.Mount, error) {
	if layer := w.findLayer(w.Root.Host(image.Path)); layer != "" {
		return w.cloneLayer(layer)
	}
	directory, err := w.Root.Point(image.Path, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer directory.Close()
	return mountapi.CloneFile(directory, mountapi.ReadOnly)
}

// cloneLayer does so with a directory of the workspace.
func (w *Workspace) cloneLayer(layer string) (clone *mountapi.Mount, err error) {
	err = w.inside(func() (err error) {
		clone, err = mountapi.Clone(layer)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := clone.SetAttributes(mountapi.ReadOnly); err != nil {
		clone.Close()
		return nil, err
	}
	return clone, nil
}

// findLayer returns the one directory, in a layer of an overlay of ours, that a directory of it consists of, "" if it is in no
// overlay or in several layers. An overlay of directories of overlays is as deep as the kernel takes them: without this, a
// sysext in /etc and a confext on /usr could not be merged both.
func (w *Workspace) findLayer(at string) (found string) {
	for target, layers := range w.shown {
		below, inside := strings.CutPrefix(at, target+"/")
		if !inside {
			continue
		}
		err := w.inside(func() error {
			for _, layer := range layers {
				tree, err := rootdir.Open(layer)
				if err != nil {
					return err
				}
				entry, err := tree.Resolve(below)
				tree.Close()
				if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
					continue
				}
				if err != nil {
					return err
				}
				entry.Close()
				if found != "" || entry.Path != "/"+below || !entry.IsDirectory() {
					return unix.ENOTUNIQ
				}
				found = path.Join(layer, below)
			}
			return nil
		})
		if err != nil {
			return ""
		}
	}
	return found
}

// openPlain mounts an image that nothing verifies.
func (w *Workspace) openPlain(image extension.Image, file *os.File) (*mountapi.Mount, error) {
	var offset, size int64
	if image.Dissected.Kind != ddi.KindFileSystem {
		offset, size = image.Dissected.Data.Offset, image.Dissected.Data.Size
	}
	loop, err := loopdev.Attach(file, offset, size, uint32(max(512, image.Dissected.SectorSize)))
	if err != nil {
		return nil, err
	}
	defer loop.Close()
	return w.mountDevice(image, loop.Path)
}

// openVerified mounts an image through a dm-verity device of its own.
func (w *Workspace) openVerified(image extension.Image, file *os.File) (*mountapi.Mount, SignatureOutcome, error) {
	dm, err := w.deviceMapper()
	if err != nil {
		return nil, SignatureOutcome{}, fmt.Errorf("it needs dm-verity, which is not available here: %w", err)
	}
	v, release, err := w.attachVerity(image, file)
	if err != nil {
		return nil, SignatureOutcome{}, err
	}
	defer release()
	node, signature, err := w.openSigned(dm, image, v)
	if err != nil {
		return nil, signature, err
	}
	mount, err := w.mountDevice(image, node)
	// Like systemd: the device goes with its last user, and at once if it has none.
	return mount, signature, errors.Join(err, dm.RemoveWhenUnused(v.Name))
}

// attachVerity checks the way to the root hash, and makes two loop devices, one for each area. release lets go of
// them; a verity device keeps them.
func (w *Workspace) attachVerity(image extension.Image, file *os.File) (v *plan.Verity, release func(), err error) {
	d, hash, treeFile := image.Dissected, image.Dissected.Hash, file
	if hash == nil {
		if treeFile, err = w.Root.Open(image.Sidecar.Tree, unix.O_RDONLY); err != nil {
			return nil, nil, err
		}
		defer treeFile.Close()
		info, err := treeFile.Stat()
		if err != nil {
			return nil, nil, err
		}
		hash = &ddi.Area{Size: info.Size()}
	}
	block := make([]byte, veritytable.SuperblockSize)
	if _, err := treeFile.ReadAt(block, hash.Offset); err != nil {
		return nil, nil, fmt.Errorf("read its verity superblock: %w", err)
	}
	s, err := veritytable.ParseSuperblock(block)
	if err == nil {
		err = s.Check(d.Data.Size, hash.Size, 0)
	}
	if err != nil {
		return nil, nil, err
	}
	data := io.NewSectionReader(file, d.Data.Offset, d.Data.Size)
	tree := io.NewSectionReader(treeFile, hash.Offset, hash.Size)
	if err := hashtree.CheckPath(s, 0, image.RootHash(), data, tree, 0); err != nil {
		return nil, nil, err
	}
	dataLoop, err := loopdev.Attach(file, d.Data.Offset, wholeSectors(d.Data.Size), min(4096, s.DataBlockSize))
	if err != nil {
		return nil, nil, err
	}
	hashLoop, err := loopdev.Attach(treeFile, hash.Offset, wholeSectors(hash.Size), min(4096, s.HashBlockSize))
	if err != nil {
		dataLoop.Close()
		return nil, nil, err
	}
	release = func() { dataLoop.Close(); hashLoop.Close() }
	if v, err = plan.PlanImageVerity(image.RootHash(), s, dataLoop.Number(), hashLoop.Number()); err != nil {
		release()
	}
	return v, release, err
}

// wholeSectors cuts what a loop device cannot show.
func wholeSectors(size int64) int64 { return size &^ 511 }

// mountDevice mounts a file system read-only, without replaying its journal. The mount is detached.
func (w *Workspace) mountDevice(image extension.Image, node string) (*mountapi.Mount, error) {
	kind, err := probe(node)
	if err != nil {
		return nil, err
	}
	// As in systemd 262, several types are no restriction.
	if allowed := image.Use.FileSystems; len(allowed) == 1 && allowed[0] != kind {
		return nil, fmt.Errorf("it holds %s, the image policy allows %s", kind, allowed[0])
	}
	if only := image.Use.OnlyFileSystems; only != nil && !slices.Contains(only, kind) {
		return nil, fmt.Errorf("it holds %s, SYSTEMD_DISSECT_FILE_SYSTEMS has %s", kind, strings.Join(only, ", "))
	}
	if kind == string(superblock.VFAT) {
		// Its names have no case, which overlayfs cannot deal with. systemd finds out when it has unmerged the others.
		return nil, errors.New("it holds vfat, which the kernel takes for no layer of an overlay")
	}
	if err := w.LoadModule(kind); err != nil {
		return nil, err
	}
	var options []mountapi.Option
	switch kind {
	case "ext4":
		options = []mountapi.Option{{Key: "norecovery"}}
	case "xfs":
		// nouuid: systemd opens the image again when it looks for changes, and the kernel takes no second XFS of one
		// UUID, unless the first one is exempt.
		options = []mountapi.Option{{Key: "norecovery"}, {Key: "nouuid"}}
	case "btrfs":
		options = []mountapi.Option{{Key: "rescue", Value: "nologreplay"}}
	}
	return mountapi.New(kind, node, options, mountapi.ReadOnly|mountapi.NoDev)
}

func probe(node string) (string, error) {
	file, err := os.Open(node)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := superblock.Probe(file)
	if err != nil {
		return "", fmt.Errorf("read its superblock: %w", err)
	}
	if !info.Kind.IsFileSystem() {
		return "", errors.New("it holds no file system that can be mounted")
	}
	return string(info.Kind), nil
}
