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

// NewHash returns what makes hashes of the algorithm, named as in a superblock, in any case of
// letters. The algorithms are those that veritytable.DigestSize knows.
func NewHash(algorithm string) (newHash func() hash.Hash, known bool) {
	switch strings.ToLower(algorithm) {
	case "md4":
		return md4.New, true
	case "md5":
		return md5.New, true
	case "ripemd160", "rmd160":
		return ripemd160.New, true
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
	case "sha512-224":
		return sha512.New512_224, true
	case "sha512-256":
		return sha512.New512_256, true
	case "sha3-224":
		return func() hash.Hash { return sha3.New224() }, true
	case "sha3-256":
		return func() hash.Hash { return sha3.New256() }, true
	case "sha3-384":
		return func() hash.Hash { return sha3.New384() }, true
	case "sha3-512":
		return func() hash.Hash { return sha3.New512() }, true
	case "blake2b-512":
		return func() hash.Hash { return unkeyed(blake2b.New512(nil)) }, true
	case "blake2s-256":
		return func() hash.Hash { return unkeyed(blake2s.New256(nil)) }, true
	}
	return nil, false
}

// unkeyed takes a hash without a key: only a key can be wrong.
func unkeyed(h hash.Hash, err error) hash.Hash {
	if err != nil {
		panic(err)
	}
	return h
}
