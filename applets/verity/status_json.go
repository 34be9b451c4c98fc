package verity

import (
	"encoding/hex"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/veritytable"
)

// statusObject is what status --json prints: docs/verity-json.md.
type statusObject struct {
	Name   string `json:"name"`
	Active bool   `json:"active"`
	*activeObject
	*mappingObject
}

// activeObject is known of every mapped device.
type activeObject struct {
	Number          string `json:"number"`
	UUID            string `json:"uuid"`
	OpenCount       int    `json:"openCount"`
	ReadOnly        bool   `json:"readOnly"`
	DeferredRemoval bool   `json:"deferredRemoval"`
}

// mappingObject is known of verity devices.
type mappingObject struct {
	Type          string            `json:"type"`
	Status        string            `json:"status"`
	Signed        bool              `json:"signed"`
	Size          uint64            `json:"size"`
	HashType      uint32            `json:"hashType"`
	Algorithm     string            `json:"algorithm"`
	DataBlocks    uint64            `json:"dataBlocks"`
	DataBlockSize uint32            `json:"dataBlockSize"`
	HashBlockSize uint32            `json:"hashBlockSize"`
	TreeOffset    uint64            `json:"treeOffset"`
	Salt          string            `json:"salt"`
	RootHash      string            `json:"rootHash"`
	Data          storageObject     `json:"data"`
	Hash          storageObject     `json:"hash"`
	FEC           *mappingFECObject `json:"fec,omitempty"`
	Flags         []string          `json:"flags"`
}

type storageObject struct {
	Device string `json:"device"`
	Number string `json:"number"`
	Loop   string `json:"loop,omitempty"`
}

type mappingFECObject struct {
	storageObject
	Offset        uint64  `json:"offset"`
	Roots         uint32  `json:"roots"`
	CoveredBlocks uint64  `json:"coveredBlocks"`
	Corrections   *uint64 `json:"corrections,omitempty"`
}

func newDeviceObject(name string, device devmapper.Device) statusObject {
	return statusObject{Name: name, Active: true, activeObject: &activeObject{
		Number: device.Number(), UUID: device.UUID, OpenCount: device.OpenCount,
		ReadOnly: device.ReadOnly, DeferredRemoval: device.RemovalDeferred,
	}}
}

func newStatusObject(name string, state *apply.VerityState) statusObject {
	t := state.Table
	object := newDeviceObject(name, state.Device)
	object.mappingObject = &mappingObject{
		Type: "VERITY", Status: statusWord(state), Signed: t.Options.SignatureKey != "", Size: state.Sectors * sector,
		HashType: t.HashType, Algorithm: t.Algorithm, DataBlocks: t.DataBlocks,
		DataBlockSize: t.DataBlockSize, HashBlockSize: t.HashBlockSize, TreeOffset: t.StartBlock * uint64(t.HashBlockSize),
		Salt: hex.EncodeToString(t.Salt), RootHash: hex.EncodeToString(t.RootHash),
		Data: newStorageObject(t.DataDevice), Hash: newStorageObject(t.HashDevice), Flags: append([]string{}, t.Options.Flags()...),
	}
	if f := t.Options.FEC; f != nil {
		object.FEC = newMappingFECObject(f, t.HashBlockSize, state.Status)
	}
	return object
}

func newMappingFECObject(f *veritytable.FEC, blockSize uint32, status veritytable.Status) *mappingFECObject {
	object := &mappingFECObject{storageObject: newStorageObject(f.Device), Offset: f.Start * uint64(blockSize), Roots: f.Roots, CoveredBlocks: f.Blocks}
	if status.HasCorrections {
		object.Corrections = &status.Corrections
	}
	return object
}

func newStorageObject(number string) storageObject {
	return storageObject{Device: observe.DevicePath("/sys", number), Number: number, Loop: observe.LoopFile("/sys", number)}
}
