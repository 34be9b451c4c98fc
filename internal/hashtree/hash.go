// Package hashtree checks blocks against a dm-verity hash tree in user space, so that a wrong
// root hash or a damaged device gives a sentence before the kernel is told to panic on it.
//
// It checks single blocks with their way through the tree, not whole devices, and what it has
// checked may change afterwards: only the kernel's own check at each read is protection. It does
// not build trees, correct errors, or look at the unused rest of hash blocks.
package hashtree

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
)

// NewHash returns what makes hashes of the algorithm, named as in a superblock, in any case of
// letters. The algorithms are those that veritytable.DigestSize knows.
func NewHash(algorithm string) (func() hash.Hash, bool) {
	switch strings.ToLower(algorithm) {
	case "sha1":
		return sha1.New, true
	case "sha224":
		return sha256.New224, true
	case "sha256":
		return sha256.New, true
	case "sha384":
		return sha512.New384, true
	case "sha512":
		return sha512.New, true
	}
	return nil, false
}
