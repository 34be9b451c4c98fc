package cms

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
)

// maxCertificate bounds certificates in bytes, in DER and in PEM: they have one or two KiB.
const maxCertificate = 64 << 10

// Certificate is what is used of an X.509 certificate (RFC 5280): names by which a message refers to
// it, and the public key. Whoever lists a certificate trusts it: its own signature, dates,
// key usage and other extensions are not looked at.
type Certificate struct {
	issuer, serial []byte // as they stand in DER
	subjectKeyID   []byte // nil if there is none
	authority      []byte // what follows the name of the authority key identifier, nil if there is none
	key            publicKey
}

// ParseCertificate reads a certificate from a file's content as DecodeCertificate does. The key must be
// RSA of 2048 to 8192 bits, or ECDSA with P-256, P-384 or P-521. The content must not change
// afterwards.
func ParseCertificate(content []byte) (*Certificate, error) {
	der, err := DecodeCertificate(content)
	if err != nil {
		return nil, err
	}
	c, err := parseDER(der)
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	return c, nil
}

// DecodeCertificate returns the DER of a certificate from a file's content: DER, or PEM, of which the
// first block "CERTIFICATE" counts. What is inside is not looked at.
func DecodeCertificate(content []byte) ([]byte, error) {
	der, err := decodeEither(content)
	if err == nil {
		_, err = only(der, tagSequence)
	}
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	return der, nil
}

func decodeEither(content []byte) ([]byte, error) {
	if len(content) > maxCertificate {
		return nil, fmt.Errorf("it has more than %d bytes", maxCertificate)
	}
	if _, block, found := bytes.Cut(content, []byte("-----BEGIN CERTIFICATE-----")); found {
		return decodePEM(block)
	}
	if len(content) == 0 || content[0] != tagSequence {
		return nil, errors.New("it is neither DER nor PEM")
	}
	return content, nil
}

// decodePEM returns what stands between the first line of a block and its last (RFC 7468; such
// blocks have no headers).
func decodePEM(rest []byte) ([]byte, error) {
	block, _, found := bytes.Cut(rest, []byte("-----END CERTIFICATE-----"))
	if !found {
		return nil, errors.New("the PEM block has no end")
	}
	// The decoder skips line feeds itself.
	block = slices.DeleteFunc(bytes.Clone(block), func(b byte) bool { return b == ' ' || b == '\t' })
	der := make([]byte, base64.StdEncoding.DecodedLen(len(block)))
	n, err := base64.StdEncoding.Strict().Decode(der, block)
	if err != nil {
		return nil, errors.New("the PEM block is not base64")
	}
	return der[:n], nil
}

func parseDER(der []byte) (*Certificate, error) {
	outer, err := only(der, tagSequence)
	if err != nil {
		return nil, err
	}
	body, err := outer.open(tagSequence)
	if err != nil {
		return nil, err
	}
	c := &Certificate{}
	if err := c.parseBody(body); err != nil {
		return nil, err
	}
	// The signature of whoever issued it.
	if _, err := outer.read(tagSequence); err != nil {
		return nil, err
	}
	if _, err := outer.readWholeBytes(); err != nil {
		return nil, err
	}
	return c, outer.end()
}

// parseBody reads a TBSCertificate.
func (c *Certificate) parseBody(body *elements) error {
	if body.has(tagNumber0) { // version
		if _, err := body.next(); err != nil {
			return err
		}
	}
	serial, err := body.read(tagInteger)
	if err != nil {
		return err
	}
	if _, err := body.read(tagSequence); err != nil { // signature algorithm
		return err
	}
	issuer, err := body.read(tagSequence)
	if err != nil {
		return err
	}
	c.serial, c.issuer = serial.content, issuer.whole
	for range 2 { // validity, subject
		if _, err := body.read(tagSequence); err != nil {
			return err
		}
	}
	if c.key, err = readPublicKey(body); err != nil {
		return err
	}
	for len(body.rest) > 0 {
		part, err := body.next()
		if err != nil {
			return err
		}
		if part.tag == tagNumber3 {
			if err := c.parseExtensions(part.content); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseExtensions looks for the subject key identifier, and keeps the one of the issuer's key.
func (c *Certificate) parseExtensions(content []byte) error {
	list, err := only(content, tagSequence)
	if err != nil {
		return err
	}
	for len(list.rest) > 0 {
		extension, err := list.open(tagSequence)
		if err != nil {
			return err
		}
		name, err := extension.read(tagOID)
		if err != nil {
			return err
		}
		switch string(name.content) {
		case oidAuthorityKeyID:
			c.authority = append(c.authority, extension.rest...)
		case oidSubjectKeyID:
			if c.subjectKeyID != nil {
				return errors.New("it has two subject key identifiers")
			}
			if c.subjectKeyID, err = readSubjectKeyID(extension); err != nil {
				return err
			}
		}
	}
	return nil
}

// readSubjectKeyID reads what follows the name of the extension.
func readSubjectKeyID(extension *elements) ([]byte, error) {
	value, err := readExtension(extension)
	if err != nil {
		return nil, err
	}
	identifier, err := value.read(tagOctetString)
	if err != nil {
		return nil, err
	}
	if len(identifier.content) == 0 {
		return nil, errors.New("its subject key identifier is empty")
	}
	return identifier.content, value.end()
}

// readExtension reads what follows the name of an extension, which may be marked as critical, and returns its value.
func readExtension(extension *elements) (*elements, error) {
	const tagBoolean = 0x01
	if extension.has(tagBoolean) {
		if _, err := extension.next(); err != nil {
			return nil, err
		}
	}
	return extension.open(tagOctetString)
}
