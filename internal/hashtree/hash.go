// Package hashtree works with dm-verity hash trees in user space: it builds them, checks whole
// devices against them, and checks single blocks with their way to the root hash, so that a wrong root
// hash or a damaged device gives a sentence before the kernel is told to panic on it.
//
// What it has checked may change afterwards: only the kernel's own check at each read is
// protection. It does not correct errors; package fec does.
package hashtree

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"
	"strings"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
	//lint:ignore SA1019 old trees have it
	"golang.org/x/crypto/md4"
	//lint:ignore SA1019 old trees have it
	"golang.org/x/crypto/ripemd160"
)

// constructors has the algorithms of veritytable.DigestSize.
var constructors = map[string]func() hash.Hash{
	"md4":         md4.New,
	"md5":         md5.New,
	"ripemd160":   ripemd160.New,
	"rmd160":      ripemd160.New,
	"sha1":        sha1.New,
	"sha224":      sha256.New224,
	"sha256":      sha256.New,
	"sha384":      sha512.New384,
	"sha512":      sha512.New,
	"sha512-224":  sha512.New512_224,
	"sha512-256":  sha512.New512_256,
	"sha3-224":    func() hash.Hash { return sha3.New224() },
	"sha3-256":    func() hash.Hash { return sha3.New256() },
	"sha3-384":    func() hash.Hash { return sha3.New384() },
	"sha3-512":    func() hash.Hash { return sha3.New512() },
	"blake2b-512": func() hash.Hash { return unkeyed(blake2b.New512(nil)) },
	"blake2s-256": func() hash.Hash { return unkeyed(blake2s.New256(nil)) },
}

// NewHash returns what makes hashes of the algorithm, named as in a superblock, in any case of
// letters. The algorithms are those that veritytable.DigestSize knows.
func NewHash(algorithm string) (func() hash.Hash, bool) {
	newHash, ok := constructors[strings.ToLower(algorithm)]
	return newHash, ok
}

// unkeyed takes a hash without a key: only a key can be wrong.
func unkeyed(h hash.Hash, err error) hash.Hash {
	if err != nil {
		panic(err)
	}
	return h
}
