// Package ddi takes discoverable disk images apart: which partition of an extension image is the
// data, which the hash tree and the signature, and what root hash the image says it has.
//
// Partitions and the choice between them are those of systemd 262 and the UAPI group's discoverable
// partitions specification, as far as images of extensions go. Nothing here is verified: a root
// hash found in an image only says which one the image claims. Encrypted partitions
// are refused.
package ddi

import (
	"errors"
	"fmt"
	"io"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/superblock"
)

// Kind is the outermost format of an image.
type Kind string

// The kinds of images.
const (
	KindGPT        Kind = "gpt"
	KindMBR        Kind = "mbr"
	KindFileSystem Kind = "filesystem" // without partitions
)

// Where the root hash was found.
const (
	FromSignaturePartition = "signature partition"
	FromPartitionUUIDs     = "partition UUIDs"
	FromSidecar            = "file or attribute beside the image"
)

// Area is a part of the image, in bytes from its start.
type Area struct {
	Offset, Size int64
	ID           gpt.GUID // of the partition, zero for a bare file system
}

// Image says where the parts of an image are.
type Image struct {
	Kind       Kind
	SectorSize int // what a loop device should have; 512 for a bare file system
	// UsrOnly says that Data is a usr partition: what it holds belongs below usr/ of the extension.
	UsrOnly bool
	Data    *Area // never nil
	// Hash is the partition with verity superblock and tree, nil if there is none. Signature is nil
	// if there is none, and only there if Hash is.
	Hash, Signature *Area
	// RootHash is what the image claims, nil if Hash is nil. Its length is not compared
	// with the algorithm of the superblock.
	RootHash     []byte
	RootHashFrom string // FromSignaturePartition, FromPartitionUUIDs, FromSidecar or ""
	// Signed is the content of the signature partition, nil if there is none.
	Signed *SignaturePartition
	// FileSystem is that of an image without partitions, "" for others: verity comes first there.
	FileSystem superblock.Kind
	// ReadOnly and GrowFS are attributes of the data partition.
	ReadOnly, GrowFS bool
}

// ErrUnknown says that an image is nothing known. Images that are known and not supported give
// other errors.
var ErrUnknown = errors.New("neither a partition table nor a known file system")

// Options say what counts of an image.
type Options struct {
	// Architecture of the host, as systemd names it (osrelease.Architecture).
	Architecture string
	// NoRoot and NoUsr leave root or usr partitions, with their trees and signatures, out of
	// account.
	NoRoot, NoUsr bool
	// RootHash is known from beside the image, nil if not; UsrHash says that it is that of a usr
	// partition. Only partitions that go with it count then.
	RootHash []byte
	UsrHash  bool
}

// Dissect finds the parts of an image of size bytes. Usually some tens
// of KiB of the image are read; tables and a signature partition are bounded to 4 MiB each.
//
// Errors say in words what is wrong with the image, and do not name it.
func Dissect(r io.ReaderAt, size int64, options Options) (*Image, error) {
	info, err := superblock.Probe(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	table, err := gpt.ReadImage(r, size)
	if errors.Is(err, gpt.ErrNoTable) {
		if info.Kind == superblock.Unknown && len(info.Ambiguous) == 0 {
			if image, err := dissectMBR(r, size); image != nil || err != nil {
				return image, err
			}
		}
		return dissectFileSystem(info, size)
	}
	if err != nil {
		return nil, err
	}
	// systemd takes the file system then, others the partitions.
	if info.Kind.IsFileSystem() || info.Kind == superblock.LUKS || len(info.Ambiguous) > 0 {
		return nil, errors.New("both a partition table and a file system, refused as ambiguous")
	}
	return dissectTable(r, table, options)
}

func dissectFileSystem(info superblock.Info, size int64) (*Image, error) {
	switch info.Kind {
	case superblock.Btrfs, superblock.EROFS, superblock.Ext4, superblock.F2FS,
		superblock.Squashfs, superblock.VFAT, superblock.XFS:
	case superblock.Unknown:
		if len(info.Ambiguous) > 0 {
			return nil, fmt.Errorf("more than one file system: %s", joinKinds(info.Ambiguous))
		}
		return nil, ErrUnknown
	default:
		return nil, fmt.Errorf("format %s is not supported for images", info.Kind)
	}
	return &Image{
		Kind: KindFileSystem, SectorSize: 512, Data: &Area{Offset: 0, Size: size}, FileSystem: info.Kind,
	}, nil
}

func joinKinds(kinds []superblock.Kind) string {
	text := ""
	for i, kind := range kinds {
		if i > 0 {
			text += ", "
		}
		text += string(kind)
	}
	return text
}
