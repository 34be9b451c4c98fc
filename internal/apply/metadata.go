package apply

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/plan"
)

func writeMetadata(top, metadata string, m *plan.Merge, o plan.Overlay) error {
	if err := os.MkdirAll(metadata, 0o755); err != nil {
		return err
	}
	var list strings.Builder
	for _, name := range m.Names {
		list.WriteString(name + "\n")
	}
	files := map[string]string{extension.ListName(m.Class): list.String(), "origin": string(m.Origin)}
	if o.Backing != "" {
		files["backing"] = o.Backing + "\n"
	}
	if o.WorkInside != "" {
		files["work_dir"] = extension.EscapeC(o.WorkInside) + "\n"
	}
	for name, text := range files {
		if err := writeMetadataFile(metadata, name, text); err != nil {
			return err
		}
	}
	return errors.Join(os.Chmod(metadata, 0o755), os.Chmod(top, os.FileMode(o.Permissions)))
}

// RewriteOrigin writes the plan's "origin" into what this workspace has merged. The file is written in place: it may have been
// looked up through the overlay, which then keeps to the inode.
func (w *Workspace) RewriteOrigin(m *plan.Merge) error {
	for _, o := range m.Overlays {
		metadata, here := w.metadata[o.Target]
		if !here {
			return fmt.Errorf("write origin of %s: it was not merged here", o.Hierarchy)
		}
		err := w.inside(func() error { return writeMetadataFile(metadata, "origin", string(m.Origin)) })
		if err != nil {
			return fmt.Errorf("write origin of %s: %w", o.Hierarchy, err)
		}
	}
	return nil
}

// writeMetadataFile writes a file that everybody may read. The umask of PID 1 is
// not ours to trust.
func writeMetadataFile(metadata, name, text string) error {
	at := path.Join(metadata, name)
	fd, err := unix.Open(at, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return &os.PathError{Op: "open", Path: at, Err: err}
	}
	defer unix.Close(fd)
	for rest := []byte(text); len(rest) > 0 && err == nil; {
		var n int
		n, err = unix.Write(fd, rest)
		rest = rest[max(n, 0):]
	}
	if err == nil {
		err = unix.Fchmod(fd, 0o644)
	}
	if err != nil {
		return &os.PathError{Op: "write", Path: at, Err: err}
	}
	return nil
}
