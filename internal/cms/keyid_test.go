package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"testing"
)

// identified returns what crypto/x509 reads of a certificate as the kernel would name its key.
func identified(t *testing.T, name string) (bySerial, byKey, issuerKey []byte) {
	t.Helper()
	block, _ := pem.Decode(readTestFile(t, "certificates/"+name+".pem"))
	judged, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var issuer asn1.RawValue
	if _, err := asn1.Unmarshal(judged.RawIssuer, &issuer); err != nil {
		t.Fatal(err)
	}
	return append(contentOf(t, judged.SerialNumber), issuer.Bytes...), judged.SubjectKeyId, judged.AuthorityKeyId
}

func TestKeyIdentifiers(t *testing.T) {
	for _, key := range []string{"rsa2048", "p256"} {
		bySerial, byKey, issuerKey := identified(t, key)
		if len(byKey) == 0 || len(issuerKey) == 0 {
			t.Fatalf("%s: %x %x", key, byKey, issuerKey)
		}
		for how, want := range map[string][][]byte{
			"sha256-noattr":   {bySerial},
			"sha512-attr":     {bySerial},
			"skid":            {byKey},
			"skid-attr-certs": {byKey, bySerial, byKey, issuerKey},
		} {
			name := key + "." + how
			found, err := KeyIdentifiers(readTestFile(t, "messages/good/"+name+".p7s"))
			if err != nil || !bytes.Equal(bytes.Join(found, []byte("|")), bytes.Join(want, []byte("|"))) {
				t.Errorf("%s: %x, %v, want %x", name, found, err, want)
			}
		}
	}
}

func TestKeyIdentifiersFail(t *testing.T) {
	good := readTestFile(t, "messages/good/p256.skid-attr-certs.p7s")
	// The name of the extension in the certificate is made another's: the parts of the certificate keep their sizes.
	damaged := bytes.Replace(good, []byte(oidP256), []byte("\x2a\x86\x48\xce\x3d\x03\x01\x70"), 1)
	if bytes.Equal(damaged, good) {
		t.Fatal("the message has no certificate of P-256")
	}
	for name, test := range map[string]struct {
		message []byte
		want    string
	}{
		"no message":                    {[]byte("x"), "parse signature"},
		"a key of an unknown kind":      {damaged, "read certificates of signature"},
		"a certificate of another sort": {append([]byte{}, swapCertificate(t, good, tagNumber1)...), "read certificates of signature"},
	} {
		if found, err := KeyIdentifiers(test.message); err == nil || found != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %x, %v", name, found, err)
		}
	}
}

// swapCertificate changes the tag of the first certificate inside a message.
func swapCertificate(t *testing.T, message []byte, tag byte) []byte {
	t.Helper()
	m, err := Parse(message)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(message, m.certificates)
	changed := bytes.Clone(message)
	changed[at] = tag
	return changed
}

// TestAuthorityKeyID: an issuer that is named otherwise than by its key is an error.
func TestAuthorityKeyID(t *testing.T) {
	extension := func(fields ...[]byte) []byte { return der(tagOctetString, der(tagSequence, fields...)) }
	key, issuer := der(tagNumber0Primitive, []byte("key")), der(tagNumber1, der(tagSequence))
	critical := append(der(0x01, []byte{0xff}), extension(key)...)
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"key":             {extension(key), "key"},
		"critical":        {critical, "key"},
		"issuer":          {extension(issuer), ""},
		"both":            {extension(key, issuer), ""},
		"empty":           {extension(der(tagNumber0Primitive)), ""},
		"nothing":         {extension(), ""},
		"trailing":        {der(tagOctetString, der(tagSequence, key), small(1)), ""},
		"no octet string": {der(tagSequence, key), ""},
	} {
		found, err := readAuthorityKeyID(&elements{rest: test.content})
		if string(found) != test.want && err == nil || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v", name, found, err)
		}
	}
}
