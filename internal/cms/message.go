// Package cms checks detached signatures in the Cryptographic Message Syntax (RFC 5652; PKCS #7),
// as root hashes of dm-verity are signed with: by RSA (PKCS #1 v1.5) or ECDSA (P-256, P-384, P-521),
// with SHA-256, SHA-384 or SHA-512, in DER, against certificates that the caller trusts.
//
// It follows no chain of certificates, and looks at no validity dates and no revocation: whoever
// is listed may sign. Certificates inside a message count for nothing. It makes no signatures.
package cms

import (
	"crypto"
	"errors"
	"fmt"
)

const (
	// maxMessage bounds a message in bytes. The kernel takes half of that.
	maxMessage = 64 << 10
	// maxSigners bounds the work that a message can ask for.
	maxSigners = 16
)

// ErrSigner says that no trusted certificate is a signer's.
var ErrSigner = errors.New("signed with a certificate that is not trusted")

// Message is a signed message without its content.
type Message struct {
	signers []signer
	// certificates are those inside it, one after another, of which nothing was read.
	certificates []byte
}

// Parse reads a message of at most 64 KiB. Content inside it is refused, as everything is that
// Verify could not check. The bytes must not change afterwards.
func Parse(der []byte) (*Message, error) {
	m, err := parseContentInfo(der)
	if err != nil {
		return nil, fmt.Errorf("parse signature: %w", err)
	}
	return m, nil
}

func parseContentInfo(der []byte) (*Message, error) {
	if len(der) > maxMessage {
		return nil, fmt.Errorf("it has more than %d bytes", maxMessage)
	}
	info, err := only(der, tagSequence)
	if err != nil {
		return nil, err
	}
	kind, err := info.read(tagOID)
	if err != nil {
		return nil, err
	}
	if string(kind.content) != oidSignedData {
		return nil, errors.New("it is no signed data")
	}
	wrapped, err := info.open(tagNumber0)
	if err != nil {
		return nil, err
	}
	data, err := wrapped.open(tagSequence)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(info.end(), wrapped.end()); err != nil {
		return nil, err
	}
	return parseSignedData(data)
}

func parseSignedData(data *elements) (*Message, error) {
	if _, err := data.readVersion(); err != nil {
		return nil, err
	}
	digests, err := data.readDigests()
	if err != nil {
		return nil, err
	}
	content, err := data.open(tagSequence)
	if err != nil {
		return nil, err
	}
	kind, err := content.read(tagOID)
	if err != nil {
		return nil, err
	}
	if string(kind.content) != oidData {
		return nil, errors.New("what is signed is not of the type data")
	}
	if content.end() != nil {
		return nil, errors.New("it has content inside; it must be detached")
	}
	var certificates element
	if data.has(tagNumber0) {
		if certificates, err = data.next(); err != nil {
			return nil, err
		}
	}
	if data.has(tagNumber1) { // revocations
		if _, err := data.next(); err != nil {
			return nil, err
		}
	}
	list, err := data.open(tagSet)
	if err != nil {
		return nil, err
	}
	if err := data.end(); err != nil {
		return nil, err
	}
	m, err := parseSigners(list, digests)
	if err != nil {
		return nil, err
	}
	m.certificates = certificates.content
	return m, nil
}

// readVersion reads the version of a structure: 1, or 3 where subject key identifiers are used.
func (e *elements) readVersion() (byte, error) {
	digits, err := e.readUnsigned()
	if err != nil {
		return 0, err
	}
	if len(digits) != 1 || (digits[0] != 1 && digits[0] != 3) {
		return 0, errors.New("its version is neither 1 nor 3")
	}
	return digits[0], nil
}

// readDigests reads the set of digest algorithms that the signers use.
func (e *elements) readDigests() (map[crypto.Hash]bool, error) {
	list, err := e.open(tagSet)
	if err != nil {
		return nil, err
	}
	digests := map[crypto.Hash]bool{}
	for len(list.rest) > 0 {
		hash, err := list.readDigest()
		if err != nil {
			return nil, err
		}
		digests[hash] = true
	}
	return digests, nil
}

func (e *elements) readDigest() (crypto.Hash, error) {
	identifier, err := e.readPlainAlgorithm()
	if err != nil {
		return 0, err
	}
	hash, ok := digestByOID(identifier)
	if !ok {
		return 0, errors.New("a digest is none of SHA-256, SHA-384, SHA-512")
	}
	return hash, nil
}

func parseSigners(list *elements, digests map[crypto.Hash]bool) (*Message, error) {
	m := &Message{}
	for len(list.rest) > 0 {
		if len(m.signers) == maxSigners {
			return nil, fmt.Errorf("it has more than %d signers", maxSigners)
		}
		info, err := list.open(tagSequence)
		if err != nil {
			return nil, err
		}
		s, err := parseSigner(info)
		if err != nil {
			return nil, err
		}
		if !digests[s.hash] {
			return nil, errors.New("a signer's digest is not among those of the message")
		}
		m.signers = append(m.signers, *s)
	}
	if len(m.signers) == 0 {
		return nil, errors.New("it has no signer")
	}
	return m, nil
}
