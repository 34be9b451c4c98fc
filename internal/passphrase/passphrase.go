// Package passphrase reads and compares hashes of passphrases in the PHC string format of argon2id:
//
//	$argon2id$v=19$m=65536,t=3,p=4$SALT$HASH
//
// with m in KiB and SALT and HASH in base64 without padding. The function argon2id itself (RFC 9106) is handed in, so
// that a program without a shell does not contain it.
package passphrase

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of what is accepted: a machine in trouble must be able to compute it. The lower ones are those of RFC 9106, or
// what is no hash but a mistake below.
const (
	MinMemoryKiB, MaxMemoryKiB = 8, 256 << 10
	MaxPasses, MaxLanes        = 64, 16
	minSalt, maxSalt           = 8, 64
	minHash, maxHash           = 16, 64
	version                    = 19
)

// Defaults for new hashes, those that RFC 9106 recommends where memory is short, in section 4.
const (
	DefaultMemoryKiB = 64 << 10
	DefaultPasses    = 3
	DefaultLanes     = 4
	SaltSize         = 16
	HashSize         = 32
)

// Function is argon2id: golang.org/x/crypto/argon2.IDKey.
type Function func(passphrase, salt []byte, passes, memoryKiB uint32, lanes uint8, size uint32) []byte

// Hash is the hash of a passphrase.
type Hash struct {
	MemoryKiB, Passes uint32
	Lanes             uint8
	Salt, Key         []byte
}

// New hashes a passphrase with the default parameters and a salt of SaltSize random bytes.
func New(argon2id Function, passphrase, salt []byte) Hash {
	h := Hash{MemoryKiB: DefaultMemoryKiB, Passes: DefaultPasses, Lanes: DefaultLanes, Salt: salt}
	h.Key = argon2id(passphrase, salt, h.Passes, h.MemoryKiB, h.Lanes, HashSize)
	return h
}

// String returns the PHC string.
func (h Hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", version, h.MemoryKiB, h.Passes, h.Lanes,
		base64.RawStdEncoding.EncodeToString(h.Salt), base64.RawStdEncoding.EncodeToString(h.Key))
}

// Matches reports whether a passphrase is the right one.
func (h Hash) Matches(argon2id Function, passphrase []byte) bool {
	key := argon2id(passphrase, h.Salt, h.Passes, h.MemoryKiB, h.Lanes, uint32(len(h.Key)))
	return subtle.ConstantTimeCompare(key, h.Key) == 1
}

// Parse reads a PHC string.
func Parse(text string) (Hash, error) {
	h, err := parse(text)
	if err != nil {
		return Hash{}, fmt.Errorf("read passphrase hash: %w", err)
	}
	return h, nil
}

func parse(text string) (h Hash, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" {
		return h, errors.New("it does not look like $argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$HASH")
	}
	if parts[1] != "argon2id" {
		return h, fmt.Errorf("%.20q is not argon2id", parts[1])
	}
	if parts[2] != fmt.Sprintf("v=%d", version) {
		return h, fmt.Errorf("version %.20q is not v=%d", parts[2], version)
	}
	numbers := strings.Split(parts[3], ",")
	if len(numbers) != 3 {
		return h, fmt.Errorf("%.60q is not m=KIB,t=PASSES,p=LANES", parts[3])
	}
	var values [3]uint32
	for i, bound := range []struct {
		key       string
		low, high uint64
	}{{"m", MinMemoryKiB, MaxMemoryKiB}, {"t", 1, MaxPasses}, {"p", 1, MaxLanes}} {
		digits, found := strings.CutPrefix(numbers[i], bound.key+"=")
		value, err := strconv.ParseUint(digits, 10, 32)
		if !found || err != nil || digits[0] == '+' {
			return h, fmt.Errorf("%.20q is not %s= and a number", numbers[i], bound.key)
		}
		if value < bound.low || value > bound.high {
			return h, fmt.Errorf("%s=%d is not between %d and %d", bound.key, value, bound.low, bound.high)
		}
		values[i] = uint32(value)
	}
	h.MemoryKiB, h.Passes, h.Lanes = values[0], values[1], uint8(values[2])
	if h.MemoryKiB < 8*uint32(h.Lanes) {
		return h, fmt.Errorf("m=%d is too little for p=%d", h.MemoryKiB, h.Lanes)
	}
	if h.Salt, err = decode("salt", parts[4], minSalt, maxSalt); err != nil {
		return h, err
	}
	h.Key, err = decode("hash", parts[5], minHash, maxHash)
	return h, err
}

func decode(what, text string, low, high int) ([]byte, error) {
	if len(text) > base64.RawStdEncoding.EncodedLen(high) {
		return nil, fmt.Errorf("the %s is longer than %d bytes", what, high)
	}
	data, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the %s is no base64 without padding", what)
	}
	if len(data) < low {
		return nil, fmt.Errorf("the %s has %d bytes, at least %d are needed", what, len(data), low)
	}
	return data, nil
}
