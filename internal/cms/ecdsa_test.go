package cms

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"
	"slices"
	"testing"
)

// The standard library is the judge.
var judges = map[string]elliptic.Curve{oidP256: elliptic.P256(), oidP384: elliptic.P384(), oidP521: elliptic.P521()}

func TestCurves(t *testing.T) {
	for identifier, judge := range judges {
		c, want := newCurve(identifier), judge.Params()
		for name, pair := range map[string][2]*big.Int{
			"p": {c.p, want.P}, "n": {c.n, want.N}, "b": {c.b, want.B}, "x": {c.x, want.Gx}, "y": {c.y, want.Gy},
		} {
			if pair[0].Cmp(pair[1]) != 0 {
				t.Errorf("%s: %s is %x", want.Name, name, pair[0])
			}
		}
	}
	if newCurve("") != nil || newCurve(oidRSA) != nil {
		t.Error("more curves")
	}
}

// judged is a key in both forms.
type judged struct {
	own     *ecdsaKey
	judge   *ecdsa.PublicKey
	encoded []byte
}

func newJudged(t testing.TB, identifier string, encoded []byte) judged {
	t.Helper()
	own, err := newCurve(identifier).parsePoint(encoded)
	if err != nil {
		t.Fatal(err)
	}
	judge, err := ecdsa.ParseUncompressedPublicKey(judges[identifier], encoded)
	if err != nil {
		t.Fatal(err)
	}
	return judged{own, judge, encoded}
}

// compare gives one signature to both.
func (k judged) compare(t testing.TB, digest, signature []byte) bool {
	t.Helper()
	if t.Failed() {
		t.FailNow() // one case is enough
	}
	got, want := k.own.verify(digest, signature), ecdsa.VerifyASN1(k.judge, digest, signature)
	if got != want {
		t.Errorf("%v, crypto/ecdsa says %v: key %x, digest %x, signature %x", got, want, k.encoded, digest, signature)
	}
	return got
}

func TestVerifyAsCryptoECDSA(t *testing.T) {
	for identifier, curve := range judges {
		for range 3 {
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := key.PublicKey.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			k := newJudged(t, identifier, encoded)
			small, large := sha256.Sum256(encoded), sha512.Sum512(encoded)
			for _, digest := range [][]byte{small[:], large[:48], large[:], make([]byte, 32)} {
				signature, err := ecdsa.SignASN1(rand.Reader, key, digest)
				if err != nil {
					t.Fatal(err)
				}
				if !k.compare(t, digest, signature) {
					t.Error("a right signature does not verify")
				}
				wrong := slices.Clone(digest)
				wrong[0] ^= 1
				if k.compare(t, wrong, signature) {
					t.Error("a wrong digest verifies")
				}
			}
		}
	}
}

// TestVerifyAtTheEdges takes keys and numbers with which sums of points meet zero, doublings and
// negatives, and numbers at the ends of their ranges.
func TestVerifyAtTheEdges(t *testing.T) {
	for identifier, curve := range judges {
		n, bits := curve.Params().N, curve.Params().N.BitLen()
		one, two := big.NewInt(1), big.NewInt(2)
		size := (bits + 7) / 8
		publicKey := func(secret *big.Int) []byte {
			key, err := ecdsa.ParseRawPrivateKey(curve, secret.FillBytes(make([]byte, size)))
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := key.PublicKey.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			return encoded
		}
		double := new(big.Int).SetBytes(publicKey(two)[1 : 1+size])
		minus := new(big.Int).Sub(n, one)
		rs := []*big.Int{new(big.Int), one, minus, n, new(big.Int).Neg(one), new(big.Int).Mod(curve.Params().Gx, n), new(big.Int).Mod(double, n),
			new(big.Int).Add(n, curve.Params().Gx)}
		ss := []*big.Int{new(big.Int), one, two, minus, n, new(big.Int).Add(n, one), new(big.Int).Neg(one), new(big.Int).Lsh(one, uint(bits))}
		verified := 0
		for _, secret := range []*big.Int{one, two, minus} {
			k := newJudged(t, identifier, publicKey(secret))
			for _, r := range rs {
				for _, s := range ss {
					signature := der(tagSequence, der(tagInteger, contentOf(t, r)), der(tagInteger, contentOf(t, s)))
					// What is signed, e, decides about the sum, (e + r·secret)/s times the generator. Make it once, twice and
					// zero times the generator.
					shared := new(big.Int).Mul(r, secret)
					for _, sum := range []*big.Int{s, new(big.Int).Lsh(s, 1), new(big.Int)} {
						e := new(big.Int).Sub(sum, shared)
						// The digest is as long as the order and starts with e.
						digest := e.Mod(e, n).Lsh(e, uint(8*size-bits)).FillBytes(make([]byte, size))
						if k.compare(t, digest, signature) {
							verified++
						}
					}
				}
			}
		}
		if verified < 18 {
			t.Errorf("%s: only %d signatures were right", curve.Params().Name, verified)
		}
	}
}

func TestParsePointRefuses(t *testing.T) {
	c := newCurve(oidP256)
	size := 32
	point := func(x, y *big.Int) []byte {
		return slices.Concat([]byte{4}, x.FillBytes(make([]byte, size)), y.FillBytes(make([]byte, size)))
	}
	if _, err := c.parsePoint(point(c.x, c.y)); err != nil {
		t.Error(err)
	}
	zero, one := new(big.Int), big.NewInt(1)
	for name, encoded := range map[string][]byte{
		"nothing": nil, "zero": {0}, "origin": point(zero, zero), "not on the curve": point(c.x, new(big.Int).Add(c.y, one)),
		"swapped": point(c.y, c.x), "x too large": point(c.p, zero), "y too large": point(zero, c.p),
		"short": point(c.x, c.y)[:64], "long": append(point(c.x, c.y), 0), "compressed": point(c.x, c.y)[:33],
		"hybrid": append([]byte{6}, point(c.x, c.y)[1:]...),
	} {
		if _, err := c.parsePoint(encoded); err == nil {
			t.Errorf("%s is taken", name)
		}
		if _, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), encoded); err == nil {
			t.Errorf("%s is taken by crypto/ecdsa", name)
		}
	}
	// x + p is the same coordinate written otherwise.
	large := new(big.Int).Add(big.NewInt(5), c.p)
	if large.BitLen() <= 8*size {
		if _, err := c.parsePoint(point(large, c.y)); err == nil {
			t.Error("a coordinate above p is taken")
		}
	}
}

func BenchmarkVerifyECDSA(b *testing.B) {
	for name, identifier := range map[string]string{"P-256": oidP256, "P-384": oidP384, "P-521": oidP521} {
		b.Run(name, func(b *testing.B) {
			key, err := ecdsa.GenerateKey(judges[identifier], rand.Reader)
			if err != nil {
				b.Fatal(err)
			}
			encoded, err := key.PublicKey.Bytes()
			if err != nil {
				b.Fatal(err)
			}
			digest := sha256.Sum256(encoded)
			signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
			if err != nil {
				b.Fatal(err)
			}
			k := newJudged(b, identifier, encoded)
			for b.Loop() {
				if !k.own.verify(digest[:], signature) {
					b.Fatal("wrong")
				}
			}
		})
	}
}
