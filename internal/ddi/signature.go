package ddi

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/preroot/preroot/internal/jsontext"
)

const (
	maxSignaturePartition = 4 << 20
	minRootHash           = 16 // bytes: half of it must fill a partition UUID
	maxRootHash           = 64 // sha512
	fingerprintSize       = 32 // sha256
)

// SignaturePartition is the content of a verity signature partition.
type SignaturePartition struct {
	RootHash []byte // 16 to 64 bytes
	// Fingerprint is the SHA-256 of the signer's certificate in lower case hex, "" if it is not
	// given or is none. It is a hint where to look, nothing that is signed.
	Fingerprint string
	// Signature is a PKCS#7 message in DER, detached, over the root hash as lower case hex text. It
	// is not parsed here.
	Signature []byte
}

func readSignature(r io.ReaderAt, place Area) (*SignaturePartition, error) {
	if place.Size > maxSignaturePartition {
		return nil, fmt.Errorf("signature partition has %d bytes, at most %d", place.Size, maxSignaturePartition)
	}
	content := make([]byte, place.Size)
	if n, err := r.ReadAt(content, place.Offset); n < len(content) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read signature partition: %w", err)
	}
	return ParseSignaturePartition(content)
}

// ParseSignaturePartition reads a whole signature partition, at most 4 MiB: one JSON object, filled
// up with NUL bytes. rootHash and signature must be there, each once; other members are ignored.
func ParseSignaturePartition(content []byte) (*SignaturePartition, error) {
	if len(content) > maxSignaturePartition {
		return nil, fmt.Errorf("signature partition has %d bytes, at most %d", len(content), maxSignaturePartition)
	}
	text := bytes.TrimRight(content, "\x00")
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, errors.New("signature partition: text goes on behind a NUL byte")
	}
	if len(text) == 0 {
		return nil, errors.New("signature partition is empty")
	}
	members, err := readMembers(text)
	if err != nil {
		return nil, fmt.Errorf("signature partition: %w", err)
	}
	s := &SignaturePartition{}
	if s.RootHash, err = hex.DecodeString(members["rootHash"]); err != nil {
		return nil, errors.New("signature partition: rootHash is not hex")
	}
	if len(s.RootHash) < minRootHash || len(s.RootHash) > maxRootHash {
		return nil, fmt.Errorf("signature partition: rootHash has %d bytes, not within %d to %d",
			len(s.RootHash), minRootHash, maxRootHash)
	}
	if s.Signature, err = base64.StdEncoding.DecodeString(members["signature"]); err != nil {
		return nil, errors.New("signature partition: signature is not base64")
	}
	if len(s.Signature) == 0 {
		return nil, errors.New("signature partition: signature is missing or empty")
	}
	if fingerprint, err := hex.DecodeString(members["certificateFingerprint"]); err == nil && len(fingerprint) == fingerprintSize {
		s.Fingerprint = strings.ToLower(members["certificateFingerprint"])
	}
	return s, nil
}

// readMembers returns the members of one JSON object that are strings. A name that is there twice is an error: two readers could
// see two root hashes.
func readMembers(text []byte) (map[string]string, error) {
	value, err := jsontext.Parse(text)
	if err != nil {
		return nil, err
	}
	object, ok := value.(jsontext.Object)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	members := map[string]string{}
	seen := map[string]bool{}
	for _, member := range object {
		if seen[member.Name] {
			return nil, fmt.Errorf("%.40q twice", member.Name)
		}
		seen[member.Name] = true
		if text, ok := member.Value.(string); ok {
			members[member.Name] = text
		}
	}
	return members, nil
}
