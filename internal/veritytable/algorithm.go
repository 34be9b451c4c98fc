package veritytable

import "strings"

// digestSizes are the hash algorithms that can be used, by the names that veritysetup and the
// kernel's crypto API have for them, with the size of a digest in bytes.
//
// They are those that veritysetup 2.8.8 takes and Go has an implementation of (standard library and
// golang.org/x/crypto). It takes sm3 and whirlpool besides, which Go has not.
var digestSizes = map[string]int{
	"md4":         16,
	"md5":         16,
	"ripemd160":   20,
	"rmd160":      20, // the name of ripemd160 in the kernel
	"sha1":        20,
	"sha224":      28,
	"sha256":      32,
	"sha384":      48,
	"sha512":      64,
	"sha512-224":  28,
	"sha512-256":  32,
	"sha3-224":    28,
	"sha3-256":    32,
	"sha3-384":    48,
	"sha3-512":    64,
	"blake2b-512": 64,
	"blake2s-256": 32,
}

// DigestSize returns the size in bytes of a digest of the algorithm, in any case of letters.
func DigestSize(algorithm string) (int, bool) {
	size, ok := digestSizes[strings.ToLower(algorithm)]
	return size, ok
}
