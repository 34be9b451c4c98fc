package plan

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/extension"
)

// origin is the same as a value for encoding/json, with which the writer is compared.
type origin struct {
	Mutable struct {
		Mode string            `json:"mode"`
		Dirs map[string]string `json:"mutableDirs,omitempty"`
	} `json:"mutable"`
	MountOptions string         `json:"mountOptions,omitempty"`
	Extensions   map[string]any `json:"extensions,omitempty"`
}

// verifiedEntry identifies an image by its root hash, whoever checked that.
type verifiedEntry struct {
	Path       string `json:"path"`
	VerityHash string `json:"verityHash"`
}

// fileEntry identifies an image by the file it is.
type fileEntry struct {
	Path       string      `json:"path"`
	MountID    uint64      `json:"onMountId"`
	FileHandle *fileHandle `json:"fileHandle,omitempty"`
	Inode      uint64      `json:"inode,omitempty"`
	Created    uint64      `json:"crtime"`
	Modified   uint64      `json:"mtime"`
}

type fileHandle struct {
	Type   int32  `json:"type"`
	Handle string `json:"handle"`
}

func encodeWithLibrary(mode string, mutable map[string]string, mountOptions string, accepted map[string]Candidate) ([]byte, error) {
	var o origin
	o.Mutable.Mode, o.Mutable.Dirs, o.MountOptions = mode, mutable, mountOptions
	if len(accepted) > 0 {
		o.Extensions = make(map[string]any, len(accepted))
	}
	for name, c := range accepted {
		if hash := c.RootHash(); len(hash) > 0 {
			o.Extensions[name] = verifiedEntry{Path: c.Path, VerityHash: fmt.Sprintf("%x", hash)}
			continue
		}
		entry := fileEntry{Path: c.Path, MountID: c.MountID, Created: c.CreatedUSec, Modified: c.ModifiedUSec}
		if c.Handle != nil {
			entry.FileHandle = &fileHandle{Type: c.HandleType, Handle: c.HandleText()}
		} else {
			entry.Inode = c.Inode
		}
		o.Extensions[name] = entry
	}
	text, err := json.MarshalIndent(o, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("encode origin: %w", err)
	}
	return append(text, '\n'), nil
}

func TestOriginIsWhatTheLibraryWrites(t *testing.T) {
	odd := "a \"\\<>&\x01\n\u00e9\u2028 ~"
	candidate := func(c Candidate) Candidate { c.Path = "/var/lib/confexts/" + c.Name; return c }
	all := map[string]Candidate{}
	for _, c := range []Candidate{
		{Image: extension.Image{Name: "verified", Dissected: &ddi.Image{RootHash: []byte{1, 0xab, 3}}}},
		{Image: extension.Image{Name: "handle", Identity: extension.Identity{MountID: 1 << 63, HandleType: -5, Handle: []byte{0, 255}, Inode: 3,
			CreatedUSec: ^uint64(0), ModifiedUSec: 7}}},
		{Image: extension.Image{Name: "inode", Identity: extension.Identity{MountID: 9, Inode: 1 << 60}}},
		{Image: extension.Image{Name: "nothing"}},
		{Image: extension.Image{Name: odd}},
		{Image: extension.Image{Name: "B"}},
	} {
		all[c.Name] = candidate(c)
	}
	for _, mode := range []string{"no", "ephemeral-import", odd} {
		for _, mutable := range []map[string]string{nil, {}, {"/usr": "/x", "/opt": odd, odd: ""}} {
			for _, options := range []string{"", "redirect_dir=on,noatime", odd} {
				for _, accepted := range []map[string]Candidate{nil, all, {"inode": all["inode"]}} {
					got := encodeOrigin(mode, mutable, options, accepted)
					want, err := encodeWithLibrary(mode, mutable, options, accepted)
					if err != nil {
						t.Fatal(err)
					}
					if string(got) != string(want) {
						t.Errorf("got\n%s\nwant\n%s", got, want)
					}
				}
			}
		}
	}
}
