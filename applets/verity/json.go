package verity

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/preroot/preroot/internal/hashtree"
)

// printJSON prints one object, for docs/verity-json.md.
func (s *session) printJSON(object any) error {
	text, err := json.MarshalIndent(object, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err = fmt.Fprintf(s.stdout, "%s\n", text)
	return err
}

// treeObject is the description of a tree, in the output of dump.
type treeObject struct {
	Device        string     `json:"device"`
	UUID          string     `json:"uuid"`
	HashType      uint32     `json:"hashType"`
	Algorithm     string     `json:"algorithm"`
	DataBlocks    uint64     `json:"dataBlocks"`
	DataBlockSize uint32     `json:"dataBlockSize"`
	HashBlocks    uint64     `json:"hashBlocks"`
	HashBlockSize uint32     `json:"hashBlockSize"`
	HashOffset    uint64     `json:"hashOffset"`
	TreeOffset    uint64     `json:"treeOffset"`
	Levels        int        `json:"levels"`
	Salt          string     `json:"salt"`
	FEC           *fecObject `json:"fec,omitempty"`
}

type fecObject struct {
	Device string `json:"device"`
	Offset uint64 `json:"offset"`
	Roots  uint32 `json:"roots"`
	Blocks uint64 `json:"blocks"`
}

func (d *description) object(s *session) treeObject {
	object := treeObject{
		Device: d.name, UUID: d.uuid, HashType: d.superblock.HashType, Algorithm: d.algorithm,
		DataBlocks: d.superblock.DataBlocks, DataBlockSize: d.superblock.DataBlockSize,
		HashBlocks: d.geometry.TreeBlocks, HashBlockSize: d.superblock.HashBlockSize, HashOffset: s.hashOffset,
		TreeOffset: d.geometry.StartBlock * uint64(d.superblock.HashBlockSize), Levels: len(d.geometry.Levels),
		Salt: hex.EncodeToString(d.superblock.Salt),
	}
	if d.fec != nil {
		object.FEC = &fecObject{Device: s.fecDevice, Offset: s.fecOffset, Roots: d.fec.Roots, Blocks: d.fec.ParityBlocks()}
	}
	return object
}

// verifyReport collects what verify finds and does.
type verifyReport struct {
	volume *volume
	// result is that of the disk before any repair; nil if it did not come to one.
	result *hashtree.Result
	// repairable: everything verifies once corrected.
	repairable    bool
	repaired      bool
	parityDamaged bool
}

type verifyObject struct {
	Verified    bool `json:"verified"`
	RootMatches bool `json:"rootMatches"`
	// Complete is false if a device ended too early.
	Complete      bool        `json:"complete"`
	RootHash      string      `json:"rootHash"`
	BadBlocks     uint64      `json:"badBlocks"`
	Bad           []badObject `json:"bad"`
	Repairable    bool        `json:"repairable"`
	Repaired      bool        `json:"repaired"`
	ParityDamaged bool        `json:"parityDamaged"`
}

type badObject struct {
	Kind   string `json:"kind"`   // "mismatch", "spare" or "unreadable"
	Device string `json:"device"` // "data" or "hash"
	Level  int    `json:"level"`  // of the hash block, 0 being the leaves; -1 is a data block
	Block  uint64 `json:"block"`
	Offset int64  `json:"offset"` // bytes
	Size   int64  `json:"size"`   // bytes
	Error  string `json:"error,omitempty"`
}

// object is what verify --json prints; nil if there was no result.
func (r *verifyReport) object(limit int) *verifyObject {
	if r.result == nil {
		return nil
	}
	object := &verifyObject{
		Verified: r.result.OK(), RootMatches: r.result.RootMatches, Complete: r.result.Complete,
		RootHash: hex.EncodeToString(r.result.Root), BadBlocks: r.result.Count, Bad: []badObject{},
		Repairable: r.repairable, Repaired: r.repaired, ParityDamaged: r.parityDamaged,
	}
	for _, failed := range r.result.Failures[:min(limit, len(r.result.Failures))] {
		bad := badObject{Kind: failed.Kind.String(), Device: "data", Level: failed.Level, Block: failed.Block, Offset: failed.Offset, Size: failed.Size}
		if failed.Level >= 0 {
			bad.Device = "hash"
		}
		if failed.Err != nil {
			bad.Error = failed.Err.Error()
		}
		object.Bad = append(object.Bad, bad)
	}
	return object
}

// hashFailures returns the failures on the hash device.
func (r *verifyReport) hashFailures() []hashtree.Failure {
	var found []hashtree.Failure
	for _, failed := range r.result.Failures {
		if failed.Level >= 0 {
			found = append(found, failed)
		}
	}
	return found
}
