package apply

import (
	"errors"
	"os"
	"path"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/plan"
)

func writeMetadata(top, metadata string, m *plan.Merge, o plan.Overlay) error {
	if err := os.MkdirAll(metadata, 0o755); err != nil {
		return err
	}
	list := ""
	for _, name := range m.Names {
		list += name + "\n"
	}
	files := map[string]string{extension.ListName(m.Class): list, "origin": string(m.Origin)}
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

// writeMetadataFile writes a file that everybody may read. The umask of PID 1 is
// not ours to trust.
func writeMetadataFile(metadata, name, text string) error {
	file := path.Join(metadata, name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Chmod(file, 0o644)
}
