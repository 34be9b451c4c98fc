package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func readTestFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// testFiles returns the contents of the files in a folder of testdata by their names without endings.
func testFiles(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("testdata", folder))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		files[strings.TrimSuffix(entry.Name(), filepath.Ext(entry.Name()))] = readTestFile(t, folder+"/"+entry.Name())
	}
	return files
}

func readTestCertificate(t testing.TB, name string) *Certificate {
	t.Helper()
	c, err := ParseCertificate(readTestFile(t, "certificates/"+name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// der puts parts into an element.
func der(tag byte, parts ...[]byte) []byte {
	var content []byte
	for _, part := range parts {
		content = append(content, part...)
	}
	n := len(content)
	switch {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, content...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, content...)
	}
	return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, content...)
}

func oid(content string) []byte { return der(tagOID, []byte(content)) }

func algorithm(content string) []byte { return der(tagSequence, oid(content)) }

func small(n byte) []byte { return der(tagInteger, []byte{n}) }

// author signs messages that no tool makes.
type author struct {
	key         crypto.Signer
	certificate *Certificate
	issuer      []byte
	serial      []byte
}

// newAuthor makes an ECDSA author, newRSAAuthor one with RSA.
func newAuthor(t testing.TB) *author {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return certify(t, key)
}

func newRSAAuthor(t testing.TB) *author {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return certify(t, key)
}

func certify(t testing.TB, key crypto.Signer) *author {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "author"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0), SubjectKeyId: []byte("author's key"),
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := ParseCertificate(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return &author{key, certificate, certificate.issuer, der(tagInteger, certificate.serial)}
}

func (a *author) sign(t testing.TB, content []byte) []byte {
	t.Helper()
	hash := crypto.SHA256.New()
	hash.Write(content)
	signature, err := a.key.Sign(rand.Reader, hash.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// signatureOID is the algorithm that sign uses.
func (a *author) signatureOID() string {
	if _, ok := a.key.(*rsa.PrivateKey); ok {
		return oidRSA
	}
	return oidECDSASHA256
}

// parts of a message in DER, in their order; nil where one is missing.
type parts struct {
	outerType                             []byte
	version, digests, content, certs, crl []byte
	signers                               [][]byte
	behindSigners, behindAll              []byte
}

// signerParts of a SignerInfo.
type signerParts struct {
	version, name, digest, attributes, algorithm, signature, unsigned, behind []byte
}

func (p signerParts) encode() []byte {
	return der(tagSequence, p.version, p.name, p.digest, p.attributes, p.algorithm, p.signature, p.unsigned, p.behind)
}

func (p parts) encode() []byte {
	data := der(tagSequence, p.version, p.digests, p.content, p.certs, p.crl, der(tagSet, p.signers...), p.behindSigners)
	return append(der(tagSequence, p.outerType, der(tagNumber0, data)), p.behindAll...)
}

// signer is a right SignerInfo of content, with attributes (SET OF, without its header) or without.
func (a *author) signer(t testing.TB, content, attributes []byte) signerParts {
	t.Helper()
	p := signerParts{
		version: small(1), name: der(tagSequence, a.issuer, a.serial),
		digest: algorithm(oidSHA256), algorithm: algorithm(a.signatureOID()),
	}
	if attributes != nil {
		p.attributes = der(tagNumber0, attributes)
		content = der(tagSet, attributes)
	}
	p.signature = der(tagOctetString, a.sign(t, content))
	return p
}

// message is a right message around signers.
func message(signers ...[]byte) parts {
	return parts{
		outerType: oid(oidSignedData), version: small(1), digests: der(tagSet, algorithm(oidSHA256)),
		content: der(tagSequence, oid(oidData)), signers: signers,
	}
}

// attribute makes one; the two that are needed follow.
func attribute(name string, values ...[]byte) []byte {
	return der(tagSequence, oid(name), der(tagSet, values...))
}

func typeAttribute() []byte { return attribute(oidContentType, oid(oidData)) }

func digestAttribute(content []byte) []byte {
	hash := crypto.SHA256.New()
	hash.Write(content)
	return attribute(oidMessageDigest, der(tagOctetString, hash.Sum(nil)))
}

// contentOf is that of an element made by encoding/asn1.
func contentOf(t testing.TB, value any) []byte {
	t.Helper()
	encoded, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	read, err := (&elements{rest: encoded}).next()
	if err != nil {
		t.Fatal(err)
	}
	return read.content
}
