package apply

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

// metadataDirectory is the directory in a merged hierarchy that tells whose
// merge it is, and of what.
func metadataDirectory(class osrelease.Class) string { return ".systemd-" + string(class) }

// listName is the name of the file with the names of the merged images.
func listName(class osrelease.Class) string {
	if class == osrelease.ClassConfext {
		return "confexts"
	}
	return "extensions"
}

func writeMetadata(top, metadata string, m *plan.Merge, o plan.Overlay) error {
	if err := os.MkdirAll(metadata, 0o755); err != nil {
		return err
	}
	list := ""
	for _, name := range m.Names {
		list += name + "\n"
	}
	files := map[string]string{listName(m.Class): list, "origin": string(m.Origin)}
	if o.Backing != "" {
		files["backing"] = o.Backing + "\n"
	}
	if o.WorkInside != "" {
		files["work_dir"] = escapeC(o.WorkInside) + "\n"
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

// escapeC escapes control characters, quotes and backslashes as in C, which is
// how systemd reads the file back.
func escapeC(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c == '\\' || c == '"' || c == '\'':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, "\\%03o", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
