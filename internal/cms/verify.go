package cms

import (
	"bytes"
	"errors"
	"fmt"
)

// Verify checks that every signer of the message has signed the content with the key of a trusted
// certificate. ErrSigner is matched if a signer has none.
//
// The content must not be chosen by whoever made the message: signed attributes, which are DER,
// would pass as content.
func (m *Message) Verify(content []byte, trusted []*Certificate) error {
	for i := range m.signers {
		if err := m.signers[i].verify(content, trusted); err != nil {
			return fmt.Errorf("verify signature: %w", err)
		}
	}
	if len(m.signers) == 0 {
		return errors.New("verify signature: there is none")
	}
	return nil
}

// Verify parses a message and verifies it.
func Verify(der, content []byte, trusted []*Certificate) error {
	m, err := Parse(der)
	if err != nil {
		return err
	}
	return m.Verify(content, trusted)
}

func (s *signer) verify(content []byte, trusted []*Certificate) error {
	digest := s.digest(content)
	if s.attributes != nil {
		if !bytes.Equal(digest, s.messageDigest) {
			return errors.New("the content is not what was signed")
		}
		digest = s.digest(s.attributes)
	}
	known := false
	for _, c := range trusted {
		if !s.names(c) {
			continue
		}
		known = true
		// Key identifiers are not sure to be unique.
		if c.key.verifies(s.algorithm, s.hash, digest, s.signature) {
			return nil
		}
	}
	if !known {
		return ErrSigner
	}
	return errors.New("the signature is wrong, or of other content")
}

func (s *signer) digest(content []byte) []byte {
	hash := s.hash.New()
	hash.Write(content)
	return hash.Sum(nil)
}

// names reports whether the signer says that the certificate is its own.
func (s *signer) names(c *Certificate) bool {
	if s.subjectKeyID != nil {
		return bytes.Equal(s.subjectKeyID, c.subjectKeyID)
	}
	return bytes.Equal(s.serial, c.serial) && bytes.Equal(s.issuer, c.issuer)
}
