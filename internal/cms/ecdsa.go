package cms

import (
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
)

// The standard library's crypto/ecdsa would be a fifth of bin/preroot (tables, code
// generated for each curve, key generation, self tests), which is why signatures are checked here. Only
// checking is simple enough for that: it knows no secrets, so that time and memory may tell everything,
// and it needs no randomness. The tests compare with crypto/ecdsa.

// curve is one of FIPS 186-4, D.1.2: y² = x³ - 3x + b modulo p. The point (x, y) generates all of
// it; its order n is a prime.
type curve struct {
	p, n, b, x, y *big.Int
}

// newCurve returns the curve that an object identifier names, nil if it is none of the three.
func newCurve(identifier string) *curve {
	switch identifier {
	case oidP256:
		return &curve{
			p: number("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
			n: number("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
			b: number("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"),
			x: number("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
			y: number("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
		}
	case oidP384:
		return &curve{
			p: number("ffffffffffffffffffffffffffffffffffffffffffffffff", "fffffffffffffffeffffffff0000000000000000ffffffff"),
			n: number("ffffffffffffffffffffffffffffffffffffffffffffffff", "c7634d81f4372ddf581a0db248b0a77aecec196accc52973"),
			b: number("b3312fa7e23ee7e4988e056be3f82d19181d9c6efe814112", "0314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef"),
			x: number("aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b98", "59f741e082542a385502f25dbf55296c3a545e3872760ab7"),
			y: number("3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147c", "e9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f"),
		}
	case oidP521:
		return &curve{
			p: number("01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
				"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
			n: number("01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa",
				"51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409"),
			b: number("0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e1",
				"56193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00"),
			x: number("00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dba",
				"a14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66"),
			y: number("011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c",
				"97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650"),
		}
	}
	return nil
}

// number reads the constants above.
func number(hexDigits ...string) *big.Int {
	digits, err := hex.DecodeString(strings.Join(hexDigits, ""))
	if err != nil {
		panic(err)
	}
	return new(big.Int).SetBytes(digits)
}

// ecdsaKey is a point of the curve other than zero.
type ecdsaKey struct {
	*curve
	point point
}

// parsePoint reads an uncompressed point (SEC 1, 2.3.4), which must be of the curve.
func (c *curve) parsePoint(encoded []byte) (*ecdsaKey, error) {
	size := (c.p.BitLen() + 7) / 8
	if len(encoded) != 1+2*size || encoded[0] != 4 {
		return nil, errors.New("the public key is not an uncompressed point of the curve's size")
	}
	x := new(big.Int).SetBytes(encoded[1 : 1+size])
	y := new(big.Int).SetBytes(encoded[1+size:])
	if x.Cmp(c.p) >= 0 || y.Cmp(c.p) >= 0 {
		return nil, errors.New("the public key has a coordinate that is too large")
	}
	// x³ - 3x + b
	right := c.times(c.times(x, x), x)
	right.Sub(right, c.times(big.NewInt(3), x)).Add(right, c.b).Mod(right, c.p)
	if c.times(y, y).Cmp(right) != 0 {
		return nil, errors.New("the public key is not a point of the curve")
	}
	return &ecdsaKey{c, point{x, y, big.NewInt(1)}}, nil
}

// verify checks a signature, an ECDSA-Sig-Value in DER (RFC 3279), of a digest: FIPS 186-4, 6.4.
func (k *ecdsaKey) verify(digest, signature []byte) bool {
	numbers, err := only(signature, tagSequence)
	if err != nil {
		return false
	}
	r, err := k.readScalar(numbers)
	if err != nil {
		return false
	}
	s, err := k.readScalar(numbers)
	if err != nil || numbers.end() != nil {
		return false
	}
	inverse := invert(s, k.n)
	// Of a digest that is longer than the order the leftmost bits count.
	u1 := new(big.Int).SetBytes(digest)
	u1.Rsh(u1, uint(max(0, 8*len(digest)-k.n.BitLen())))
	u1.Mul(u1, inverse).Mod(u1, k.n)
	u2 := new(big.Int).Mul(r, inverse)
	u2.Mod(u2, k.n)

	sum := k.combine(u1, u2, k.point)
	if sum.z.Sign() == 0 {
		return false
	}
	x := k.times(sum.x, invert(sum.z, k.p))
	return x.Mod(x, k.n).Cmp(r) == 0
}

// readScalar reads a number from 1 to n-1.
func (c *curve) readScalar(numbers *elements) (*big.Int, error) {
	digits, err := numbers.readUnsigned()
	if err != nil {
		return nil, err
	}
	if len(digits) > (c.n.BitLen()+7)/8 {
		return nil, errors.New("a number is too large")
	}
	number := new(big.Int).SetBytes(digits)
	if number.Sign() == 0 || number.Cmp(c.n) >= 0 {
		return nil, errors.New("a number is out of range")
	}
	return number, nil
}

// point is (x/z, y/z), or zero if z is 0.
type point struct {
	x, y, z *big.Int
}

// combine returns u1 times the generator plus u2 times q. Both are added up in one go, a
// doubling for each bit.
func (c *curve) combine(u1, u2 *big.Int, q point) point {
	g := point{c.x, c.y, big.NewInt(1)}
	zero := point{new(big.Int), big.NewInt(1), new(big.Int)}
	summands := [4]point{zero, g, q, c.add(g, q)}
	sum := zero
	for i := max(u1.BitLen(), u2.BitLen()) - 1; i >= 0; i-- {
		sum = c.add(sum, sum)
		if bits := u1.Bit(i) | u2.Bit(i)<<1; bits != 0 {
			sum = c.add(sum, summands[bits])
		}
	}
	return sum
}

// add adds two points, whichever they are: the formulas of Renes, Costello and Batina, "Complete
// addition formulas for prime order elliptic curves" (2015), equation (1) with a = -3, have no
// exceptions for zero, for doubling or for a point and its negative.
func (c *curve) add(p, q point) point {
	xx, yy, zz := c.times(p.x, q.x), c.times(p.y, q.y), c.times(p.z, q.z)
	xy := c.sum(p.x, q.y, p.y, q.x)
	xz := c.sum(p.x, q.z, p.z, q.x)
	yz := c.sum(p.y, q.z, p.z, q.y)

	three := big.NewInt(3)
	b3zz := c.times(c.b, zz)
	b3zz.Mul(b3zz, three)
	xz3 := new(big.Int).Mul(xz, three)
	zz3 := new(big.Int).Mul(zz, three)

	// s = -3 xz + 3b zz
	s := new(big.Int).Sub(b3zz, xz3)
	minus, plus := new(big.Int).Sub(yy, s), new(big.Int).Add(yy, s)
	// t = 3 xx - 3 zz
	t := new(big.Int).Mul(xx, three)
	t.Sub(t, zz3)
	// u = -3 xx + 3b xz - 9 zz
	u := c.times(c.b, xz)
	u.Sub(u, xx).Sub(u, zz3).Mul(u, three)

	return point{
		x: c.sum(xy, minus, new(big.Int).Neg(yz), u),
		y: c.sum(t, u, plus, minus),
		z: c.sum(yz, plus, xy, t),
	}
}

// times returns a·b modulo p.
func (c *curve) times(a, b *big.Int) *big.Int {
	product := new(big.Int).Mul(a, b)
	return product.Mod(product, c.p)
}

// invert returns 1/a modulo a prime, which is a to the power of the prime minus 2; a is not 0.
func invert(a, prime *big.Int) *big.Int {
	return raise(a, new(big.Int).Sub(prime, big.NewInt(2)), prime)
}

// raise returns a to the power of exponent modulo modulus.
func raise(a, exponent, modulus *big.Int) *big.Int {
	power := big.NewInt(1)
	for i := exponent.BitLen() - 1; i >= 0; i-- {
		power.Mul(power, power).Mod(power, modulus)
		if exponent.Bit(i) == 1 {
			power.Mul(power, a).Mod(power, modulus)
		}
	}
	return power
}

// sum returns a·b + d·e modulo p.
func (c *curve) sum(a, b, d, e *big.Int) *big.Int {
	product := new(big.Int).Mul(a, b)
	product.Add(product, new(big.Int).Mul(d, e))
	return product.Mod(product, c.p)
}
