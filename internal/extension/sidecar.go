package extension

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/imagepolicy"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// Sidecar is what lies beside a raw image and says how it is verified: /p/foo.roothash, .roothash.p7s,
// .usrhash, .usrhash.p7s and .verity, and the attributes user.verity.roothash and user.verity.usrhash of the
// image.
type Sidecar struct {
	// RootHash is nil if only Tree is there. Usr says that it is that of a usr partition.
	RootHash []byte
	Usr      bool
	// Signature in DER, nil without one.
	Signature []byte
	// Tree is the path inside the root of the file with superblock and hash tree, "" without one.
	Tree string
}

// minRootHash is the least that a root hash may have: its halves are UUIDs of partitions.
const minRootHash = 16

// ReadSidecar returns nil if nothing lies beside the image.
func ReadSidecar(root *rootdir.Root, at string) (*Sidecar, error) {
	base := strings.TrimSuffix(at, ".raw")
	var s Sidecar
	for _, usr := range []bool{false, true} {
		word := "roothash"
		if usr {
			word = "usrhash"
		}
		source := "attribute user.verity." + word
		text, err := readAttribute(root, at, "user.verity."+word)
		if err == nil && text == "" {
			source = "file " + path.Base(base) + "." + word
			text, err = readIfThere(root, base+"."+word)
		}
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		if s.RootHash, err = hex.DecodeString(strings.TrimSpace(text)); err != nil || len(s.RootHash) < minRootHash || len(s.RootHash) > 64 {
			return nil, fmt.Errorf("the root hash in the %s is not 16 to 64 bytes in hex", source)
		}
		s.Usr = usr
		signature, err := root.ReadFile(base + "." + word + ".p7s")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil && len(signature) == 0 {
			return nil, fmt.Errorf("the signature %s.%s.p7s is empty", base, word)
		}
		s.Signature = signature
		break
	}
	if entry, err := root.Resolve(base + ".verity"); err == nil {
		entry.Close()
		if entry.IsRegular() {
			s.Tree = entry.Path
		}
	}
	if s.RootHash == nil && s.Tree == "" {
		return nil, nil
	}
	return &s, nil
}

func readIfThere(root *rootdir.Root, at string) (string, error) {
	text, err := root.ReadFile(at)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// readAttribute returns "" where there is no such attribute.
func readAttribute(root *rootdir.Root, at, name string) (string, error) {
	file, err := root.Open(at, unix.O_PATH)
	if err != nil {
		return "", err
	}
	defer file.Close()
	value := make([]byte, 256)
	n, err := unix.Getxattr(pathOf(file), name, value)
	if err != nil || n == 0 {
		return "", nil
	}
	return string(value[:n]), nil
}

// dissect finds the parts of an image and lets the policy decide what is used of them. What it returns is the reason
// why nothing can be.
func (s *Search) dissect(root *rootdir.Root, image *Image) string {
	var err error
	if image.Type == Raw && !s.NoSidecars {
		if image.Sidecar, err = ReadSidecar(root, image.Path); err != nil {
			return err.Error()
		}
	}
	file, err := root.Open(image.Path, unix.O_RDONLY)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	size, err := file.Seek(0, 2)
	if err != nil {
		return err.Error()
	}
	policy := s.policy(image.Path)
	options := ddi.Options{
		Architecture: osrelease.Architecture(runtime.GOARCH),
		NoRoot:       isIgnored(policy, imagepolicy.Root), NoUsr: isIgnored(policy, imagepolicy.Usr),
	}
	if image.Sidecar != nil {
		options.RootHash, options.UsrHash = image.Sidecar.RootHash, image.Sidecar.Usr
	}
	if image.Dissected, err = ddi.Dissect(file, size, options); err != nil {
		return err.Error()
	}
	s.forgetRootHash(image)
	problem := image.judge(policy)
	s.restrict(image)
	return problem
}

// forgetRootHash leaves a hash tree unused if its root hash is known only from where it is not to be taken from.
func (s *Search) forgetRootHash(image *Image) {
	d := image.Dissected
	if s.NoEmbedded && d.RootHashFrom == ddi.FromSignaturePartition {
		d.Signature, d.Signed = nil, nil
		d.RootHash, d.RootHashFrom = slices.Concat(d.Data.ID[:], d.Hash.ID[:]), ddi.FromPartitionUUIDs
	}
	if s.NoGuess && d.RootHashFrom == ddi.FromPartitionUUIDs {
		d.Hash, d.RootHash, d.RootHashFrom = nil, nil, ""
	}
}

// restrict narrows what the policy allows to what was asked for.
func (s *Search) restrict(image *Image) {
	if s.NoSignatures {
		image.Use.SignatureAllowed = false
	}
	kind := s.RootType
	if image.Dissected.UsrOnly {
		kind = s.UsrType
	}
	if kind != "" {
		image.Use.FileSystems = []string{kind}
	}
	image.Use.OnlyFileSystems = s.FileSystems
}

// isIgnored reports whether partitions of a kind are left alone rather than refused.
func isIgnored(policy imagepolicy.Policy, d imagepolicy.Designator) bool {
	use := policy.For(d) & imagepolicy.Open
	return use&^imagepolicy.Ignore == 0 && use&imagepolicy.Unused != 0
}

// judge applies the policy to what was found.
func (i *Image) judge(policy imagepolicy.Policy) string {
	d := i.Dissected
	external := i.Sidecar != nil && i.Sidecar.Tree != "" && i.Sidecar.RootHash != nil
	bare := d.Kind == ddi.KindFileSystem
	if external && !bare {
		return "a partition table, and a hash tree in a file beside it"
	}
	// A file system without partitions is a root, whatever lies beside it.
	external = external && !i.Sidecar.Usr
	found := imagepolicy.Found{
		Present: true, Bare: bare, Verity: d.Hash != nil || external, ReadOnly: d.ReadOnly, GrowFS: d.GrowFS,
		Signature: d.Signed != nil || external && i.Sidecar.Signature != nil,
	}
	here, other := imagepolicy.Root, imagepolicy.Usr
	if d.UsrOnly {
		here, other = other, here
	}
	use, err := policy.Judge(here, found)
	if err != nil {
		return err.Error()
	}
	if use.Ignored {
		return "the image policy ignores its " + string(here) + " partition"
	}
	if _, err := policy.Judge(other, imagepolicy.Found{Bare: bare}); err != nil {
		return err.Error()
	}
	if !use.Verity && d.Hash != nil {
		// What is not used says nothing about the image.
		d.Hash, d.Signature, d.Signed, d.RootHash, d.RootHashFrom = nil, nil, nil, nil, ""
	}
	i.Use = use
	return ""
}
