package cms

import (
	"bytes"
	"crypto"
	"errors"
)

// signer is a SignerInfo.
type signer struct {
	// issuer and serial, as in Certificate, or the subject key identifier name the certificate.
	issuer, serial []byte
	subjectKeyID   []byte

	hash      crypto.Hash
	algorithm signatureAlgorithm
	// attributes is the SET of what is signed instead of the content, nil if the content is.
	attributes []byte
	// messageDigest is the content's digest among the attributes.
	messageDigest []byte
	signature     []byte
}

func parseSigner(info *elements) (*signer, error) {
	s := &signer{}
	if err := s.parseIdentifier(info); err != nil {
		return nil, err
	}
	var err error
	if s.hash, err = info.readDigest(); err != nil {
		return nil, err
	}
	if info.has(tagNumber0) {
		attributes, err := info.next()
		if err != nil {
			return nil, err
		}
		if err := s.parseAttributes(attributes); err != nil {
			return nil, err
		}
	}
	identifier, err := info.readPlainAlgorithm()
	if err != nil {
		return nil, err
	}
	algorithm, ok := signatureByOID(identifier)
	if !ok {
		return nil, errors.New("a signature is neither RSA (PKCS #1 v1.5) nor ECDSA with SHA-256, SHA-384 or SHA-512")
	}
	if algorithm.digest != 0 && algorithm.digest != s.hash {
		return nil, errors.New("a signature is made of another digest than the message says")
	}
	s.algorithm = algorithm
	signature, err := info.read(tagOctetString)
	if err != nil {
		return nil, err
	}
	s.signature = signature.content
	if info.has(tagNumber1) { // attributes that are not signed
		if _, err := info.next(); err != nil {
			return nil, err
		}
	}
	return s, info.end()
}

// parseIdentifier reads the version and the name of the signer's certificate.
func (s *signer) parseIdentifier(info *elements) error {
	version, err := info.readVersion()
	if err != nil {
		return err
	}
	if version == 3 {
		identifier, err := info.read(tagNumber0Primitive)
		if err != nil {
			return err
		}
		if len(identifier.content) == 0 {
			return errors.New("a signer's key identifier is empty")
		}
		s.subjectKeyID = identifier.content
		return nil
	}
	name, err := info.open(tagSequence)
	if err != nil {
		return err
	}
	issuer, err := name.read(tagSequence)
	if err != nil {
		return err
	}
	serial, err := name.read(tagInteger)
	if err != nil {
		return err
	}
	s.issuer, s.serial = issuer.whole, serial.content
	return name.end()
}

// parseAttributes reads the signed attributes. Type and digest of the content must be among
// them, each once (RFC 5652, 11.1 and 11.2); others count for nothing.
func (s *signer) parseAttributes(set element) error {
	list := &elements{rest: set.content}
	types, digests := 0, 0
	for len(list.rest) > 0 {
		attribute, err := list.open(tagSequence)
		if err != nil {
			return err
		}
		name, err := attribute.read(tagOID)
		if err != nil {
			return err
		}
		values, err := attribute.open(tagSet)
		if err != nil {
			return err
		}
		if err := attribute.end(); err != nil {
			return err
		}
		switch string(name.content) {
		case oidContentType:
			types++
			kind, err := values.read(tagOID)
			if err != nil || values.end() != nil || string(kind.content) != oidData {
				return errors.New("the signed attributes are of another type than data")
			}
		case oidMessageDigest:
			digests++
			digest, err := values.read(tagOctetString)
			if err != nil || values.end() != nil {
				return errors.New("the signed attributes have no single digest")
			}
			s.messageDigest = digest.content
		}
	}
	if types != 1 || digests != 1 {
		return errors.New("the signed attributes do not name type and digest of the content once")
	}
	// They are signed as the SET that they are, not with the tag that they have here (RFC 5652, 5.4).
	s.attributes = bytes.Clone(set.whole)
	s.attributes[0] = tagSet
	return nil
}
