package cms

import (
	"crypto"
	_ "crypto/sha256" // for digestByOID
	_ "crypto/sha512"
)

// Object identifiers, as their content in DER stands.
const (
	oidData          = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01" // 1.2.840.113549.1.7.1
	oidSignedData    = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" // 1.2.840.113549.1.7.2
	oidContentType   = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03" // 1.2.840.113549.1.9.3
	oidMessageDigest = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04" // 1.2.840.113549.1.9.4
	oidSubjectKeyID  = "\x55\x1d\x0e"                         // 2.5.29.14

	oidAuthorityKeyID = "\x55\x1d\x23" // 2.5.29.35

	oidRSA       = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" // 1.2.840.113549.1.1.1
	oidRSASHA256 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b" // 1.2.840.113549.1.1.11
	oidRSASHA384 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c" // 1.2.840.113549.1.1.12
	oidRSASHA512 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d" // 1.2.840.113549.1.1.13

	oidEC          = "\x2a\x86\x48\xce\x3d\x02\x01"     // 1.2.840.10045.2.1
	oidECDSASHA256 = "\x2a\x86\x48\xce\x3d\x04\x03\x02" // 1.2.840.10045.4.3.2
	oidECDSASHA384 = "\x2a\x86\x48\xce\x3d\x04\x03\x03" // 1.2.840.10045.4.3.3
	oidECDSASHA512 = "\x2a\x86\x48\xce\x3d\x04\x03\x04" // 1.2.840.10045.4.3.4
	oidP256        = "\x2a\x86\x48\xce\x3d\x03\x01\x07" // 1.2.840.10045.3.1.7
	oidP384        = "\x2b\x81\x04\x00\x22"             // 1.3.132.0.34
	oidP521        = "\x2b\x81\x04\x00\x23"             // 1.3.132.0.35

	oidSHA256 = "\x60\x86\x48\x01\x65\x03\x04\x02\x01" // 2.16.840.1.101.3.4.2.1
	oidSHA384 = "\x60\x86\x48\x01\x65\x03\x04\x02\x02" // 2.16.840.1.101.3.4.2.2
	oidSHA512 = "\x60\x86\x48\x01\x65\x03\x04\x02\x03" // 2.16.840.1.101.3.4.2.3
)

// digestByOID returns a digest that is taken: SHA-1 and MD5 are broken.
func digestByOID(identifier string) (digest crypto.Hash, taken bool) {
	switch identifier {
	case oidSHA256:
		return crypto.SHA256, true
	case oidSHA384:
		return crypto.SHA384, true
	case oidSHA512:
		return crypto.SHA512, true
	}
	return 0, false
}

// scheme is how a signature is made of a digest.
type scheme int

const (
	schemeRSA scheme = iota + 1 // PKCS #1 v1.5
	schemeECDSA
)

// signatureAlgorithm is a scheme, and the digest that its name includes, 0 if none.
type signatureAlgorithm struct {
	scheme scheme
	digest crypto.Hash
}

// signatureByOID returns an algorithm that is taken.
func signatureByOID(identifier string) (algorithm signatureAlgorithm, taken bool) {
	switch identifier {
	case oidRSA:
		return signatureAlgorithm{schemeRSA, 0}, true
	case oidRSASHA256:
		return signatureAlgorithm{schemeRSA, crypto.SHA256}, true
	case oidRSASHA384:
		return signatureAlgorithm{schemeRSA, crypto.SHA384}, true
	case oidRSASHA512:
		return signatureAlgorithm{schemeRSA, crypto.SHA512}, true
	case oidECDSASHA256:
		return signatureAlgorithm{schemeECDSA, crypto.SHA256}, true
	case oidECDSASHA384:
		return signatureAlgorithm{schemeECDSA, crypto.SHA384}, true
	case oidECDSASHA512:
		return signatureAlgorithm{schemeECDSA, crypto.SHA512}, true
	}
	return signatureAlgorithm{}, false
}
