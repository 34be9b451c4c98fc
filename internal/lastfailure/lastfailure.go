// Package lastfailure keeps the cause of a failed boot over the restart: in the kernel's pstore where it has memory for
// messages of programs (/dev/pmsg0), else in one EFI variable. It is information for people: nothing may depend on it, and
// whoever can write the variable or the memory can write anything there.
package lastfailure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/sentinel"
)

const (
	// MaxSize bounds a record, in bytes: the memory for variables of a firmware is small, and full ones do not boot.
	MaxSize = 1024
	// VariableName is the EFI variable. Its vendor GUID is preroot's own.
	VariableName = "PrerootFailure-c8d6f5a7-3f0e-4c1b-9d3c-6c6a5d0b7e21"
	// attributes are non-volatile, for boot services, for the running system (UEFI specification 2.10, section 8.2).
	attributes = 7
	headerSize = 4
	// mark begins and ends a record among other messages in pstore.
	mark = "preroot-failure: "
	end  = "\n.\n"
	// maxStore is more than any pstore of messages holds.
	maxStore = 4 << 20
)

// Store is where records are kept. Its fields are paths, of the machine or of a test.
type Store struct {
	// Message takes messages for pstore, Kept is the directory of what pstore kept.
	Message, Kept string
	// Variables is the directory of EFI variables.
	Variables string
	// mount attaches the file systems of Kept and Variables while they are in use; it does nothing in tests.
	mount func(fsType, target string) (release func(), err error)
}

// Machine is the machine's own store.
func Machine() *Store {
	return &Store{Message: "/dev/pmsg0", Kept: "/sys/fs/pstore", Variables: "/sys/firmware/efi/efivars", mount: mount}
}

// ErrNoPlace says that the machine keeps nothing over a restart, or not for this kernel.
const ErrNoPlace = sentinel.Error("no pstore for messages and no EFI variables")

// mount attaches a file system of the kernel's for a moment. Without the kernel's directory for it there is none.
func mount(fsType, target string) (release func(), err error) {
	if _, err := os.Stat(target); err != nil {
		return nil, err
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount(fsType, target, fsType, flags, ""); err != nil {
		if errors.Is(err, unix.EBUSY) {
			return func() {}, nil
		}
		return nil, fmt.Errorf("mount %s on %s: %w", fsType, target, err)
	}
	return func() { _ = unix.Unmount(target, unix.MNT_DETACH) }, nil
}

func (s *Store) with(fsType, target string, do func() error) error {
	if s.mount != nil {
		release, err := s.mount(fsType, target)
		if err != nil {
			return err
		}
		defer release()
	} else if _, err := os.Stat(target); err != nil {
		return err
	}
	return do()
}

// Keep keeps a record, cut to MaxSize, and says where. The variable is written only if it has to change.
func (s *Store) Keep(record string) (where string, err error) {
	record = clean(record)
	if file, err := os.OpenFile(s.Message, os.O_WRONLY, 0); err == nil {
		_, err = file.WriteString(mark + record + end)
		if err := errors.Join(err, file.Close()); err != nil {
			return "", fmt.Errorf("keep the cause in pstore: %w", err)
		}
		return "pstore", nil
	}
	err = s.with("efivarfs", s.Variables, func() error { return s.writeVariable(record) })
	switch {
	case err == nil:
		return "EFI variable", nil
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENODEV):
		return "", ErrNoPlace
	}
	return "", fmt.Errorf("keep the cause in an EFI variable: %w", err)
}

func (s *Store) variable() string { return path.Join(s.Variables, VariableName) }

func (s *Store) writeVariable(record string) error {
	content := append([]byte{attributes, 0, 0, 0}, record...)
	old, err := read(s.variable(), headerSize+MaxSize)
	if err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err == nil {
		makeMutable(s.variable())
	}
	file, err := os.OpenFile(s.variable(), os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	// One write is one variable; a shorter one replaces it as a whole.
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// makeMutable lets an EFI variable be changed: the kernel protects those it does not know from rm -rf.
func makeMutable(name string) {
	file, err := os.Open(name)
	if err != nil {
		return
	}
	defer file.Close()
	const immutable = 0x10 // FS_IMMUTABLE_FL of linux/fs.h
	flags, err := unix.IoctlGetInt(int(file.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil && flags&immutable != 0 {
		_ = unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags&^immutable)
	}
}

// Read returns the record of an earlier boot, empty if there is none.
func (s *Store) Read() (record string, err error) {
	err = s.with("pstore", s.Kept, func() error {
		entries, err := os.ReadDir(s.Kept)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if !strings.HasPrefix(entry.Name(), "pmsg-") {
				continue
			}
			text, err := read(path.Join(s.Kept, entry.Name()), maxStore)
			if err != nil {
				return err
			}
			if found := find(text); found != "" {
				record = found
			}
		}
		return nil
	})
	if record != "" {
		return record, nil
	}
	if err != nil && !isAbsent(err) {
		err = fmt.Errorf("read pstore: %w", err)
	} else {
		err = nil
	}
	variableErr := s.with("efivarfs", s.Variables, func() error {
		text, err := read(s.variable(), headerSize+MaxSize)
		if err == nil && len(text) > headerSize {
			record = clean(string(text[headerSize:]))
		}
		return err
	})
	if variableErr != nil && !isAbsent(variableErr) {
		err = errors.Join(err, fmt.Errorf("read EFI variable: %w", variableErr))
	}
	return record, err
}

// Forget removes the variable after a boot that went well. What pstore kept is gone at the next restart, and until then for
// systemd-pstore to archive.
func (s *Store) Forget() error {
	err := s.with("efivarfs", s.Variables, func() error {
		if _, err := os.Stat(s.variable()); err != nil {
			return err
		}
		makeMutable(s.variable())
		return os.Remove(s.variable())
	})
	if err != nil && !isAbsent(err) {
		return fmt.Errorf("remove EFI variable: %w", err)
	}
	return nil
}

func isAbsent(err error) bool { return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) }

func read(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}

// find returns the last record among the messages that pstore kept. Other programs, and what the memory held after a power cut,
// may stand before and behind it.
func find(text []byte) string {
	start := bytes.LastIndex(text, []byte(mark))
	if start < 0 {
		return ""
	}
	text = text[start+len(mark):]
	if stop := bytes.Index(text, []byte(end)); stop >= 0 {
		text = text[:stop]
	}
	return clean(string(text[:min(len(text), 2*MaxSize)]))
}

// clean makes a record of any bytes: text of at most MaxSize bytes without the end mark.
func clean(text string) string {
	text = strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "?"))
	for strings.Contains(text, end) {
		text = strings.ReplaceAll(text, end, "\n")
	}
	if len(text) > MaxSize {
		text = text[:MaxSize]
		for text != "" && !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	return strings.TrimSpace(text)
}
