// Package reedsolomon is the Reed-Solomon code of dm-verity's error correction:
// RS(255, 255-roots) over GF(2^8) with 2 to 24 roots, as in
// lib/reed_solomon of Linux with the parameters of drivers/md/dm-verity-fec.h (symbol
// size 8, polynomial 0x11d, first root 2^0, primitive element 2).
//
// It encodes many codewords side by side and corrects single ones, with errors at
// unknown and erasures at known places. It knows nothing of blocks and
// devices; package fec does.
package reedsolomon

import "sync"

// Sizes of the code, in symbols of one byte.
const (
	// CodewordSize is the number of symbols of a codeword, message and parity.
	CodewordSize = 255
	MinRoots     = 2
	MaxRoots     = 24
)

const polynomial = 0x11d

// exponents[i] is 2^i, twice over so that sums of two logarithms need no
// reduction; logarithms is its inverse, without a value for 0. New fills them: most calls of the program need neither.
var (
	exponents  [2 * CodewordSize]byte
	logarithms [256]int
	filled     sync.Once
)

func fillField() {
	x := 1
	for i := range CodewordSize {
		exponents[i], exponents[i+CodewordSize] = byte(x), byte(x)
		logarithms[x] = i
		if x <<= 1; x > 255 {
			x ^= polynomial
		}
	}
}

func multiply(a, b byte) byte {
	if a == 0 || b == 0 {
		return 0
	}
	return exponents[logarithms[a]+logarithms[b]]
}

// divide needs b != 0.
func divide(a, b byte) byte {
	if a == 0 {
		return 0
	}
	return exponents[logarithms[a]+CodewordSize-logarithms[b]]
}

// power returns 2^n; n may be negative.
func power(n int) byte {
	n %= CodewordSize
	if n < 0 {
		n += CodewordSize
	}
	return exponents[n]
}

// evaluate returns the value of a polynomial, lowest coefficient first.
func evaluate(polynomial []byte, x byte) byte {
	var sum byte
	for i := len(polynomial) - 1; i >= 0; i-- {
		sum = multiply(sum, x) ^ polynomial[i]
	}
	return sum
}
