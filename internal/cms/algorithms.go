package cms

import (
	"crypto"
	_ "crypto/sha256" // for digestsByOID
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

// digestsByOID are the digests that are taken: SHA-1 and MD5 are broken.
var digestsByOID = map[string]crypto.Hash{
	oidSHA256: crypto.SHA256,
	oidSHA384: crypto.SHA384,
	oidSHA512: crypto.SHA512,
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

var signaturesByOID = map[string]signatureAlgorithm{
	oidRSA:         {schemeRSA, 0},
	oidRSASHA256:   {schemeRSA, crypto.SHA256},
	oidRSASHA384:   {schemeRSA, crypto.SHA384},
	oidRSASHA512:   {schemeRSA, crypto.SHA512},
	oidECDSASHA256: {schemeECDSA, crypto.SHA256},
	oidECDSASHA384: {schemeECDSA, crypto.SHA384},
	oidECDSASHA512: {schemeECDSA, crypto.SHA512},
}
