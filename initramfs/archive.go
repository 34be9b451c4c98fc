package initramfs

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/u-root/mkuimage/cpio"
	"github.com/u-root/mkuimage/uimage"
	packer "github.com/u-root/mkuimage/uimage/initramfs"
)

// Limits of the archive: cpio's "newc" header has 32 bits for a size, and the
// kernel's unpacker (init/initramfs.c) passes over longer names and links
// without a word.
const (
	maxFileSize   = math.MaxUint32
	maxNameLength = 4095
)

// layout collects the records of an image. mkuimage drops a second record of
// the same name silently, so names are checked here.
type layout struct {
	records map[string]cpio.Record

	// reason is why the records that are added now are there; reasons has that of all.
	reason  string
	reasons map[string]string
}

// newLayout gives an image with nothing but its root directory, which the
// kernel's tmpfs would have left writable for everybody.
func newLayout() *layout {
	return &layout{
		records: map[string]cpio.Record{".": cpio.Directory(".", 0o755)},
		reasons: map[string]string{".": "the root"}, reason: "in every image",
	}
}

// add puts one record in. Two directories of one name are one: the first stays.
// The parents are added with mode 0755 where they are missing.
func (l *layout) add(r cpio.Record) error {
	if err := checkName(r.Name); err != nil {
		return err
	}
	if earlier, found := l.records[r.Name]; found {
		if isDirectory(earlier) && isDirectory(r) {
			return nil
		}
		return fmt.Errorf("add /%s: it is already in the image", r.Name)
	}
	if r.FileSize > maxFileSize {
		return fmt.Errorf("add /%s: %d bytes are more than a cpio archive can hold (%d)", r.Name, r.FileSize, int64(maxFileSize))
	}
	for parent := path.Dir(r.Name); parent != "."; parent = path.Dir(parent) {
		p, found := l.records[parent]
		if found && !isDirectory(p) {
			return fmt.Errorf("add /%s: /%s is not a directory", r.Name, parent)
		}
		if !found {
			l.records[parent] = cpio.Directory(parent, 0o755)
			l.reasons[parent] = l.reason
		}
	}
	l.records[r.Name] = r
	l.reasons[r.Name] = l.reason
	return nil
}

// size is that of the archive to be written, in bytes, near enough to show progress.
func (l *layout) size() (total int64) {
	for name, r := range l.records {
		total += 116 + int64(len(name)) + int64(r.FileSize)
	}
	return total
}

// addFile puts in a regular file held in memory.
func (l *layout) addFile(name string, permissions uint64, content []byte) error {
	return l.add(cpio.StaticRecord(content, cpio.Info{Name: name, Mode: cpio.S_IFREG | permissions}))
}

// addHostFile puts in a regular file that is read when the archive is written.
func (l *layout) addHostFile(name string, permissions uint64, source string, size int64) error {
	return l.add(cpio.Record{
		ReaderAt: &hostFile{path: source},
		Info:     cpio.Info{Name: name, Mode: cpio.S_IFREG | permissions, FileSize: uint64(size)},
	})
}

// addDirectory puts in a directory.
func (l *layout) addDirectory(name string, permissions uint64) error {
	return l.add(cpio.Directory(name, permissions))
}

// has tells whether a path, with or without a leading slash, is in the image.
func (l *layout) has(name string) bool {
	_, found := l.records[path.Clean(strings.TrimLeft(name, "/"))]
	return found
}

// addSymlink puts in a symbolic link.
func (l *layout) addSymlink(name, target string) error {
	if len(target) > maxNameLength {
		return fmt.Errorf("add /%s: the link's target has %d bytes, more than %d", name, len(target), maxNameLength)
	}
	return l.add(cpio.Symlink(name, target))
}

// checkName refuses names that are not clean paths inside the image.
func checkName(name string) error {
	switch {
	case name == "" || name == ".":
		return errors.New("add to image: the root directory is no destination of its own")
	case path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../"):
		return fmt.Errorf("add to image: %q is not a path inside it", name)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("add to image: %q has a NUL byte in it", name)
	case name == cpio.Trailer:
		return fmt.Errorf("add to image: %q marks the end of an archive", name)
	case len(name) >= maxNameLength:
		return fmt.Errorf("add to image: a path of %d bytes is too long", len(name))
	}
	return nil
}

func isDirectory(r cpio.Record) bool { return r.Mode&cpio.S_IFMT == cpio.S_IFDIR }

// write packs the records into w, sorted by name, with owner 0:0 and one time
// for all.
func (l *layout) write(w io.Writer, modifiedAt int64, scratch string) error {
	base := cpio.InMemArchive()
	names := make([]string, 0, len(l.records))
	for name := range l.records {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := base.WriteRecord(l.records[name]); err != nil {
			return fmt.Errorf("pack image: %w", err)
		}
	}
	err := uimage.Create(nil,
		uimage.WithBaseArchive(base),
		uimage.WithExistingInit(true),
		uimage.WithSkipLDD(),
		uimage.WithTempDir(scratch),
		uimage.WithOutput(&stampedOutput{w: w, modifiedAt: uint64(modifiedAt)}),
	)
	if err != nil {
		return fmt.Errorf("pack image: %w", err)
	}
	return nil
}

// stampedOutput is mkuimage's output: it writes to a stream instead of a file,
// and sets the time, which mkuimage has set to 0.
type stampedOutput struct {
	w          io.Writer
	modifiedAt uint64
	records    cpio.RecordWriter
}

// OpenWriter is called once by mkuimage.
func (o *stampedOutput) OpenWriter() (packer.Writer, error) {
	o.records = cpio.Newc.Writer(o.w)
	return o, nil
}

// WriteRecord writes one file.
func (o *stampedOutput) WriteRecord(r cpio.Record) error {
	r.MTime = o.modifiedAt
	return o.records.WriteRecord(r)
}

// Finish writes the end mark.
func (o *stampedOutput) Finish() error { return cpio.WriteTrailer(o.records) }

// hostFile is opened at its first read, so that many files in a layout are not
// all open at once. mkuimage closes it when it has been written.
type hostFile struct {
	path string
	file *os.File
}

// ReadAt reads from the host's file.
func (h *hostFile) ReadAt(b []byte, offset int64) (int, error) {
	if h.file == nil {
		f, err := os.Open(h.path)
		if err != nil {
			return 0, err
		}
		h.file = f
	}
	return h.file.ReadAt(b, offset)
}

// Close closes it when it was opened.
func (h *hostFile) Close() error {
	if h.file == nil {
		return nil
	}
	return h.file.Close()
}
