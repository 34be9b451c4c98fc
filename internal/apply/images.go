package apply

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
	"github.com/preroot/preroot/internal/superblock"
	"github.com/preroot/preroot/internal/veritytable"
)

// Workspace holds the mounts of opened images until the overlays use them. It
// is a tmpfs of its own; Close drops it with all that is mounted below.
type Workspace struct {
	// Path of the tmpfs.
	Path string
	root *rootdir.Root
	dm   *devmapper.Control
	// loadModule makes a file system type available.
	loadModule func(name string) error
	// opened maps images to what Open returned before: an image is opened once,
	// even if it is looked at in two rounds.
	opened map[string]openedImage
	count  int
}

type openedImage struct {
	at  string
	err error
}

// NewWorkspace mounts the tmpfs at a directory, which is made when missing.
func NewWorkspace(at string, root *rootdir.Root, dm *devmapper.Control, loadModule func(string) error) (*Workspace, error) {
	err := mountapi.Attach("tmpfs", "preroot", at, []mountapi.Option{{Key: "mode", Value: "0700"}}, mountapi.NoSUID|mountapi.NoDev)
	if err != nil {
		return nil, fmt.Errorf("make workspace: %w", err)
	}
	return &Workspace{Path: at, root: root, dm: dm, loadModule: loadModule,
		opened: map[string]openedImage{}}, nil
}

// Close detaches the workspace. What overlays use stays alive.
func (w *Workspace) Close() error {
	if err := mountapi.Detach(w.Path); err != nil {
		return err
	}
	return os.Remove(w.Path)
}

// Open mounts an image below the workspace, read-only, and returns where. The
// second call for an image returns the same place.
func (w *Workspace) Open(image extension.Image) (string, error) {
	key := contentKey(image)
	if known, ok := w.opened[key]; ok {
		return known.at, known.err
	}
	w.count++
	// Numbered: names may hold any character, and both classes may use one.
	at := fmt.Sprintf("%s/image%d", w.Path, w.count)
	err := os.Mkdir(at, 0o755)
	if err == nil {
		err = w.mount(image, at)
	}
	w.opened[key] = openedImage{at, err}
	return at, err
}

// contentKey tells images apart that have the same path at different times: a
// sysext may put another file over an image below /usr between two rounds.
func contentKey(image extension.Image) string {
	if image.Dissected != nil && image.Dissected.RootHash != nil {
		return fmt.Sprintf("%s %s %x", image.Class, image.Path, image.Dissected.RootHash)
	}
	return fmt.Sprintf("%s %s %+v", image.Class, image.Path, image.Identity)
}

func (w *Workspace) mount(image extension.Image, at string) error {
	host := w.root.Host(image.Path)
	if image.Type == extension.Directory {
		clone, err := mountapi.Clone(host)
		if err != nil {
			return err
		}
		if err := clone.SetAttributes(mountapi.ReadOnly); err != nil {
			clone.Close()
			return err
		}
		return clone.MoveTo(at)
	}
	file, err := w.root.Open(image.Path, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := w.loadModule("loop"); err != nil {
		return err
	}
	if image.Dissected.Hash != nil {
		return w.mountVerity(image, file, at)
	}
	return w.mountPlain(image, file, at)
}

// mountPlain mounts an image that nothing verifies.
func (w *Workspace) mountPlain(image extension.Image, file *os.File, at string) error {
	var offset, size int64
	if image.Dissected.Kind == ddi.KindGPT {
		offset, size = image.Dissected.Data.Offset, image.Dissected.Data.Size
	}
	loop, err := loopdev.Attach(file, offset, size, uint32(max(512, image.Dissected.SectorSize)))
	if err != nil {
		return err
	}
	defer loop.Close()
	return w.mountDevice(image, loop.Path, at)
}

// mountVerity mounts an image through a dm-verity device of its own.
func (w *Workspace) mountVerity(image extension.Image, file *os.File, at string) error {
	name, node, err := w.openVerity(image.Dissected, file)
	if err != nil {
		return err
	}
	err = w.mountDevice(image, node, at)
	// Like systemd: the device goes with its last user, and at once if it has none.
	return errors.Join(err, w.dm.RemoveWhenUnused(name))
}

// openVerity sets dm-verity up over two loop devices, one for each area.
func (w *Workspace) openVerity(image *ddi.Image, file *os.File) (name, node string, err error) {
	block := make([]byte, veritytable.SuperblockSize)
	if _, err := file.ReadAt(block, image.Hash.Offset); err != nil {
		return "", "", fmt.Errorf("read its verity superblock: %w", err)
	}
	s, err := veritytable.ParseSuperblock(block)
	if err == nil {
		err = s.Check(image.Data.Size, image.Hash.Size, 0)
	}
	if err != nil {
		return "", "", err
	}
	data := io.NewSectionReader(file, image.Data.Offset, image.Data.Size)
	tree := io.NewSectionReader(file, image.Hash.Offset, image.Hash.Size)
	if err := hashtree.CheckPath(s, 0, image.RootHash, data, tree, 0); err != nil {
		return "", "", err
	}
	dataLoop, err := loopdev.Attach(file, image.Data.Offset, image.Data.Size, min(4096, s.DataBlockSize))
	if err != nil {
		return "", "", err
	}
	defer dataLoop.Close()
	hashLoop, err := loopdev.Attach(file, image.Hash.Offset, image.Hash.Size, min(4096, s.HashBlockSize))
	if err != nil {
		return "", "", err
	}
	defer hashLoop.Close()
	v, err := plan.PlanImageVerity(image, s, dataLoop.Number(), hashLoop.Number())
	if err != nil {
		return "", "", err
	}
	device, err := OpenVerity(w.dm, v)
	return v.Name, device.Node(), err
}

// mountDevice mounts a file system read-only, without replaying its journal.
func (w *Workspace) mountDevice(image extension.Image, node, at string) error {
	kind, err := probe(node)
	if err != nil {
		return err
	}
	if image.Dissected.UsrOnly {
		at = path.Join(at, "usr")
	}
	if err := w.loadModule(kind); err != nil {
		return err
	}
	var options []mountapi.Option
	switch kind {
	case "ext4", "xfs":
		options = []mountapi.Option{{Key: "norecovery"}}
	case "btrfs":
		options = []mountapi.Option{{Key: "rescue", Value: "nologreplay"}}
	}
	return mountapi.Attach(kind, node, at, options, mountapi.ReadOnly|mountapi.NoDev)
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
