package plan

import (
	"encoding/json"
	"fmt"
)

// origin is the object that systemd 262 writes to the file "origin" and
// compares, as a JSON value, with the one it would write now. A member more or
// less than systemd's makes the real root merge again, so nothing may be added.
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

func encodeOrigin(mode string, mutable map[string]string, mountOptions string, accepted map[string]Candidate) ([]byte, error) {
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
