package rootdir

import (
	"testing"

	"golang.org/x/sys/unix"
)

// How paths are resolved is the kernel's part: the guest tests look at it.

func TestEntries(t *testing.T) {
	a := &Entry{Stat: unix.Stat_t{Dev: 1, Ino: 2, Mode: unix.S_IFDIR | 0o755}}
	b := &Entry{Stat: unix.Stat_t{Dev: 1, Ino: 2, Mode: unix.S_IFREG | 0o755}}
	c := &Entry{Stat: unix.Stat_t{Dev: 2, Ino: 2, Mode: unix.S_IFBLK}}
	if !a.IsDirectory() || a.IsRegular() || b.IsDirectory() || !b.IsRegular() || c.IsDirectory() || c.IsRegular() {
		t.Error("kinds are mixed up")
	}
	if !a.SameAs(b) || a.SameAs(c) {
		t.Error("inodes are mixed up")
	}
}
