package reedsolomon

import (
	"encoding/binary"
	"fmt"
)

// Code is the code with a number of roots. It is read-only and may be used by
// several goroutines.
type Code struct {
	roots int
	// feedback[word][f] has the products of the feedback byte f with the
	// generator's coefficients, the highest power in the lowest byte.
	feedback [3][256]uint64
	// words of feedback that are in use.
	words int
}

// New returns the code with 2 to 24 roots; else the error says so.
func New(roots int) (*Code, error) {
	if roots < MinRoots || roots > MaxRoots {
		return nil, fmt.Errorf("%d parity bytes, not within %d to %d", roots, MinRoots, MaxRoots)
	}
	filled.Do(fillField)
	// g(x) = (x - 2^0)(x - 2^1)..., lowest coefficient first.
	generator := []byte{1}
	for i := range roots {
		next := make([]byte, len(generator)+1)
		for j, c := range generator {
			next[j] ^= multiply(c, power(i))
			next[j+1] ^= c
		}
		generator = next
	}
	c := &Code{roots: roots, words: (roots + 7) / 8}
	for f := range 256 {
		for i := range roots {
			product := multiply(byte(f), generator[roots-1-i])
			c.feedback[i/8][f] |= uint64(product) << (i % 8 * 8)
		}
	}
	return c, nil
}

// Roots is the number of parity symbols of a codeword.
func (c *Code) Roots() int { return c.roots }

// MessageSize is the number of message symbols of a codeword.
func (c *Code) MessageSize() int { return CodewordSize - c.roots }

// Encoder computes the parity of many codewords side by side. The memory is 8 to 24
// bytes a codeword.
type Encoder struct {
	code  *Code
	state [3][]uint64
}

// NewEncoder makes an encoder for up to size codewords.
func (c *Code) NewEncoder(size int) *Encoder {
	e := &Encoder{code: c}
	for i := range c.words {
		e.state[i] = make([]uint64, size)
	}
	return e
}

// Reset starts n new codewords, at most as many as the encoder was made for.
func (e *Encoder) Reset(n int) {
	for i := range e.code.words {
		e.state[i] = e.state[i][:n]
		clear(e.state[i])
	}
}

// rowsAtOnce is how many symbols of a codeword Add takes in one go.
const rowsAtOnce = 8

// Add appends a symbol to every codeword: row[i] is that of codeword i. Rows
// must come in the message's order, all of them, zeros included; several are
// faster than one at a time.
func (e *Encoder) Add(rows ...[]byte) {
	for len(rows) >= rowsAtOnce {
		eight := (*[rowsAtOnce][]byte)(rows)
		switch e.code.words {
		case 1:
			e.addEight1(eight)
		case 2:
			e.addEight2(eight)
		default:
			e.addEight3(eight)
		}
		rows = rows[rowsAtOnce:]
	}
	for _, row := range rows {
		e.addOne(row)
	}
}

// The registers below hold the remainder of a division by the generator: the
// lowest byte is the coefficient of the highest power, which each new symbol
// is added to; that sum, the feedback, times the generator is taken off.

func (e *Encoder) addOne(row []byte) {
	s0, t0 := e.state[0], &e.code.feedback[0]
	for i, symbol := range row[:len(s0)] {
		f := symbol ^ byte(s0[i])
		s0[i] = s0[i]>>8 ^ t0[f]
		for word := 1; word < e.code.words; word++ {
			s := e.state[word]
			e.state[word-1][i] ^= s[i] << 56
			s[i] = s[i]>>8 ^ e.code.feedback[word][f]
		}
	}
}

func (e *Encoder) addEight1(rows *[rowsAtOnce][]byte) {
	s0, t0 := e.state[0], &e.code.feedback[0]
	n := len(s0)
	r0, r1, r2, r3 := rows[0][:n], rows[1][:n], rows[2][:n], rows[3][:n]
	r4, r5, r6, r7 := rows[4][:n], rows[5][:n], rows[6][:n], rows[7][:n]
	// Two codewords at a time: the steps of one wait for each other.
	i := 0
	for ; i+1 < n; i += 2 {
		a, b := s0[i], s0[i+1]
		a, b = a>>8^t0[r0[i]^byte(a)], b>>8^t0[r0[i+1]^byte(b)]
		a, b = a>>8^t0[r1[i]^byte(a)], b>>8^t0[r1[i+1]^byte(b)]
		a, b = a>>8^t0[r2[i]^byte(a)], b>>8^t0[r2[i+1]^byte(b)]
		a, b = a>>8^t0[r3[i]^byte(a)], b>>8^t0[r3[i+1]^byte(b)]
		a, b = a>>8^t0[r4[i]^byte(a)], b>>8^t0[r4[i+1]^byte(b)]
		a, b = a>>8^t0[r5[i]^byte(a)], b>>8^t0[r5[i+1]^byte(b)]
		a, b = a>>8^t0[r6[i]^byte(a)], b>>8^t0[r6[i+1]^byte(b)]
		a, b = a>>8^t0[r7[i]^byte(a)], b>>8^t0[r7[i+1]^byte(b)]
		s0[i], s0[i+1] = a, b
	}
	for ; i < n; i++ {
		a := s0[i]
		for _, row := range rows {
			a = a>>8 ^ t0[row[i]^byte(a)]
		}
		s0[i] = a
	}
}

func (e *Encoder) addEight2(rows *[rowsAtOnce][]byte) {
	s0, t0 := e.state[0], &e.code.feedback[0]
	n := len(s0)
	s1, t1 := e.state[1][:n], &e.code.feedback[1]
	for i, a := range s0 {
		b := s1[i]
		for _, row := range rows {
			f := row[i] ^ byte(a)
			a = a>>8 ^ b<<56 ^ t0[f]
			b = b>>8 ^ t1[f]
		}
		s0[i], s1[i] = a, b
	}
}

func (e *Encoder) addEight3(rows *[rowsAtOnce][]byte) {
	s0, t0 := e.state[0], &e.code.feedback[0]
	n := len(s0)
	s1, t1 := e.state[1][:n], &e.code.feedback[1]
	s2, t2 := e.state[2][:n], &e.code.feedback[2]
	for i, a := range s0 {
		b, c := s1[i], s2[i]
		for _, row := range rows {
			f := row[i] ^ byte(a)
			a = a>>8 ^ b<<56 ^ t0[f]
			b = b>>8 ^ c<<56 ^ t1[f]
			c = c>>8 ^ t2[f]
		}
		s0[i], s1[i], s2[i] = a, b, c
	}
}

// AppendParity appends the parity of all codewords, roots bytes each, the highest
// power first.
func (e *Encoder) AppendParity(to []byte) []byte {
	var parity [MaxRoots]byte
	for i := range e.state[0] {
		for word := range e.code.words {
			binary.LittleEndian.PutUint64(parity[word*8:], e.state[word][i])
		}
		to = append(to, parity[:e.code.roots]...)
	}
	return to
}
