package cms

import (
	"crypto"
	"math/big"
)

// crypto/rsa would bring along key generation, its own arithmetic, self tests and a random generator, a sixtieth of the
// sealed program, for what is one power and one comparison. As with ECDSA there is nothing secret here, and the tests
// compare with the standard library.

// rsaKey is a public key: an odd modulus of minRSA to maxRSA bits, and an odd exponent of 3 to 2³¹-1.
type rsaKey struct {
	n *big.Int
	e uint32
}

// digestInfo is what stands in front of a digest in a signature: a DigestInfo in DER up to the digest itself (RFC 8017, 9.2, note 1).
func digestInfo(hash crypto.Hash) string {
	switch hash {
	case crypto.SHA256:
		return "\x30\x31\x30\x0d\x06\x09" + oidSHA256 + "\x05\x00\x04\x20"
	case crypto.SHA384:
		return "\x30\x41\x30\x0d\x06\x09" + oidSHA384 + "\x05\x00\x04\x30"
	case crypto.SHA512:
		return "\x30\x51\x30\x0d\x06\x09" + oidSHA512 + "\x05\x00\x04\x40"
	}
	return ""
}

// verify checks a signature of a digest by RSASSA-PKCS1-v1_5 (RFC 8017, 8.2.2). It makes the one block that the signature has to be
// the root of, and compares all of it: a reader of such blocks could be content with less.
func (k *rsaKey) verify(hash crypto.Hash, digest, signature []byte) bool {
	size := (k.n.BitLen() + 7) / 8
	info := digestInfo(hash)
	if info == "" || len(digest) != hash.Size() || len(signature) != size {
		return false
	}
	root := new(big.Int).SetBytes(signature)
	if root.Cmp(k.n) >= 0 {
		return false
	}
	block := make([]byte, size)
	block[1] = 1
	// At least 8 bytes of it, says the RFC: minRSA leaves more.
	padding := block[2 : size-len(info)-len(digest)-1]
	for i := range padding {
		padding[i] = 0xff
	}
	copy(block[size-len(info)-len(digest):], info)
	copy(block[size-len(digest):], digest)
	return raise(root, big.NewInt(int64(k.e)), k.n).Cmp(new(big.Int).SetBytes(block)) == 0
}
