package veritytable

import "strings"

// DigestSize returns the size in bytes of a digest of the algorithm, in any case of letters. The names are those that veritysetup
// and the kernel's crypto API have.
//
// The algorithms are those that veritysetup 2.8.8 takes and Go has an implementation of (standard library and
// golang.org/x/crypto). It takes sm3 and whirlpool besides, which Go has not.
func DigestSize(algorithm string) (size int, known bool) {
	switch strings.ToLower(algorithm) {
	case "md4", "md5":
		return 16, true
	case "ripemd160", "rmd160", "sha1": // rmd160 is the name of ripemd160 in the kernel
		return 20, true
	case "sha224", "sha512-224", "sha3-224":
		return 28, true
	case "sha256", "sha512-256", "sha3-256", "blake2s-256":
		return 32, true
	case "sha384", "sha3-384":
		return 48, true
	case "sha512", "sha3-512", "blake2b-512":
		return 64, true
	}
	return 0, false
}
