package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/rootdir"
	"github.com/preroot/preroot/internal/sentinel"
)

// Directories are where certificates lie below a root, in the order in which systemd looks: a file
// in an earlier one hides those of its name in later ones.
var Directories = []string{"/etc/verity.d", "/run/verity.d", "/usr/local/lib/verity.d", "/usr/lib/verity.d"}

// suffix ends the names of the files that count.
const suffix = ".crt"

// maxCertificates bounds what is read, and tried on each signature.
const maxCertificates = 256

// Note is a file or directory that does not count, and why.
type Note struct {
	Path string
	Err  error
}

func (n Note) String() string { return fmt.Sprintf("%s does not count: %v", n.Path, n.Err) }

// ReadDirectories reads the certificates of the files *.crt in directories below a root, sorted by the
// files' names. Of files with one name that in the earlier directory counts; one that is empty or
// a link to /dev/null hides the later ones and counts for nothing itself. With a note is left out what
// cannot be read, is not PEM, or lies on another file system than its directory, where a
// link may lead to: what is known of a directory does not hold there.
func ReadDirectories(root *rootdir.Root, directories []string) ([]Certificate, []Note) {
	r := reader{root: root, certificates: map[string]*Certificate{}}
	for _, directory := range directories {
		if err := r.readDirectory(directory); err != nil {
			r.note(directory, err)
		}
	}
	// maps.Keys would keep all methods of the certificates' numbers in the program: its type parameters count as values of an interface.
	var names []string
	for name := range r.certificates {
		names = append(names, name)
	}
	slices.Sort(names)
	var certificates []Certificate
	for _, name := range names {
		if c := r.certificates[name]; c != nil {
			certificates = append(certificates, *c)
		}
	}
	return certificates, r.notes
}

// reader collects certificates by the names of their files, nil where one hides others only.
type reader struct {
	root         *rootdir.Root
	certificates map[string]*Certificate
	notes        []Note
}

func (r *reader) note(inside string, err error) {
	r.notes = append(r.notes, Note{r.root.Host(inside), err})
}

func (r *reader) readDirectory(directory string) error {
	found, err := r.root.Resolve(directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer found.Close()
	names, err := r.root.ReadNames(found.Path)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if _, hidden := r.certificates[name]; hidden || !strings.HasSuffix(name, suffix) {
			continue
		}
		if len(r.certificates) == maxCertificates {
			return fmt.Errorf("there are more than %d certificates", maxCertificates)
		}
		at := path.Join(found.Path, name)
		if isLinkToNull(r.root, at) {
			r.certificates[name] = nil
			continue
		}
		certificate, err := r.readFile(at, found.Stat.Dev)
		if err != nil {
			r.note(at, err)
		}
		if !errors.Is(err, errNoFile) {
			r.certificates[name] = certificate
		}
	}
	return nil
}

// errNoFile says that a name is none of a file, so that it hides nothing either.
const errNoFile = sentinel.Error("not a regular file")

// readFile returns no certificate and no error for an empty file.
func (r *reader) readFile(at string, device uint64) (*Certificate, error) {
	found, err := r.root.Resolve(at)
	if err != nil {
		return nil, errors.Join(errNoFile, err)
	}
	defer found.Close()
	switch {
	case !found.IsRegular():
		return nil, errNoFile
	case found.Stat.Dev != device:
		return nil, errors.New("it lies on another file system than its directory")
	case found.Stat.Size == 0:
		return nil, nil
	}
	file, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", found.File.Fd()))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := readBounded(file, r.root.Host(at))
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(content, []byte("-----BEGIN ")) {
		return nil, errors.New("it is not PEM")
	}
	certificate, err := parse(content, r.root.Host(at))
	if err != nil {
		return nil, err
	}
	return &certificate, nil
}

// isLinkToNull reports whether a name is a link to /dev/null, which need not exist below the root.
func isLinkToNull(root *rootdir.Root, at string) bool {
	link, err := root.Open(at, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return false
	}
	defer link.Close()
	target := make([]byte, len(os.DevNull)+1)
	n, err := unix.Readlinkat(int(link.Fd()), "", target)
	return err == nil && string(target[:n]) == os.DevNull
}
