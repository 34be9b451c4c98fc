package ddi

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/versionorder"
)

// candidate is the best partition found for a part so far.
type candidate struct {
	entry gpt.Entry
	rank  int
	found bool
}

// consider takes the entry if it is better: of a nearer architecture, or of the same one with a
// newer label. The first one of equals stays.
func (c *candidate) consider(entry gpt.Entry, rank int) {
	if c.found && (rank > c.rank || rank == c.rank && versionorder.Compare(entry.Name, c.entry.Name) <= 0) {
		return
	}
	*c = candidate{entry, rank, true}
}

func dissectTable(r io.ReaderAt, table *gpt.Table, options Options) (*Image, error) {
	parts, generic := sortPartitions(table, options)
	root, usr := &parts[rootData], &parts[usrData]
	hash, signature := &parts[rootHash], &parts[rootSignature]

	switch {
	case !root.found && (parts[rootHash].found || parts[rootSignature].found):
		return nil, errors.New("a root hash tree or signature partition, but no root partition")
	case !usr.found && (parts[usrHash].found || parts[usrSignature].found):
		return nil, errors.New("a usr hash tree or signature partition, but no usr partition")
	case parts[rootSignature].found && !parts[rootHash].found, parts[usrSignature].found && !parts[usrHash].found:
		return nil, errors.New("a signature partition, but no hash tree partition")
	case root.found && usr.found:
		// systemd takes both if there is no verity. Nobody builds that.
		return nil, errors.New("both a root and a usr partition")
	case usr.found:
		hash, signature = &parts[usrHash], &parts[usrSignature]
	case !root.found && len(generic) > 1:
		return nil, errors.New("no root partition, and more than one of plain Linux data")
	case !root.found && len(generic) == 1:
		root.entry, root.found = generic[0], true
	case !root.found && options.NoUsr:
		return nil, errors.New("a partition table without a root partition")
	case !root.found && options.NoRoot:
		return nil, errors.New("a partition table without a usr partition")
	case !root.found:
		return nil, errors.New("a partition table without a root or usr partition")
	}

	data := root
	if usr.found {
		data = usr
	}
	image := &Image{
		Kind: KindGPT, SectorSize: table.SectorSize, UsrOnly: usr.found,
		Data: area(table, *data), Hash: area(table, *hash), Signature: area(table, *signature),
		ReadOnly: data.entry.Attributes&gpt.AttributeReadOnly != 0, GrowFS: data.entry.Attributes&gpt.AttributeGrowFS != 0,
	}
	if err := image.findRootHash(r); err != nil {
		return nil, err
	}
	if known := options.RootHash; known != nil && image.UsrOnly == options.UsrHash && image.Hash != nil {
		if image.Signed != nil && !bytes.Equal(image.Signed.RootHash, known) {
			image.Signature, image.Signed = nil, nil
		}
		image.RootHash, image.RootHashFrom = slices.Clone(known), FromSidecar
	}
	return image, nil
}

// sortPartitions finds the best partition for each part. Partitions that are not meant to be found
// are left out; plain Linux data is collected.
func sortPartitions(table *gpt.Table, options Options) (parts [partCount]candidate, generic []gpt.Entry) {
	for _, entry := range table.Entries {
		if entry.Attributes&gpt.AttributeNoAuto != 0 || entry.Name == "_empty" {
			continue
		}
		if entry.Type.String() == genericType {
			if !options.NoRoot {
				generic = append(generic, entry)
			}
			continue
		}
		p, architecture, ok := findPart(entry.Type)
		if !ok || options.NoUsr && p >= usrData || options.NoRoot && p < usrData || !options.goesWith(p, entry) {
			continue
		}
		parts[p].consider(entry, rank(architecture, options.Architecture))
	}
	return parts, generic
}

// goesWith reports whether a partition can be the one of a root hash that is known from beside the
// image: the UUIDs of data and tree are its first and last 16 bytes.
func (o *Options) goesWith(p part, entry gpt.Entry) bool {
	if o.RootHash == nil || (p >= usrData) != o.UsrHash {
		return true
	}
	switch p {
	case rootData, usrData:
		return bytes.Equal(entry.ID[:], o.RootHash[:16])
	case rootHash, usrHash:
		return bytes.Equal(entry.ID[:], o.RootHash[len(o.RootHash)-16:])
	}
	return true
}

func area(table *gpt.Table, c candidate) *Area {
	if !c.found {
		return nil
	}
	return &Area{Offset: table.Offset(c.entry), Size: table.Size(c.entry), ID: c.entry.ID}
}

// findRootHash sets the root hash that the image claims: that of its signature partition, else the
// UUIDs of data and hash partition put together.
func (image *Image) findRootHash(r io.ReaderAt) error {
	if image.Hash == nil {
		return nil
	}
	if image.Signature != nil {
		signed, err := readSignature(r, *image.Signature)
		if err != nil {
			return err
		}
		image.Signed = signed
		image.RootHash, image.RootHashFrom = slices.Clone(signed.RootHash), FromSignaturePartition
		return nil
	}
	image.RootHash = slices.Concat(image.Data.ID[:], image.Hash.ID[:])
	image.RootHashFrom = FromPartitionUUIDs
	return nil
}
