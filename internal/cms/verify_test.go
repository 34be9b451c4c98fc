package cms

import (
	"bytes"
	"crypto"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// refusedKeys are certificates of testdata whose keys are not taken.
var refusedKeys = map[string]string{
	"rsa1024":         "the RSA key has 1024 bits, less than 2048",
	"rsa-large-e":     "the exponent of the RSA key has more than 31 bits",
	"rsa-pss":         "the key is neither RSA nor ECDSA",
	"p224":            "the curve of the key is none of P-256, P-384, P-521",
	"k256":            "the curve of the key is none of P-256, P-384, P-521",
	"p256-explicit":   "the curve of the key is none of P-256, P-384, P-521",
	"p256-compressed": "the public key is not an uncompressed point of the curve's size",
	"ed25519":         "the key is neither RSA nor ECDSA",
}

func testCertificates(t testing.TB) map[string]*Certificate {
	t.Helper()
	certificates := map[string]*Certificate{}
	for name, content := range testFiles(t, "certificates") {
		if refusedKeys[name] != "" {
			continue
		}
		c, err := ParseCertificate(content)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		certificates[name] = c
	}
	return certificates
}

// TestVerifyOpenSSL goes through what openssl made, with all certificates, with the right ones and
// with all others.
func TestVerifyOpenSSL(t *testing.T) {
	content := readTestFile(t, "content.txt")
	certificates := testCertificates(t)
	all := slices.Collect(maps.Values(certificates))
	messages := testFiles(t, "messages/good")
	if len(messages) < 50 {
		t.Fatalf("%d messages", len(messages))
	}
	for name, message := range messages {
		keys, _, _ := strings.Cut(name, ".")
		var signers []*Certificate
		for key := range strings.SplitSeq(keys, "+") {
			signers = append(signers, certificates[key])
		}
		if err := errors.Join(Verify(message, content, signers), Verify(message, content, all)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		others := slices.DeleteFunc(slices.Clone(all), func(c *Certificate) bool {
			// A message that names a key, not a certificate, is that of all certificates of the key.
			return slices.ContainsFunc(signers, func(s *Certificate) bool {
				return s == c || (strings.Contains(name, "skid") || strings.Contains(name, "two-attr")) && bytes.Equal(s.subjectKeyID, c.subjectKeyID)
			})
		})
		if err := Verify(message, content, others); !errors.Is(err, ErrSigner) {
			t.Errorf("%s with other certificates: %v", name, err)
		}
		for i := range signers {
			if len(signers) == 1 {
				break
			}
			if err := Verify(message, content, signers[i:i+1]); !errors.Is(err, ErrSigner) {
				t.Errorf("%s with signer %d alone: %v", name, i, err)
			}
		}
		for what, wrong := range map[string][]byte{
			"other content": append([]byte("e"), content[1:]...), "a line feed": append(slices.Clone(content), '\n'),
			"upper case": bytes.ToUpper(content), "nothing": nil,
		} {
			if err := Verify(message, wrong, all); err == nil || errors.Is(err, ErrSigner) {
				t.Errorf("%s over %s: %v", name, what, err)
			}
		}
		if err := Verify(message, content, nil); !errors.Is(err, ErrSigner) {
			t.Errorf("%s without certificates: %v", name, err)
		}
	}
}

func TestVerifyRefusesOpenSSL(t *testing.T) {
	const (
		noDigest  = "parse signature: a digest is none of SHA-256, SHA-384, SHA-512"
		inside    = "parse signature: it has content inside; it must be detached"
		otherType = "parse signature: what is signed is not of the type data"
		unknown   = "verify signature: signed with a certificate that is not trusted"
	)
	want := map[string]string{
		"sha1": noDigest, "sha1-ecdsa": noDigest, "md5": noDigest, "sha224": noDigest,
		"content-inside": inside, "content-inside-attr": inside,
		"pss":        "parse signature: an algorithm has parameters",
		"other-type": otherType, "other-type-attr": otherType,
		"indefinite": "parse signature: a length is not DER",
		"rsa1024":    unknown, "p224": unknown, "k256": unknown, "pss-key": unknown, // the certificates are refused
		"upper-case": "verify signature: the signature is wrong, or of other content",
		"line-feed":  "verify signature: the content is not what was signed",
		"no-signer":  "parse signature: it has no signer",
		"digested":   "parse signature: it is no signed data", "data": "parse signature: it is no signed data",
	}
	content := readTestFile(t, "content.txt")
	all := slices.Collect(maps.Values(testCertificates(t)))
	messages := testFiles(t, "messages/bad")
	for name, message := range messages {
		if err := Verify(message, content, all); err == nil || err.Error() != want[name] {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(messages) != len(want) {
		t.Errorf("%d messages, %d expectations", len(messages), len(want))
	}
}

// TestVerifyNoticesEveryByte changes every byte of messages. Only what is in the certificates and in
// the attributes that are not signed counts for nothing, and by which of two tags it is left out.
func TestVerifyNoticesEveryByte(t *testing.T) {
	content := readTestFile(t, "content.txt")
	all := slices.Collect(maps.Values(testCertificates(t)))
	changes := []byte{0x01, 0x80, 0x20, 0xff}
	for name, each := range map[string]int{ // how many changes are tried on each byte; RSA is fast
		"rsa2048.sha256-noattr": 4, "rsa2048.sha384-attr": 4, "rsa2048.skid-attr-certs": 4, "p256.sha256-noattr": 1, "p256.sha384-attr": 1, "p256.skid": 1,
	} {
		message := readTestFile(t, "messages/good/"+name+".p7s")
		from, to := certificatesIn(t, message)
		if (from < to) != strings.HasSuffix(name, "certs") {
			t.Fatalf("%s has certificates from %d to %d", name, from, to)
		}
		for i := range message {
			for n := range each {
				change := changes[(i+n)%len(changes)]
				changed := bytes.Clone(message)
				changed[i] ^= change
				ignored := from <= i && i < to || message[i] == tagNumber0 && changed[i] == tagNumber1 && i+4 == from
				if err := Verify(changed, content, all); (err == nil) != ignored {
					t.Errorf("%s: byte %d of %d changed by %#x: %v", name, i, len(message), change, err)
				}
			}
		}
		for n := range message {
			if Verify(message[:n], content, all) == nil {
				t.Errorf("%s verifies with %d of %d bytes", name, n, len(message))
			}
		}
		if Verify(append(bytes.Clone(message), 0), content, all) == nil {
			t.Errorf("%s verifies with a byte behind it", name)
		}
	}
}

// certificatesIn finds where the content of the certificates' element lies in a message.
func certificatesIn(t *testing.T, message []byte) (from, to int) {
	t.Helper()
	info, err := only(message, tagSequence)
	if err != nil {
		t.Fatal(err)
	}
	position := func(e *elements) int { return len(message) - len(e.rest) }
	_, _ = info.next()
	wrapped, _ := info.open(tagNumber0)
	data, _ := wrapped.open(tagSequence)
	for range 3 {
		if _, err := data.next(); err != nil {
			t.Fatal(err)
		}
	}
	if !data.has(tagNumber0) {
		return 0, 0
	}
	certificates, err := data.next()
	if err != nil {
		t.Fatal(err)
	}
	end := position(&elements{rest: data.rest}) - behind(message, data)
	return end - len(certificates.content), end
}

// behind is how many bytes of a message follow the structure that e reads.
func behind(message []byte, e *elements) int {
	if len(e.rest) == 0 {
		return 0
	}
	at := bytes.Index(message, e.rest)
	return len(message) - at - len(e.rest)
}

func TestVerifyBuiltMessages(t *testing.T) {
	content := []byte("the root hash")
	a, other := newAuthor(t), newAuthor(t)
	attributes := slices.Concat(typeAttribute(), digestAttribute(content))
	plain, attributed := a.signer(t, content, nil), a.signer(t, content, attributes)
	with := func(p signerParts, change func(p *signerParts)) []byte {
		change(&p)
		return message(p.encode()).encode()
	}
	around := func(change func(p *parts)) []byte {
		p := message(plain.encode())
		change(&p)
		return p.encode()
	}
	signing := func(attributes ...[]byte) []byte {
		return message(a.signer(t, content, slices.Concat(attributes...)).encode()).encode()
	}
	null := der(tagNull)
	for name, test := range map[string]struct {
		message []byte
		want    string // "" verifies
	}{
		"plain":                {message(plain.encode()).encode(), ""},
		"attributes":           {message(attributed.encode()).encode(), ""},
		"both":                 {message(plain.encode(), attributed.encode()).encode(), ""},
		"in the other order":   {signing(digestAttribute(content), typeAttribute()), ""},
		"another attribute":    {signing(typeAttribute(), attribute("\x2a\x03", small(1), small(2)), digestAttribute(content)), ""},
		"NULL as parameters":   {with(plain, func(p *signerParts) { p.digest = der(tagSequence, oid(oidSHA256), null) }), ""},
		"unsigned attributes":  {with(plain, func(p *signerParts) { p.unsigned = der(tagNumber1, []byte("whatever")) }), ""},
		"revocations":          {around(func(p *parts) { p.crl = der(tagNumber1, []byte("whatever")) }), ""},
		"certificates":         {around(func(p *parts) { p.certs = der(tagNumber0, []byte("whatever")) }), ""},
		"version 3":            {around(func(p *parts) { p.version = small(3) }), ""},
		"more digests":         {around(func(p *parts) { p.digests = der(tagSet, algorithm(oidSHA512), algorithm(oidSHA256)) }), ""},
		"by key identifier":    {with(plain, func(p *signerParts) { p.version, p.name = small(3), der(tagNumber0Primitive, []byte("author's key")) }), ""},
		"by an unknown key":    {with(plain, func(p *signerParts) { p.version, p.name = small(3), der(tagNumber0Primitive, []byte("author's kez")) }), "not trusted"},
		"by an empty key":      {with(plain, func(p *signerParts) { p.version, p.name = small(3), der(tagNumber0Primitive) }), "key identifier is empty"},
		"name, version 3":      {with(plain, func(p *signerParts) { p.version = small(3) }), "element 0x30 where 0x80 is due"},
		"key, version 1":       {with(plain, func(p *signerParts) { p.name = der(tagNumber0Primitive, []byte("author's key")) }), "element 0x80 where 0x30 is due"},
		"signer's version 2":   {with(plain, func(p *signerParts) { p.version = small(2) }), "version is neither 1 nor 3"},
		"no serial":            {with(plain, func(p *signerParts) { p.name = der(tagSequence, a.issuer) }), "cut off"},
		"more in the name":     {with(plain, func(p *signerParts) { p.name = der(tagSequence, a.issuer, a.serial, null) }), "behind the last element"},
		"another serial":       {with(plain, func(p *signerParts) { p.name = der(tagSequence, a.issuer, small(1)) }), "not trusted"},
		"SHA-512 is claimed":   {with(plain, func(p *signerParts) { p.digest = algorithm(oidSHA512) }), "another digest than the message says"},
		"digest not announced": {around(func(p *parts) { p.digests = der(tagSet, algorithm(oidSHA512)) }), "not among those of the message"},
		"no digest announced":  {around(func(p *parts) { p.digests = der(tagSet) }), "not among those of the message"},
		"digest with size":     {with(plain, func(p *signerParts) { p.digest = der(tagSequence, oid(oidSHA256), small(1)) }), "has parameters"},
		"odd NULL":             {with(plain, func(p *signerParts) { p.digest = der(tagSequence, oid(oidSHA256), der(tagNull, []byte{0})) }), "has parameters"},
		"two NULLs":            {with(plain, func(p *signerParts) { p.digest = der(tagSequence, oid(oidSHA256), null, null) }), "behind the last element"},
		"RSA is claimed":       {with(plain, func(p *signerParts) { p.algorithm = algorithm(oidRSASHA256) }), "is wrong"},
		"a digest as scheme":   {with(plain, func(p *signerParts) { p.algorithm = algorithm(oidSHA256) }), "neither RSA (PKCS #1 v1.5) nor ECDSA"},
		"empty signature":      {with(plain, func(p *signerParts) { p.signature = der(tagOctetString) }), "is wrong"},
		"no signature":         {with(plain, func(p *signerParts) { p.signature = nil }), "cut off"},
		"behind the signer":    {with(plain, func(p *signerParts) { p.behind = null }), "behind the last element"},
		"of other content":     {message(a.signer(t, []byte("x"), nil).encode()).encode(), "is wrong"},
		"of somebody else":     {message(other.signer(t, content, nil).encode()).encode(), "is wrong"}, // same name and serial
		"one of two is wrong":  {message(plain.encode(), other.signer(t, content, nil).encode()).encode(), "is wrong"},
		"two of 17 is wrong":   {message(slices.Repeat([][]byte{plain.encode()}, 17)...).encode(), "more than 16 signers"},
		"16 signers":           {message(slices.Repeat([][]byte{plain.encode()}, 16)...).encode(), ""},
		"no signer":            {message().encode(), "has no signer"},
		"version 0":            {around(func(p *parts) { p.version = small(0) }), "version is neither 1 nor 3"},
		"no version":           {around(func(p *parts) { p.version = nil }), "element 0x31 where 0x02 is due"},
		"enveloped":            {around(func(p *parts) { p.outerType = oid("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03") }), "no signed data"},
		"content inside": {around(func(p *parts) {
			p.content = der(tagSequence, oid(oidData), der(tagNumber0, der(tagOctetString, content)))
		}), "content inside"},
		"empty content inside": {around(func(p *parts) { p.content = der(tagSequence, oid(oidData), der(tagNumber0)) }), "content inside"},
		"behind the signers":   {around(func(p *parts) { p.behindSigners = null }), "behind the last element"},
		"behind all":           {around(func(p *parts) { p.behindAll = null }), "behind the last element"},
		"sets swapped":         {around(func(p *parts) { p.certs, p.crl = der(tagNumber1), der(tagNumber0) }), "element 0xa0 where 0x31 is due"},

		"no attributes":          {with(attributed, func(p *signerParts) { p.attributes = der(tagNumber0) }), "once"},
		"no type":                {signing(digestAttribute(content)), "once"},
		"no digest":              {signing(typeAttribute()), "once"},
		"two types":              {signing(typeAttribute(), typeAttribute(), digestAttribute(content)), "once"},
		"two digests":            {signing(typeAttribute(), digestAttribute([]byte("x")), digestAttribute(content)), "once"},
		"two digests in one":     {signing(typeAttribute(), attribute(oidMessageDigest, der(tagOctetString, make([]byte, 32)), der(tagOctetString, make([]byte, 32)))), "no single digest"},
		"digest is no string":    {signing(typeAttribute(), attribute(oidMessageDigest, small(1))), "no single digest"},
		"another type":           {signing(attribute(oidContentType, oid(oidSignedData)), digestAttribute(content)), "another type than data"},
		"two types in one":       {signing(attribute(oidContentType, oid(oidData), oid(oidData)), digestAttribute(content)), "another type than data"},
		"type without value":     {signing(attribute(oidContentType), digestAttribute(content)), "another type than data"},
		"more in an attribute":   {signing(der(tagSequence, oid("\x2a\x03"), der(tagSet), null), typeAttribute(), digestAttribute(content)), "behind the last element"},
		"digest of other":        {signing(typeAttribute(), digestAttribute([]byte("x"))), "not what was signed"},
		"short digest":           {signing(typeAttribute(), attribute(oidMessageDigest, der(tagOctetString, []byte{1}))), "not what was signed"},
		"attributes are dropped": {with(attributed, func(p *signerParts) { p.attributes = nil }), "is wrong"},
		"attributes are added":   {with(plain, func(p *signerParts) { p.attributes = der(tagNumber0, attributes) }), "is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Verify(test.message, content, []*Certificate{a.certificate})
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// TestVerifyTriesAllCertificates of one name: two can have the same key identifier, or serial.
func TestVerifyTriesAllCertificates(t *testing.T) {
	content := []byte("the root hash")
	a, b := newAuthor(t), newRSAAuthor(t)
	for _, trusted := range [][]*Certificate{{a.certificate, b.certificate}, {b.certificate, a.certificate}} {
		for _, author := range []*author{a, b} {
			if err := Verify(message(author.signer(t, content, nil).encode()).encode(), content, trusted); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestVerifyBindsTheDigestToRSA: with the algorithm rsaEncryption the digest is named beside the signature
// and in it, and both must be the same.
func TestVerifyBindsTheDigestToRSA(t *testing.T) {
	content := []byte("the root hash")
	a := newRSAAuthor(t)
	p := a.signer(t, content, nil)
	hash := crypto.SHA384.New()
	hash.Write(content)
	p.digest = algorithm(oidSHA384)
	m := message(p.encode())
	m.digests = der(tagSet, algorithm(oidSHA384))
	if err := Verify(m.encode(), content, []*Certificate{a.certificate}); err == nil {
		t.Error("it verifies")
	}
}

func TestParseBoundsTheSize(t *testing.T) {
	a := newAuthor(t)
	p := message(a.signer(t, nil, nil).encode())
	p.certs = der(tagNumber0, make([]byte, 65000))
	if _, err := Parse(p.encode()); err != nil {
		t.Error(err)
	}
	p.certs = der(tagNumber0, make([]byte, 65536-len(p.encode())+65000+1))
	if _, err := Parse(p.encode()); err == nil || !strings.Contains(err.Error(), "more than 65536 bytes") {
		t.Error(err)
	}
}

func TestZeroMessageDoesNotVerify(t *testing.T) {
	if err := (&Message{}).Verify(nil, nil); err == nil {
		t.Error("it verifies")
	}
}
