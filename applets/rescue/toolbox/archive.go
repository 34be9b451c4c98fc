package toolbox

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tarCommand makes, lists and unpacks tar archives: c, t or x, with f FILE, z for gzip, C DIRECTORY, v, and p. The letters may
// stand without "-". When reading, gzip is recognized by itself.
func tarCommand(c *call) error {
	if len(c.Arguments) > 1 && c.Arguments[1] != "" && c.Arguments[1][0] != '-' {
		c.Arguments = append([]string{c.name, "-" + oldStyle(c.Arguments)}, c.Arguments[2:]...)
	}
	set, names, err := c.parse("c/create C:/directory f:/file k/keep-old-files m/touch O/to-stdout p/preserve-permissions t/list v/verbose x/extract z/gzip " +
		"N/numeric-owner s/same-owner")
	if err != nil {
		return err
	}
	mode := set.last("ctx")
	for _, letter := range "ctx" {
		if set.has(string(letter)) && byte(letter) != mode {
			return wrongUse("only one of c, t and x")
		}
	}
	file, given := set.value('f')
	if !given {
		file = "-"
	}
	a := &archive{call: c, options: set, names: names, used: map[string]bool{}}
	if a.root, _ = set.value('C'); a.root == "" {
		a.root = "."
	}
	a.root = c.path(a.root)
	switch mode {
	case 'c':
		return a.create(file)
	case 't', 'x':
		return a.read(file)
	}
	return wrongUse("one of c, t and x is needed")
}

// oldStyle puts the letters with values last, so that "xfz FILE" reads as "-xz -f FILE" does. Two values follow in their order.
func oldStyle(arguments []string) string {
	letters := arguments[1]
	plain := strings.Map(func(r rune) rune {
		if r == 'f' || r == 'C' {
			return -1
		}
		return r
	}, letters)
	if strings.ContainsRune(letters, 'f') {
		return plain + "f"
	}
	return plain
}

// archive is one run of tar.
type archive struct {
	*call
	options
	names []string
	root  string
	// used are the names that were found in the archive.
	used map[string]bool
	// times of directories are set at the end: what is made below changes them.
	directories []*tar.Header
}

func (a *archive) create(file string) (err error) {
	if len(a.names) == 0 {
		return wrongUse("an empty archive is not made: name files")
	}
	var out io.Writer = a.Stdout
	var target unix.Stat_t
	if file != "-" {
		f, err := os.Create(a.path(file))
		if err != nil {
			return err
		}
		defer func() {
			// A full disk may be noticed only now.
			if closed := f.Close(); err == nil && closed != nil {
				err = closed
			}
		}()
		if err := unix.Fstat(int(f.Fd()), &target); err != nil {
			return err
		}
		out = f
	}
	buffered := bufio.NewWriterSize(out, 64<<10)
	out = buffered
	var packed *gzip.Writer
	if a.options.has("z") {
		packed = gzip.NewWriter(out)
		out = packed
	}
	w := tar.NewWriter(out)
	for _, name := range a.names {
		if err := a.addTree(w, name, &target); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if packed != nil {
		if err := packed.Close(); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

func (a *archive) addTree(w *tar.Writer, name string, target *unix.Stat_t) error {
	start := filepath.Join(a.root, name)
	if filepath.IsAbs(name) {
		start = name
	}
	links := map[[2]uint64]string{}
	return filepath.WalkDir(start, func(from string, _ fs.DirEntry, err error) error {
		if err != nil {
			a.complain(err)
			return nil
		}
		inside := strings.TrimPrefix(from, start)
		inside = strings.TrimLeft(strings.TrimSuffix(name, "/")+inside, "/")
		var stat unix.Stat_t
		if err := unix.Lstat(from, &stat); err != nil {
			a.complain(fmt.Errorf("%s: %w", from, err))
			return nil
		}
		if target.Ino != 0 && identity(&stat) == identity(target) {
			return nil
		}
		if inside == "" {
			inside = "."
		}
		if err := a.add(w, from, inside, &stat, links); err != nil {
			return fmt.Errorf("%s: %w", from, lastCause(err))
		}
		return a.Err()
	})
}

func (a *archive) add(w *tar.Writer, from, inside string, stat *unix.Stat_t, links map[[2]uint64]string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket != 0 {
		a.complain(fmt.Errorf("%s: a socket is left out", from))
		return nil
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(from); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name, header.Uname, header.Gname = inside, "", ""
	if info.IsDir() {
		header.Name += "/"
	}
	if info.Mode().IsRegular() && stat.Nlink > 1 {
		if first := links[identity(stat)]; first != "" {
			header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0
		} else {
			links[identity(stat)] = inside
		}
	}
	if a.options.has("v") {
		fmt.Fprintln(a.Stderr, inside)
	}
	if header.Typeflag != tar.TypeReg {
		return w.WriteHeader(header)
	}
	file, err := os.Open(from)
	if err != nil {
		a.complain(err)
		return nil
	}
	defer file.Close()
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	if n, err := io.CopyN(w, file, header.Size); err != nil {
		return fmt.Errorf("it ended after %d of %d bytes: %w", n, header.Size, err)
	}
	return nil
}

// maybeGzip unpacks what begins as gzip does.
func maybeGzip(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	if magic, err := buffered.Peek(2); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return buffered, nil
	}
	return gzip.NewReader(buffered)
}

// read lists or unpacks an archive.
func (a *archive) read(file string) error {
	raw, err := a.open(file)
	if err != nil {
		return err
	}
	defer raw.Close()
	r, err := maybeGzip(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var root *os.Root
	if a.options.has("x") && !a.options.has("O") {
		// Nothing in the archive leads out of it: neither "..", nor a link.
		if root, err = os.OpenRoot(a.root); err != nil {
			return err
		}
		defer root.Close()
	}
	archive := tar.NewReader(r)
	for a.Err() == nil {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if !a.wanted(header.Name) {
			continue
		}
		switch {
		case a.options.has("t"):
			a.list(header)
		case root == nil:
			_, err = io.Copy(a.out, archive)
		default:
			if a.options.has("v") {
				fmt.Fprintln(a.out, a.text(header.Name))
			}
			if err = a.unpack(root, header, archive); err != nil {
				a.complain(fmt.Errorf("%s: %w", header.Name, lastCause(err)))
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	for i := len(a.directories) - 1; i >= 0; i-- {
		a.attributes(root, path.Clean(strings.TrimLeft(a.directories[i].Name, "/")), a.directories[i])
	}
	for _, name := range a.names {
		if !a.used[name] {
			a.complain(fmt.Errorf("%s: it is not in the archive", name))
		}
	}
	return a.Err()
}

// wanted tells whether a name was asked for: all are if none was.
func (a *archive) wanted(name string) bool {
	for _, want := range a.names {
		clean := strings.TrimSuffix(want, "/")
		if strings.TrimSuffix(name, "/") == clean || strings.HasPrefix(name, clean+"/") {
			a.used[want] = true
			return true
		}
	}
	return len(a.names) == 0
}

func (a *archive) list(h *tar.Header) {
	if !a.options.has("v") {
		fmt.Fprintln(a.out, a.text(h.Name))
		return
	}
	mode := uint32(h.Mode & 0o7777)
	switch h.Typeflag {
	case tar.TypeDir:
		mode |= unix.S_IFDIR
	case tar.TypeSymlink:
		mode |= unix.S_IFLNK
	case tar.TypeBlock:
		mode |= unix.S_IFBLK
	case tar.TypeChar:
		mode |= unix.S_IFCHR
	case tar.TypeFifo:
		mode |= unix.S_IFIFO
	default:
		mode |= unix.S_IFREG
	}
	name := a.text(h.Name)
	switch h.Typeflag {
	case tar.TypeSymlink:
		name += " -> " + a.text(h.Linkname)
	case tar.TypeLink:
		name += " link to " + a.text(h.Linkname)
	}
	fmt.Fprintf(a.out, "%s %d/%d %10d %s %s\n", modeText(mode), h.Uid, h.Gid, h.Size, h.ModTime.Format("2006-01-02 15:04"), name)
}

// unpack makes one file of an archive. What is there already is replaced, unless it is a directory.
func (a *archive) unpack(root *os.Root, h *tar.Header, content io.Reader) error {
	name := path.Clean(strings.TrimLeft(h.Name, "/"))
	if name == "." {
		if h.Typeflag == tar.TypeDir {
			a.directories = append(a.directories, h)
		}
		return nil
	}
	if name == ".." || strings.HasPrefix(name, "../") {
		return errors.New("it would lie outside of the directory, and is left out")
	}
	if above := path.Dir(name); above != "." {
		if err := root.MkdirAll(above, 0o755); err != nil {
			return err
		}
	}
	there, err := root.Lstat(name)
	switch {
	case err != nil:
	case h.Typeflag == tar.TypeDir && there.IsDir():
		a.directories = append(a.directories, h)
		return nil
	case a.options.has("k"):
		return unix.EEXIST
	default:
		if err := root.Remove(name); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		// Times and modes come at the end.
		a.directories = append(a.directories, h)
		return root.Mkdir(name, 0o700)
	case tar.TypeReg:
		if err := writeFile(root, name, content); err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := root.Symlink(h.Linkname, name); err != nil {
			return err
		}
	case tar.TypeLink:
		return root.Link(path.Clean(strings.TrimLeft(h.Linkname, "/")), name)
	case tar.TypeBlock, tar.TypeChar, tar.TypeFifo:
		if err := makeNode(root, name, h); err != nil {
			return err
		}
	default:
		return fmt.Errorf("files of type %q are left out", h.Typeflag)
	}
	a.attributes(root, name, h)
	return nil
}

func writeFile(root *os.Root, name string, content io.Reader) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// makeNode makes a device or pipe in a directory that is opened first, so that no link leads out.
func makeNode(root *os.Root, name string, h *tar.Header) error {
	directory, err := root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer directory.Close()
	kind := map[byte]uint32{tar.TypeBlock: unix.S_IFBLK, tar.TypeChar: unix.S_IFCHR, tar.TypeFifo: unix.S_IFIFO}[h.Typeflag]
	return unix.Mknodat(int(directory.Fd()), path.Base(name), kind|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
}

// attributes gives a file its owner, which only root can, its mode and its time.
func (a *archive) attributes(root *os.Root, name string, h *tar.Header) {
	var err error
	if os.Geteuid() == 0 {
		err = root.Lchown(name, h.Uid, h.Gid)
	}
	if h.Typeflag != tar.TypeSymlink {
		if err == nil {
			err = root.Chmod(name, h.FileInfo().Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
		}
		if err == nil && !a.options.has("m") {
			err = root.Chtimes(name, h.ModTime, h.ModTime)
		}
	}
	if err != nil {
		a.complain(fmt.Errorf("%s: %w", name, lastCause(err)))
	}
}
