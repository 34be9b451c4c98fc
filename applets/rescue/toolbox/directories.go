package toolbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mkdir makes directories: -p with those above, -m with a mode.
func mkdir(c *call) error {
	set, names, err := c.parse("m:/mode p/parents v/verbose")
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return wrongUse("name a directory")
	}
	change := func(mode uint32, _ bool) uint32 { return mode }
	if text, given := set.value('m'); given {
		if change, err = parseMode(text); err != nil {
			return wrongUse("%v", err)
		}
	}
	for _, name := range names {
		path := c.path(name)
		err := os.Mkdir(path, 0o777)
		if err != nil && set.has("p") {
			if err = os.MkdirAll(path, 0o777); err == nil {
				// What was there keeps its mode.
				continue
			}
		}
		if err == nil && set.has("m") {
			err = unix.Chmod(path, change(0o777, true))
		}
		if err != nil {
			c.complain(fmt.Errorf("%s: %w", name, lastCause(err)))
			continue
		}
		if set.has("v") {
			fmt.Fprintf(c.out, "created %s\n", c.text(name))
		}
	}
	return nil
}

// rmdir removes empty directories: -p with those above.
func rmdir(c *call) error {
	set, names, err := c.parse("p/parents")
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return wrongUse("name a directory")
	}
	for _, name := range names {
		name = strings.TrimRight(name, "/")
		for {
			if err := unix.Rmdir(c.path(name)); err != nil {
				c.complain(fmt.Errorf("%s: %w", name, err))
				break
			}
			if name = filepath.Dir(name); !set.has("p") || name == "." || name == "/" {
				break
			}
		}
	}
	return nil
}

// ln makes links: -s symbolic ones, -f in the place of what is there, -n not inside of a directory that a link leads to.
func ln(c *call) error {
	set, names, err := c.parse("f/force n/no-dereference s/symbolic T/no-target-directory t:/target-directory v/verbose")
	if err != nil {
		return err
	}
	if len(names) == 1 && !set.has("t") {
		names = append(names, ".")
	}
	if set.has("n") && len(names) == 2 {
		if info, err := os.Lstat(c.path(names[1])); err == nil && info.Mode()&os.ModeSymlink != 0 {
			set = append(set, given{'T', ""})
		}
	}
	return c.eachPair(set, names, func(source, target string) error {
		path := c.path(target)
		if set.has("f") {
			if info, err := os.Lstat(path); err == nil && !info.IsDir() {
				if err := unix.Unlink(path); err != nil {
					return fmt.Errorf("%s: %w", target, err)
				}
			}
		}
		var err error
		if set.has("s") {
			err = unix.Symlink(source, path)
		} else {
			err = unix.Link(c.path(source), path)
		}
		if err != nil {
			return fmt.Errorf("%s to %s: %w", target, source, err)
		}
		if set.has("v") {
			fmt.Fprintf(c.out, "%s -> %s\n", c.text(target), c.text(source))
		}
		return nil
	})
}

// mktemp makes an empty file, or with -d a directory, of a name that nobody else has, and prints it.
func mktemp(c *call) error {
	set, names, err := c.parse("d/directory p:/tmpdir q/quiet t u/dry-run")
	if err != nil {
		return err
	}
	if len(names) > 1 {
		return wrongUse("more than one template: %s", shorten(names))
	}
	template, directory := "tmp.XXXXXXXXXX", ""
	if len(names) == 1 {
		template = names[0]
	}
	if within, given := set.value('p'); given || set.has("t") || len(names) == 0 {
		if directory = within; directory == "" {
			directory = os.Getenv("TMPDIR")
		}
		if directory == "" {
			directory = "/tmp"
		}
	}
	end := strings.LastIndex(template, "XXX")
	if end < 0 {
		return wrongUse("%s: a template has at least three X", template)
	}
	begin, end := strings.LastIndexFunc(template[:end+3], func(r rune) bool { return r != 'X' })+1, end+3
	pattern := filepath.Join(directory, template[:begin])
	if strings.HasSuffix(template[:begin], "/") {
		pattern += "/"
	}
	for range 100 {
		name := pattern + randomName(end-begin) + template[end:]
		path := c.path(name)
		switch {
		case set.has("u"):
			if _, err = os.Lstat(path); err == nil {
				continue
			}
			err = nil
		case set.has("d"):
			err = os.Mkdir(path, 0o700)
		default:
			var file *os.File
			if file, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err == nil {
				err = file.Close()
			}
		}
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err == nil {
			fmt.Fprintln(c.out, name)
		} else if set.has("q") {
			return exitCode(1)
		}
		return err
	}
	return fmt.Errorf("%s: all names that were tried are taken", template)
}

func randomName(length int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ012345678901"
	name := make([]byte, length)
	// Early in a boot this waits for the kernel to have randomness.
	if _, err := unix.Getrandom(name, 0); err != nil {
		return strings.Repeat("X", length)
	}
	for i := range name {
		name[i] = letters[name[i]&63]
	}
	return string(name)
}
