package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
)

// TestParseCertificate compares with crypto/x509, which reads most of them.
func TestParseCertificate(t *testing.T) {
	for name, content := range testFiles(t, "certificates") {
		c, err := ParseCertificate(content)
		if want := refusedKeys[name]; want != "" {
			if err == nil || err.Error() != "parse certificate: "+want {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		block, _ := pem.Decode(content)
		if again, err := ParseCertificate(block.Bytes); err != nil || !bytes.Equal(again.serial, c.serial) || !bytes.Equal(again.issuer, c.issuer) {
			t.Errorf("%s in DER: %v", name, err)
		}
		if decoded, err := DecodeCertificate(content); err != nil || !bytes.Equal(decoded, block.Bytes) {
			t.Errorf("%s: %v, %x", name, err, decoded)
		}
		if name == "p256-negative" { // the standard library refuses its serial
			if !bytes.Equal(c.serial, []byte{0x100 - 77}) {
				t.Errorf("%s: serial %x", name, c.serial)
			}
			continue
		}
		want, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(c.issuer, want.RawIssuer) || !bytes.Equal(c.serial, contentOf(t, want.SerialNumber)) || !bytes.Equal(c.subjectKeyID, want.SubjectKeyId) {
			t.Errorf("%s: issuer %x, serial %x, key %x", name, c.issuer, c.serial, c.subjectKeyID)
		}
		if (c.subjectKeyID == nil) != (name == "p256-no-skid" || name == "p384-expired" || name == "rsa3072-v1") {
			t.Errorf("%s: key identifier %x", name, c.subjectKeyID)
		}
	}
}

func TestParseCertificateForms(t *testing.T) {
	text := string(readTestFile(t, "certificates/p256.pem"))
	other := string(readTestFile(t, "certificates/rsa2048.pem"))
	want := readTestCertificate(t, "p256")
	block, _ := pem.Decode([]byte(text))
	for name, content := range map[string]string{
		"text in front":      "0 s:CN = p256\nsubject=p256\n" + text,
		"text behind":        text + "more\n",
		"a second one":       text + other,
		"other blocks first": "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + text,
		"CRLF":               strings.ReplaceAll(text, "\n", "\r\n"),
		"blanks":             strings.ReplaceAll(text, "\n", " \t\n"),
		"one line":           strings.ReplaceAll(text, "\n", ""),
		"no last line feed":  strings.TrimSpace(text),
		"DER":                string(block.Bytes),
	} {
		c, err := ParseCertificate([]byte(content))
		if err != nil || !bytes.Equal(c.serial, want.serial) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, test := range map[string]struct{ content, want string }{
		"nothing":       {"", "neither DER nor PEM"},
		"zeros":         {"\x00\x00", "neither DER nor PEM"},
		"a key":         {strings.ReplaceAll(text, "CERTIFICATE", "PRIVATE KEY"), "neither DER nor PEM"},
		"trusted form":  {strings.ReplaceAll(text, "CERTIFICATE", "TRUSTED CERTIFICATE"), "neither DER nor PEM"},
		"no end":        {text[:len(text)/2], "has no end"},
		"headers":       {strings.Replace(text, "\n", "\nProc-Type: 4,ENCRYPTED\n\n", 1), "not base64"},
		"bad base64":    {strings.Replace(text, "\nM", "\n*", 1), "not base64"},
		"empty block":   {"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "cut off"},
		"too large":     {strings.Repeat(" ", 65536) + text, "more than 65536 bytes"},
		"DER, short":    {string(block.Bytes[:len(block.Bytes)-1]), "cut off"},
		"DER, long":     {string(block.Bytes) + "\x00", "behind the last element"},
		"BER":           {"\x30\x80\x00\x00", "a length is not DER"},
		"empty element": {"\x30\x00", "cut off"},
	} {
		if _, err := ParseCertificate([]byte(test.content)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// certificateParts of an X.509 certificate in DER, in their order.
type certificateParts struct {
	version, serial, algorithm, issuer, validity, subject, key, unique, extensions, behindBody []byte
	outer, signature, behind                                                                   []byte
}

func (p certificateParts) encode() []byte {
	body := der(tagSequence, p.version, p.serial, p.algorithm, p.issuer, p.validity, p.subject, p.key, p.unique, p.extensions, p.behindBody)
	return der(tagSequence, body, p.outer, p.signature, p.behind)
}

func keyIdentifier(parts ...[]byte) []byte {
	return der(tagSequence, append([][]byte{oid(oidSubjectKeyID)}, parts...)...)
}

func extensions(list ...[]byte) []byte { return der(tagNumber3, der(tagSequence, list...)) }

func rsaInfo(parts ...[]byte) []byte {
	key := der(tagBitString, []byte{0}, der(tagSequence, parts...))
	return der(tagSequence, der(tagSequence, oid(oidRSA), der(tagNull)), key)
}

func TestParseBuiltCertificates(t *testing.T) {
	empty := der(tagSequence)
	modulus := der(tagInteger, []byte{0}, bytes.Repeat([]byte{0xff}, 256))
	exponent := der(tagInteger, []byte{1, 0, 1})
	value := der(tagOctetString, der(tagOctetString, []byte("key")))
	good := certificateParts{
		version: der(tagNumber0, small(2)), serial: small(7), algorithm: empty, issuer: empty, validity: empty, subject: empty,
		key: rsaInfo(modulus, exponent), outer: empty, signature: der(tagBitString, []byte{0, 1}),
	}
	with := func(change func(p *certificateParts)) []byte {
		p := good
		change(&p)
		return p.encode()
	}
	ecInfo := func(parameters []byte, point []byte) []byte {
		return der(tagSequence, der(tagSequence, oid(oidEC), parameters), der(tagBitString, []byte{0}, point))
	}
	p256 := newCurve(oidP256)
	generator := slices.Concat([]byte{4}, p256.x.FillBytes(make([]byte, 32)), p256.y.FillBytes(make([]byte, 32)))
	long := func(n int) []byte { return der(tagInteger, bytes.Repeat([]byte{0x7f}, n)) }
	for name, test := range map[string]struct {
		der  []byte
		want string // "" is taken
	}{
		"plain":              {good.encode(), ""},
		"no version":         {with(func(p *certificateParts) { p.version = nil }), ""},
		"unique identifiers": {with(func(p *certificateParts) { p.unique = der(0x81, []byte{0}) }), ""},
		"key identifier":     {with(func(p *certificateParts) { p.extensions = extensions(keyIdentifier(value)) }), ""},
		"critical":           {with(func(p *certificateParts) { p.extensions = extensions(keyIdentifier(der(1, []byte{0xff}), value)) }), ""},
		"other extensions":   {with(func(p *certificateParts) { p.extensions = extensions(der(tagSequence, oid("\x2a\x03"), value)) }), ""},
		"no key parameters": {with(func(p *certificateParts) {
			p.key = der(tagSequence, algorithm(oidRSA), der(tagBitString, []byte{0}, der(tagSequence, modulus, exponent)))
		}), ""},
		"EC":                  {with(func(p *certificateParts) { p.key = ecInfo(oid(oidP256), generator) }), ""},
		"8192 bits":           {with(func(p *certificateParts) { p.key = rsaInfo(long(1024), exponent) }), ""},
		"two key identifiers": {with(func(p *certificateParts) { p.extensions = extensions(keyIdentifier(value), keyIdentifier(value)) }), "two subject key identifiers"},
		"empty key identifier": {with(func(p *certificateParts) {
			p.extensions = extensions(keyIdentifier(der(tagOctetString, der(tagOctetString))))
		}), "is empty"},
		"no value": {with(func(p *certificateParts) { p.extensions = extensions(keyIdentifier()) }), "cut off"},
		"bare value": {with(func(p *certificateParts) {
			p.extensions = extensions(keyIdentifier(der(tagOctetString, []byte("key"))))
		}), "where 0x04 is due"},
		"behind the value": {with(func(p *certificateParts) {
			p.extensions = extensions(keyIdentifier(der(tagOctetString, der(tagOctetString, []byte("k")), empty)))
		}), "behind the last"},
		"serial is text":      {with(func(p *certificateParts) { p.serial = der(tagOctetString, []byte("7")) }), "where 0x02 is due"},
		"no key":              {with(func(p *certificateParts) { p.key = nil }), "cut off"},
		"behind the exponent": {with(func(p *certificateParts) { p.key = rsaInfo(modulus, exponent, small(1)) }), "behind the last"},
		"8200 bits":           {with(func(p *certificateParts) { p.key = rsaInfo(long(1025), exponent) }), "more than 8192 bits"},
		"2047 bits":           {with(func(p *certificateParts) { p.key = rsaInfo(long(256), exponent) }), "2047 bits, less than 2048"},
		"empty modulus":       {with(func(p *certificateParts) { p.key = rsaInfo(der(tagInteger), exponent) }), "no digits"},
		"negative modulus":    {with(func(p *certificateParts) { p.key = rsaInfo(der(tagInteger, bytes.Repeat([]byte{0xff}, 256)), exponent) }), "negative"},
		"long zero":           {with(func(p *certificateParts) { p.key = rsaInfo(der(tagInteger, []byte{0, 1}), exponent) }), "longer than needed"},
		"even modulus":        {with(func(p *certificateParts) { p.key = rsaInfo(der(tagInteger, bytes.Repeat([]byte{0x7e}, 300)), exponent) }), "even modulus"},
		"exponent 0":          {with(func(p *certificateParts) { p.key = rsaInfo(modulus, small(0)) }), "even modulus"},
		"exponent 1":          {with(func(p *certificateParts) { p.key = rsaInfo(modulus, small(1)) }), "even modulus"},
		"exponent 4":          {with(func(p *certificateParts) { p.key = rsaInfo(modulus, small(4)) }), "even modulus"},
		"exponent of 32 bits": {with(func(p *certificateParts) { p.key = rsaInfo(modulus, der(tagInteger, []byte{0, 0x80, 0, 0, 1})) }), "more than 31 bits"},
		"odd bits": {with(func(p *certificateParts) {
			p.key = der(tagSequence, algorithm(oidRSA), der(tagBitString, []byte{1, 0}))
		}), "not of whole bytes"},
		"no bits": {with(func(p *certificateParts) { p.key = der(tagSequence, algorithm(oidRSA), der(tagBitString)) }), "not of whole bytes"},
		"behind the key": {with(func(p *certificateParts) {
			p.key = der(tagSequence, algorithm(oidRSA), der(tagBitString, []byte{0}), empty)
		}), "behind the last"},
		"no curve": {with(func(p *certificateParts) {
			p.key = der(tagSequence, algorithm(oidEC), der(tagBitString, []byte{0}, generator))
		}), "the curve"},
		"curve as text":       {with(func(p *certificateParts) { p.key = ecInfo(der(tagOctetString, []byte(oidP256)), generator) }), "the curve"},
		"point of P-384":      {with(func(p *certificateParts) { p.key = ecInfo(oid(oidP384), generator) }), "not an uncompressed point"},
		"no signature":        {with(func(p *certificateParts) { p.signature = nil }), "cut off"},
		"behind it":           {with(func(p *certificateParts) { p.behind = empty }), "behind the last"},
		"cut off in the body": {with(func(p *certificateParts) { p.behindBody = []byte{0x30} }), "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseCertificate(test.der)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}
