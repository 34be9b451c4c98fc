package veritytable

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ParseRootHash reads a root hash in hex digits of either case. The number of digits must be that
// of the algorithm, and no space is allowed around them.
func ParseRootHash(text, algorithm string) ([]byte, error) {
	size, ok := DigestSize(algorithm)
	if !ok {
		return nil, fmt.Errorf("root hash: hash algorithm %.40q is not supported", algorithm)
	}
	if text == "" {
		return nil, errors.New("root hash is empty")
	}
	for i := range len(text) {
		if !isHexDigit(text[i]) {
			return nil, fmt.Errorf("root hash: character %d, %q, is not a hex digit", i+1, text[i:i+1])
		}
	}
	if len(text) != 2*size {
		return nil, fmt.Errorf("root hash has %d hex digits, %s needs %d", len(text), strings.ToLower(algorithm), 2*size)
	}
	return hex.DecodeString(text)
}

func isHexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
