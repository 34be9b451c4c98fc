package reedsolomon

import "errors"

// ErrUncorrectable says that a codeword has more errors than its parity can correct.
var ErrUncorrectable = errors.New("more errors than the parity can correct")

// Correct corrects a codeword in place: CodewordSize symbols, the message first, then
// the parity. erased are the places in it, each once, whose symbols are known to be of no
// use; errors elsewhere are found. With e errors and r erasures, 2e+r must
// not exceed the number of roots.
//
// It returns how many symbols it changed. After ErrUncorrectable the codeword is as it
// was. More errors than the bound may, rarely, be taken for fewer others: only a
// hash tells.
func (c *Code) Correct(codeword []byte, erased []int) (changed int, err error) {
	if len(codeword) != CodewordSize || len(erased) > c.roots {
		return 0, ErrUncorrectable
	}
	var syndromes [MaxRoots]byte
	if c.syndromes(codeword, syndromes[:c.roots]) {
		return 0, nil
	}
	locator := c.findLocator(syndromes[:c.roots], erased)
	if locator == nil {
		return 0, ErrUncorrectable
	}
	corrected := [CodewordSize]byte(codeword)
	if !c.evaluateErrors(corrected[:], syndromes[:c.roots], locator) || !c.syndromes(corrected[:], syndromes[:c.roots]) {
		return 0, ErrUncorrectable
	}
	for i, symbol := range corrected {
		if symbol != codeword[i] {
			changed++
		}
	}
	copy(codeword, corrected[:])
	return changed, nil
}

// syndromes evaluates a codeword at the roots and reports whether all values are
// zero: it is one of the code.
func (c *Code) syndromes(codeword, values []byte) bool {
	var any byte
	for j := range values {
		var sum byte
		for _, symbol := range codeword {
			if sum != 0 {
				sum = exponents[logarithms[sum]+j]
			}
			sum ^= symbol
		}
		values[j] = sum
		any |= sum
	}
	return any == 0
}

// findLocator runs the Berlekamp-Massey algorithm, started with the erasures, and
// returns the polynomial whose roots are the inverses of the places of errors
// and erasures, lowest coefficient first; nil if there are too many.
func (c *Code) findLocator(syndromes []byte, erased []int) []byte {
	locator := make([]byte, 1, c.roots+2)
	locator[0] = 1
	for _, place := range erased {
		if place < 0 || place >= CodewordSize {
			return nil
		}
		// times (1 - X x)
		x := power(CodewordSize - 1 - place)
		locator = append(locator, 0)
		for i := len(locator) - 1; i > 0; i-- {
			locator[i] ^= multiply(locator[i-1], x)
		}
	}
	previous := append([]byte(nil), locator...)
	length := len(erased)
	for step := len(erased); step < c.roots; step++ {
		previous = append([]byte{0}, previous...)
		var discrepancy byte
		for i, coefficient := range locator {
			if i <= step {
				discrepancy ^= multiply(coefficient, syndromes[step-i])
			}
		}
		if discrepancy == 0 {
			continue
		}
		next := append([]byte(nil), locator...)
		for len(next) < len(previous) {
			next = append(next, 0)
		}
		for i, coefficient := range previous {
			next[i] ^= multiply(discrepancy, coefficient)
		}
		if 2*length <= step+len(erased) {
			length = step + 1 + len(erased) - length
			previous = previous[:0]
			for _, coefficient := range locator {
				previous = append(previous, divide(coefficient, discrepancy))
			}
		}
		locator = next
	}
	for len(locator) > 1 && locator[len(locator)-1] == 0 {
		locator = locator[:len(locator)-1]
	}
	if degree := len(locator) - 1; degree != length || 2*(degree-len(erased))+len(erased) > c.roots {
		return nil
	}
	return locator
}

// evaluateErrors finds the roots of the locator by trying all places (Chien) and
// takes the error at each off the codeword (Forney). It reports whether there are as
// many roots as the locator's degree.
func (c *Code) evaluateErrors(codeword, syndromes, locator []byte) bool {
	// omega = syndromes * locator mod x^roots
	omega := make([]byte, c.roots)
	for i := range omega {
		for j := 0; j <= i && j < len(locator); j++ {
			omega[i] ^= multiply(locator[j], syndromes[i-j])
		}
	}
	found := 0
	for place := range CodewordSize {
		exponent := CodewordSize - 1 - place
		inverse := power(-exponent)
		if evaluate(locator, inverse) != 0 {
			continue
		}
		found++
		// The derivative keeps the odd coefficients.
		var derivative byte
		for i := 1; i < len(locator); i += 2 {
			derivative ^= multiply(locator[i], power(-exponent*(i-1)))
		}
		if derivative == 0 {
			return false
		}
		codeword[place] ^= multiply(power(exponent), divide(evaluate(omega, inverse), derivative))
	}
	return found == len(locator)-1
}
