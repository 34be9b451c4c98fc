package plan

import (
	"encoding/hex"
	"maps"
	"slices"

	"github.com/preroot/preroot/internal/jsontext"
)

// encodeOrigin writes the object that systemd 262 writes to the file "origin" and
// compares, as a JSON value, with the one it would write now. A member more or
// less than systemd's makes the real root merge again, so nothing may be added.
//
// An image is identified by its root hash, whoever checked that, or else by the file it is:
//
//	{
//		"mutable": { "mode": "auto", "mutableDirs": { "/etc": "/var/lib/extensions.mutable/etc" } },
//		"mountOptions": "...",
//		"extensions": {
//			"a": { "path": "/var/lib/confexts/a.raw", "verityHash": "..." },
//			"b": { "path": "/var/lib/confexts/b", "onMountId": 1, "fileHandle": { "type": 1, "handle": "..." }, "crtime": 0, "mtime": 0 },
//			"c": { "path": "/var/lib/confexts/c", "onMountId": 1, "inode": 1, "crtime": 0, "mtime": 0 }
//		}
//	}
//
// encoding/json takes as long for it as the kernel for the merge.
func encodeOrigin(mode string, mutable map[string]string, mountOptions string, accepted map[string]Candidate) []byte {
	w := originWriter{jsontext.Writer{Text: make([]byte, 0, 256+320*len(accepted)), Indent: "\t"}}
	w.Open('{')
	w.object("mutable")
	w.string("mode", mode)
	if len(mutable) > 0 {
		w.object("mutableDirs")
		for _, hierarchy := range slices.Sorted(maps.Keys(mutable)) {
			w.string(hierarchy, mutable[hierarchy])
		}
		w.Close('}')
	}
	w.Close('}')
	if mountOptions != "" {
		w.string("mountOptions", mountOptions)
	}
	if len(accepted) > 0 {
		w.object("extensions")
		for _, name := range slices.Sorted(maps.Keys(accepted)) {
			c := accepted[name]
			w.object(name)
			w.identity(&c)
			w.Close('}')
		}
		w.Close('}')
	}
	w.Close('}')
	return append(w.Text, '\n')
}

func (w *originWriter) identity(c *Candidate) {
	w.string("path", c.Path)
	if hash := c.RootHash(); len(hash) > 0 {
		w.string("verityHash", hex.EncodeToString(hash))
		return
	}
	w.number("onMountId", c.MountID)
	switch {
	case c.Handle != nil:
		w.object("fileHandle")
		w.Name("type")
		w.Int(int64(c.HandleType))
		w.string("handle", c.HandleText())
		w.Close('}')
	case c.Inode != 0:
		w.number("inode", c.Inode)
	}
	w.number("crtime", c.CreatedUSec)
	w.number("mtime", c.ModifiedUSec)
}

// originWriter writes objects, a member a line.
type originWriter struct{ jsontext.Writer }

// object begins a member that is an object.
func (w *originWriter) object(name string) {
	w.Name(name)
	w.Open('{')
}

func (w *originWriter) string(name, value string) {
	w.Name(name)
	w.String(value)
}

func (w *originWriter) number(name string, value uint64) {
	w.Name(name)
	w.Uint(value)
}
