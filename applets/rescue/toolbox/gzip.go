package toolbox

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// gzipCommand packs files; gunzip, and gzip -d, unpack them, zcat prints what is in them. The original goes when the other one is
// complete and on disk, and not before; a failure leaves the original and nothing else.
func gzipCommand(c *call) error {
	set, names, err := c.parse("1/fast 2 3 4 5 6 7 8 9/best c/stdout d/decompress f/force k/keep n/no-name q/quiet t/test v/verbose")
	if err != nil {
		return err
	}
	switch c.name {
	case "gunzip":
		set = append(set, given{'d', ""})
	case "zcat":
		set = append(set, given{'d', ""}, given{'c', ""})
	}
	level := gzip.DefaultCompression
	if digit := set.last("123456789"); digit != 0 {
		level = int(digit - '0')
	}
	z := zipper{set, level}
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		if err := z.file(c, name); err != nil {
			c.complain(fmt.Errorf("%s: %w", name, lastCause(err)))
		}
	}
	return c.Err()
}

type zipper struct {
	options
	level int
}

func (z zipper) file(c *call, name string) (err error) {
	in, err := c.open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	switch {
	case z.has("t"):
		return z.convert(io.Discard, in)
	case name == "-" || z.has("c"):
		return z.convert(c.out, in)
	}
	file := in.(*os.File)
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	target := name + ".gz"
	if z.has("d") {
		if target = withoutSuffix(name); target == "" {
			return errors.New("the name does not end in .gz or .tgz")
		}
	} else if strings.HasSuffix(name, ".gz") {
		return errors.New("the name ends in .gz already")
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if z.has("f") {
		_ = unix.Unlink(c.path(target))
	}
	out, err := os.OpenFile(c.path(target), flags, info.Mode().Perm())
	if err != nil {
		return err
	}
	err = z.convert(out, file)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		_ = os.Remove(c.path(target))
		return err
	}
	_ = os.Chtimes(c.path(target), info.ModTime(), info.ModTime())
	if z.has("v") {
		fmt.Fprintf(c.Stderr, "%s: %s\n", name, target)
	}
	if z.has("k") {
		return nil
	}
	return os.Remove(c.path(name))
}

func withoutSuffix(name string) string {
	if short, found := strings.CutSuffix(name, ".tgz"); found {
		return short + ".tar"
	}
	short, found := strings.CutSuffix(name, ".gz")
	if !found {
		return ""
	}
	return short
}

func (z zipper) convert(w io.Writer, r io.Reader) error {
	if z.has("dt") {
		unpacked, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, unpacked)
		return err
	}
	packed, err := gzip.NewWriterLevel(w, z.level)
	if err != nil {
		return err
	}
	if _, err := io.Copy(packed, r); err != nil {
		return err
	}
	return packed.Close()
}
