package plan

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
// It is written by hand: encoding/json takes as long for it as the kernel for the merge.
func encodeOrigin(mode string, mutable map[string]string, mountOptions string, accepted map[string]Candidate) ([]byte, error) {
	w := jsonWriter{text: make([]byte, 0, 256+320*len(accepted))}
	w.open("")
	w.open("mutable")
	w.string("mode", mode)
	if len(mutable) > 0 {
		w.open("mutableDirs")
		for _, hierarchy := range slices.Sorted(maps.Keys(mutable)) {
			w.string(hierarchy, mutable[hierarchy])
		}
		w.close()
	}
	w.close()
	if mountOptions != "" {
		w.string("mountOptions", mountOptions)
	}
	if len(accepted) > 0 {
		w.open("extensions")
		for _, name := range slices.Sorted(maps.Keys(accepted)) {
			c := accepted[name]
			w.open(name)
			w.identity(&c)
			w.close()
		}
		w.close()
	}
	w.close()
	if w.err != nil {
		return nil, fmt.Errorf("encode origin: %w", w.err)
	}
	return append(w.text, '\n'), nil
}

func (w *jsonWriter) identity(c *Candidate) {
	w.string("path", c.Path)
	if hash := c.RootHash(); len(hash) > 0 {
		w.string("verityHash", hex.EncodeToString(hash))
		return
	}
	w.number("onMountId", c.MountID)
	switch {
	case c.Handle != nil:
		w.open("fileHandle")
		w.name("type")
		w.text = strconv.AppendInt(w.text, int64(c.HandleType), 10)
		w.string("handle", c.HandleText())
		w.close()
	case c.Inode != 0:
		w.number("inode", c.Inode)
	}
	w.number("crtime", c.CreatedUSec)
	w.number("mtime", c.ModifiedUSec)
}

// jsonWriter writes objects, a member a line.
type jsonWriter struct {
	text  []byte
	depth int
	// empty says that the innermost object has no member yet.
	empty bool
	err   error
}

// open begins an object, which is a member but for the outermost.
func (w *jsonWriter) open(name string) {
	if w.depth > 0 {
		w.name(name)
	}
	w.text = append(w.text, '{')
	w.depth++
	w.empty = true
}

func (w *jsonWriter) close() {
	w.depth--
	if !w.empty {
		w.line()
	}
	w.text = append(w.text, '}')
	w.empty = false
}

func (w *jsonWriter) line() {
	w.text = append(w.text, '\n')
	for range w.depth {
		w.text = append(w.text, '\t')
	}
}

// name begins a member.
func (w *jsonWriter) name(name string) {
	if !w.empty {
		w.text = append(w.text, ',')
	}
	w.empty = false
	w.line()
	w.quote(name)
	w.text = append(w.text, ": "...)
}

func (w *jsonWriter) string(name, value string) {
	w.name(name)
	w.quote(value)
}

func (w *jsonWriter) number(name string, value uint64) {
	w.name(name)
	w.text = strconv.AppendUint(w.text, value, 10)
}

// quote leaves what is not plain to the library.
func (w *jsonWriter) quote(text string) {
	for _, c := range []byte(text) {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(text)
			if err != nil {
				w.err = err
			}
			w.text = append(w.text, quoted...)
			return
		}
	}
	w.text = append(w.text, '"')
	w.text = append(w.text, text...)
	w.text = append(w.text, '"')
}
