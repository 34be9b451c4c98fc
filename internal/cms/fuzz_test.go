package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"testing"
)

// FuzzVerify: what verifies has the parts that were signed, unchanged.
func FuzzVerify(f *testing.F) {
	content := readTestFile(f, "content.txt")
	all := slices.Collect(maps.Values(testCertificates(f)))
	known := map[string]bool{}
	for _, folder := range []string{"messages/good", "messages/bad"} {
		for name, message := range testFiles(f, folder) {
			f.Add(message)
			m, err := Parse(message)
			if err != nil {
				continue
			}
			for _, s := range m.signers {
				// An ECDSA signature of another kind than openssl's would be news, too.
				known[string(s.signature)] = known[string(s.signature)] || folder == "messages/good"
				if len(s.signature) == 0 {
					f.Error(name)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		m, err := Parse(message)
		if err != nil {
			if m != nil {
				t.Error("a message and an error")
			}
			return
		}
		if len(m.signers) == 0 || len(m.signers) > maxSigners {
			t.Errorf("%d signers", len(m.signers))
		}
		// A message is not taken for one of fewer keys than sign it.
		if identifiers, err := KeyIdentifiers(message); err == nil && len(identifiers) < len(m.signers) {
			t.Errorf("%d signers, identifiers %x", len(m.signers), identifiers)
		}
		if m.Verify(content, all) != nil {
			return
		}
		for _, s := range m.signers {
			if !known[string(s.signature)] {
				t.Errorf("a signature that nobody made verifies: %x", s.signature)
			}
		}
		if m.Verify(append(bytes.Clone(content), ' '), all) == nil {
			t.Error("it verifies other content")
		}
	})
}

// FuzzParseCertificate compares with crypto/x509: what both take has the same names.
func FuzzParseCertificate(f *testing.F) {
	for _, content := range testFiles(f, "certificates") {
		f.Add(content)
		block, _ := pem.Decode(content)
		f.Add(block.Bytes)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := ParseCertificate(content)
		if err != nil {
			if c != nil {
				t.Error("a certificate and an error")
			}
			return
		}
		if (c.key.rsa == nil) == (c.key.ecdsa == nil) {
			t.Error("not one key")
		}
		encoded, err := DecodeCertificate(content)
		if err != nil {
			t.Fatal(err)
		}
		judged, err := x509.ParseCertificate(encoded)
		if err != nil {
			return
		}
		if !bytes.Equal(c.issuer, judged.RawIssuer) || !bytes.Equal(c.serial, contentOf(t, judged.SerialNumber)) {
			t.Errorf("issuer %x, serial %x", c.issuer, c.serial)
		}
		if c.subjectKeyID != nil && !bytes.Equal(c.subjectKeyID, judged.SubjectKeyId) {
			t.Errorf("key identifier %x", c.subjectKeyID)
		}
	})
}

// FuzzVerifyECDSA compares with crypto/ecdsa.
func FuzzVerifyECDSA(f *testing.F) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	encoded, err := key.PublicKey.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	k := newJudged(f, oidP256, encoded)
	for digest, hash := range map[string]crypto.Hash{
		string(make([]byte, 32)): crypto.SHA256, string(bytes.Repeat([]byte{0xff}, 64)): crypto.SHA512, string(encoded[:48]): crypto.SHA384,
	} {
		signature, err := key.Sign(nil, []byte(digest), hash)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(digest), signature)
	}
	f.Add([]byte{1}, []byte("\x30\x06\x02\x01\x01\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, digest, signature []byte) {
		k.compare(t, digest, signature)
	})
}
