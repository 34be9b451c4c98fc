package reedsolomon

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// encodeSlowly divides polynomials as one would on paper.
func encodeSlowly(message []byte, roots int) []byte {
	generator := []byte{1} // highest coefficient first
	for i := range roots {
		next := make([]byte, len(generator)+1)
		for j, c := range generator {
			next[j] ^= c
			next[j+1] ^= multiply(c, power(i))
		}
		generator = next
	}
	rest := append(bytes.Clone(message), make([]byte, roots)...)
	for i := range message {
		lead := rest[i]
		for j, c := range generator {
			rest[i+j] ^= multiply(lead, c)
		}
	}
	return rest[len(message):]
}

func randomBytes(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

func newCode(t testing.TB, roots int) *Code {
	t.Helper()
	c, err := New(roots)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRootsAreBounded(t *testing.T) {
	for _, roots := range []int{-1, 0, 1, 25, 255, 1 << 20} {
		if _, err := New(roots); err == nil {
			t.Errorf("%d roots are taken", roots)
		}
	}
}

func TestParityIsTheRemainder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for roots := MinRoots; roots <= MaxRoots; roots++ {
		c := newCode(t, roots)
		const codewords = 5
		rows := make([][]byte, c.MessageSize())
		for i := range rows {
			rows[i] = randomBytes(random, codewords)
		}
		e := c.NewEncoder(codewords + 3)
		e.Reset(codewords)
		// In pieces, so that single rows are taken too.
		e.Add(rows[:3]...)
		e.Add(rows[3:]...)
		got := e.AppendParity(nil)
		for w := range codewords {
			var message []byte
			for _, row := range rows {
				message = append(message, row[w])
			}
			if want := encodeSlowly(message, roots); !bytes.Equal(got[w*roots:(w+1)*roots], want) {
				t.Fatalf("%d roots, codeword %d: %x, want %x", roots, w, got[w*roots:(w+1)*roots], want)
			}
		}
	}
}

// damage changes errors and erasures different symbols and returns the places of the
// erasures, some of which happen to be right.
func damage(random *rand.Rand, codeword []byte, errors, erasures int) []int {
	places := random.Perm(CodewordSize)
	for _, place := range places[:errors] {
		codeword[place] ^= byte(1 + random.IntN(255))
	}
	erased := places[errors : errors+erasures]
	for _, place := range erased {
		codeword[place] = byte(random.Uint32())
	}
	return erased
}

func TestErrorsAndErasuresAreCorrected(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for roots := MinRoots; roots <= MaxRoots; roots++ {
		c := newCode(t, roots)
		for erasures := 0; erasures <= roots; erasures++ {
			for errors := 0; 2*errors+erasures <= roots; errors++ {
				message := randomBytes(random, c.MessageSize())
				good := append(message, encodeSlowly(message, roots)...)
				bad := bytes.Clone(good)
				erased := damage(random, bad, errors, erasures)
				wrong := 0
				for i := range bad {
					if bad[i] != good[i] {
						wrong++
					}
				}
				changed, err := c.Correct(bad, erased)
				if err != nil || changed != wrong || !bytes.Equal(bad, good) {
					t.Fatalf("%d roots, %d errors, %d erasures: changed %d of %d, %v", roots, errors, erasures, changed, wrong, err)
				}
			}
		}
	}
}

// TestTooManyErrors: beyond the bound the result is either refused, with the codeword
// left alone, or another codeword; never something in between.
func TestTooManyErrors(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	refused := 0
	for range 2000 {
		roots := MinRoots + random.IntN(MaxRoots-MinRoots+1)
		c := newCode(t, roots)
		codeword := randomBytes(random, CodewordSize)
		before := bytes.Clone(codeword)
		erased := random.Perm(CodewordSize)[:random.IntN(roots+2)]
		changed, err := c.Correct(codeword, erased)
		if err != nil {
			refused++
			if !errors.Is(err, ErrUncorrectable) || changed != 0 || !bytes.Equal(before, codeword) {
				t.Fatalf("refused with %v, %d changed", err, changed)
			}
			continue
		}
		if !c.syndromes(codeword, make([]byte, roots)) {
			t.Fatalf("%d roots: what is returned is no codeword", roots)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func TestHostileErasures(t *testing.T) {
	c := newCode(t, 4)
	word := make([]byte, CodewordSize)
	word[3] = 1
	for _, erased := range [][]int{{-1}, {255}, {1 << 40}, {1, 1}, {1, 2, 3, 4, 5}} {
		before := bytes.Clone(word)
		if _, err := c.Correct(word, erased); err == nil && !c.syndromes(word, make([]byte, 4)) {
			t.Errorf("erasures %v gave no codeword", erased)
		}
		copy(word, before)
	}
	if _, err := c.Correct(word[:10], nil); err == nil {
		t.Error("a short codeword is taken")
	}
}

func FuzzCorrect(f *testing.F) {
	f.Add(2, []byte{1, 2, 3}, []byte{4})
	f.Add(24, bytes.Repeat([]byte{0xff}, 300), []byte{0, 1, 2, 254, 255})
	f.Fuzz(func(t *testing.T, roots int, word, places []byte) {
		c, err := New(roots)
		if err != nil {
			return
		}
		codeword := make([]byte, CodewordSize)
		copy(codeword, word)
		var erased []int
		for _, place := range places {
			erased = append(erased, int(place))
		}
		if _, err := c.Correct(codeword, erased); err == nil && !c.syndromes(codeword, make([]byte, roots)) {
			t.Error("what is returned is no codeword")
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for _, roots := range []int{2, 8, 16, 24} {
		b.Run(fmt.Sprintf("roots=%d", roots), func(b *testing.B) {
			const codewords = 16 << 10
			c := newCode(b, roots)
			e := c.NewEncoder(codewords)
			rows := make([][]byte, rowsAtOnce)
			for i := range rows {
				rows[i] = randomBytes(rand.New(rand.NewPCG(7, 8)), codewords)
			}
			e.Reset(codewords)
			b.SetBytes(rowsAtOnce * codewords)
			for b.Loop() {
				e.Add(rows...)
			}
		})
	}
}
