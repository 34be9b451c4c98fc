package cms

import (
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

// Sizes of RSA keys in bits. Smaller ones can be broken; larger ones are nothing but
// slow, and no tool makes them by default.
const (
	minRSA = 2048
	maxRSA = 8192
)

// publicKey is a key of one of two kinds; the other is nil. It is no interface: math/big behind
// one keeps 15 KB of methods in the program that nobody calls.
type publicKey struct {
	rsa   *rsaKey
	ecdsa *ecdsaKey
}

// verifies reports whether the signature is the key's, of the digest.
func (k publicKey) verifies(a signatureAlgorithm, hash crypto.Hash, digest, signature []byte) bool {
	switch {
	case a.scheme == schemeRSA && k.rsa != nil:
		return k.rsa.verify(hash, digest, signature)
	case a.scheme == schemeECDSA && k.ecdsa != nil:
		return k.ecdsa.verify(digest, signature)
	}
	return false
}

// readPublicKey reads a SubjectPublicKeyInfo.
func readPublicKey(body *elements) (publicKey, error) {
	info, err := body.open(tagSequence)
	if err != nil {
		return publicKey{}, err
	}
	algorithm, parameters, err := info.readAlgorithm()
	if err != nil {
		return publicKey{}, err
	}
	bits, err := info.readWholeBytes()
	if err != nil {
		return publicKey{}, err
	}
	if err := info.end(); err != nil {
		return publicKey{}, err
	}
	switch algorithm {
	case oidRSA:
		key, err := parseRSA(bits)
		return publicKey{rsa: key}, err
	case oidEC:
		curve := newCurve(string(parameters.content))
		if curve == nil || parameters.tag != tagOID {
			return publicKey{}, errors.New("the curve of the key is none of P-256, P-384, P-521")
		}
		point, err := curve.parsePoint(bits)
		return publicKey{ecdsa: point}, err
	}
	return publicKey{}, errors.New("the key is neither RSA nor ECDSA")
}

// parseRSA reads an RSAPublicKey (RFC 8017, A.1.1).
func parseRSA(der []byte) (*rsaKey, error) {
	numbers, err := only(der, tagSequence)
	if err != nil {
		return nil, err
	}
	modulus, err := numbers.readUnsigned()
	if err != nil {
		return nil, err
	}
	exponent, err := numbers.readUnsigned()
	if err != nil {
		return nil, err
	}
	if err := numbers.end(); err != nil {
		return nil, err
	}
	if len(modulus) > maxRSA/8 {
		return nil, fmt.Errorf("the RSA key has more than %d bits", maxRSA)
	}
	n := new(big.Int).SetBytes(modulus)
	if n.BitLen() < minRSA {
		return nil, fmt.Errorf("the RSA key has %d bits, less than %d", n.BitLen(), minRSA)
	}
	var padded [4]byte
	if len(exponent) > len(padded) {
		return nil, errors.New("the exponent of the RSA key has more than 31 bits")
	}
	copy(padded[len(padded)-len(exponent):], exponent)
	e := binary.BigEndian.Uint32(padded[:])
	switch {
	case e >= 1<<31: // crypto/rsa takes no more
		return nil, errors.New("the exponent of the RSA key has more than 31 bits")
	case e < 3 || e%2 == 0 || n.Bit(0) == 0:
		return nil, errors.New("the RSA key has an even modulus or an exponent that is even or 1")
	}
	return &rsaKey{n: n, e: e}, nil
}
