package cms

import (
	"errors"
	"fmt"
)

// KeyIdentifiers returns the identifiers of all the keys that could make the kernel accept a message, of at most 64 KiB: those of its
// signers, of the certificates inside it, and of who issued these, in the form that the kernel's keys have them: the serial number
// with the issuer's name behind it, or a subject key identifier (asymmetric_key_generate_id of crypto/asymmetric_keys; pkcs7_trust.c
// looks for them). A kernel that has a key for none of them does not accept the message.
//
// It fails where it cannot tell for certain: then the kernel has to be asked itself.
func KeyIdentifiers(der []byte) ([][]byte, error) {
	m, err := Parse(der)
	if err != nil {
		return nil, err
	}
	var identifiers [][]byte
	for _, s := range m.signers {
		if s.subjectKeyID != nil {
			identifiers = append(identifiers, s.subjectKeyID)
			continue
		}
		identifier, err := serialAndIssuer(s.serial, s.issuer)
		if err != nil {
			return nil, err
		}
		identifiers = append(identifiers, identifier)
	}
	inside := &elements{rest: m.certificates}
	for len(inside.rest) > 0 {
		encoded, err := inside.read(tagSequence)
		if err != nil {
			return nil, fmt.Errorf("read certificates of signature: %w", err)
		}
		certificate, err := parseDER(encoded.whole)
		if err != nil {
			return nil, fmt.Errorf("read certificates of signature: %w", err)
		}
		more, err := certificate.keyIdentifiers()
		if err != nil {
			return nil, fmt.Errorf("read certificates of signature: %w", err)
		}
		identifiers = append(identifiers, more...)
	}
	return identifiers, nil
}

// keyIdentifiers are the certificate's own, and its issuer's as far as it names one by its key.
func (c *Certificate) keyIdentifiers() ([][]byte, error) {
	own, err := serialAndIssuer(c.serial, c.issuer)
	if err != nil {
		return nil, err
	}
	identifiers := [][]byte{own}
	if c.subjectKeyID != nil {
		identifiers = append(identifiers, c.subjectKeyID)
	}
	if c.authority == nil {
		return identifiers, nil
	}
	issuer, err := readAuthorityKeyID(&elements{rest: c.authority})
	if err != nil {
		return nil, err
	}
	return append(identifiers, issuer), nil
}

// serialAndIssuer joins the contents of both; the issuer has the header of its sequence.
func serialAndIssuer(serial, issuer []byte) ([]byte, error) {
	name, err := (&elements{rest: issuer}).read(tagSequence)
	if err != nil {
		return nil, err
	}
	return append(append([]byte{}, serial...), name.content...), nil
}

// readAuthorityKeyID reads what follows the name of the extension. One that names the issuer's certificate in another way than by its
// key is an error.
func readAuthorityKeyID(extension *elements) ([]byte, error) {
	value, err := readExtension(extension)
	if err != nil {
		return nil, err
	}
	fields, err := value.open(tagSequence)
	if err != nil {
		return nil, err
	}
	identifier, err := fields.read(tagNumber0Primitive)
	if err != nil {
		return nil, err
	}
	if len(identifier.content) == 0 || fields.end() != nil {
		return nil, errors.New("its issuer is not named by a key identifier alone")
	}
	return identifier.content, value.end()
}
