package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"
)

// rsaHashes are those that signatures are made of, and one that is none of them.
var rsaHashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA1}

// judgedRSA is a key for us and for the standard library.
type judgedRSA struct {
	ours    rsaKey
	library *rsa.PublicKey
}

func judgeRSA(key *rsa.PublicKey) judgedRSA { return judgedRSA{rsaKey{key.N, uint32(key.E)}, key} }

func (k judgedRSA) compare(t *testing.T, hash crypto.Hash, digest, signature []byte) (good bool) {
	t.Helper()
	good = rsa.VerifyPKCS1v15(k.library, hash, digest, signature) == nil && hash != crypto.SHA1
	if got := k.ours.verify(hash, digest, signature); got != good {
		t.Errorf("%v, digest %x, signature %x: %v, the library says %v", hash, digest, signature, got, good)
	}
	return good
}

// encrypt raises a block to the private exponent: a signature of whatever stands in it.
func encrypt(key *rsa.PrivateKey, block []byte) []byte {
	power := new(big.Int).Exp(new(big.Int).SetBytes(block), key.D, key.N)
	return power.FillBytes(make([]byte, key.Size()))
}

// TestRSAIsTheLibrarys compares good signatures, those with a bit changed, and blocks of almost the right form that the key's owner has
// signed: what forgers of signatures build.
func TestRSAIsTheLibrarys(t *testing.T) {
	for _, bits := range []int{2048, 2049, 3072} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		k := judgeRSA(&key.PublicKey)
		for _, hash := range rsaHashes {
			digest := bytes.Repeat([]byte{0xab}, hash.Size())
			signature, err := rsa.SignPKCS1v15(nil, key, hash, digest)
			if err != nil {
				t.Fatal(err)
			}
			if good := k.compare(t, hash, digest, signature); good != (hash != crypto.SHA1) {
				t.Errorf("%d bits, %v: %v", bits, hash, good)
			}
			for _, other := range rsaHashes {
				k.compare(t, other, digest, signature)
			}
			for _, at := range []int{0, 1, len(signature) / 2, len(signature) - 1} {
				bad := bytes.Clone(signature)
				bad[at] ^= 1
				k.compare(t, hash, digest, bad)
			}
			// Of another length, with the same value, with that plus the modulus, and 0.
			k.compare(t, hash, digest, signature[1:])
			k.compare(t, hash, digest, append([]byte{0}, signature...))
			k.compare(t, hash, digest, nil)
			k.compare(t, hash, digest, make([]byte, key.Size()))
			sum := new(big.Int).Add(new(big.Int).SetBytes(signature), key.N)
			k.compare(t, hash, digest, sum.Bytes())
			k.compare(t, hash, digest[1:], signature)
			k.compare(t, hash, append(bytes.Clone(digest), 0), signature)

			block := new(big.Int).Exp(new(big.Int).SetBytes(signature), big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, key.Size()))
			info := bytes.IndexByte(block[2:], 0) + 3 // behind the padding
			for _, at := range []int{0, 1, 2, 9, 10, info - 2, info - 1, info, info + 1, info + 8, len(block) - hash.Size() - 1, len(block) - hash.Size(), len(block) - 1} {
				changed := bytes.Clone(block)
				if changed[at] ^= 1; new(big.Int).SetBytes(changed).Cmp(key.N) < 0 {
					k.compare(t, hash, digest, encrypt(key, changed))
				}
			}
			// Less padding, and something behind the digest: the forgery of 2006.
			short := append(append([]byte{0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, block[info:]...), make([]byte, key.Size())...)
			k.compare(t, hash, digest, encrypt(key, short[:key.Size()]))
		}
	}
}

// FuzzVerifyRSA compares with crypto/rsa. With the exponent 3 and nothing but a public key all there is to find is a forgery.
func FuzzVerifyRSA(f *testing.F) {
	modulus := new(big.Int).SetBytes(append(bytes.Repeat([]byte{0xc5}, 255), 0xb1))
	k := judgeRSA(&rsa.PublicKey{N: modulus, E: 3})
	f.Add(0, bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 256))
	f.Add(1, bytes.Repeat([]byte{1}, 48), modulus.Bytes())
	f.Add(2, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, hash int, digest, signature []byte) {
		k.compare(t, rsaHashes[uint(hash)%uint(len(rsaHashes))], digest, signature)
	})
}
