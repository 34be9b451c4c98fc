package ddi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
)

const fingerprint1 = "6f1d40c0ff23d0d62086e5f1e450353884de5db5579a12a1ee578cf42fc71531"

func TestParseSignaturePartition(t *testing.T) {
	for name, test := range map[string]struct {
		text        string
		fingerprint string
	}{
		"as systemd-repart writes it": {`{"rootHash":"` + hash1 + `","certificateFingerprint":"` + fingerprint1 + `","signature":"REVS"}`, fingerprint1},
		"padded":                      {`{"rootHash":"` + hash1 + `","signature":"REVS"}` + strings.Repeat("\x00", 16000), ""},
		"white space":                 {"\n{ \"signature\" : \"RE\\nVS\" ,\n\"rootHash\":\t\"" + hash1 + "\" }\n\x00", ""},
		"upper case":                  {`{"rootHash":"` + strings.ToUpper(hash1) + `","certificateFingerprint":"` + strings.ToUpper(fingerprint1) + `","signature":"REVS"}`, fingerprint1},
		"other members":               {`{"x":[1,{"rootHash":7}],"rootHash":"` + hash1 + `","y":null,"signature":"REVS","ROOTHASH":"00"}`, ""},
		"odd fingerprint":             {`{"rootHash":"` + hash1 + `","certificateFingerprint":"zz","signature":"REVS"}`, ""},
		"short fingerprint":           {`{"rootHash":"` + hash1 + `","certificateFingerprint":"00","signature":"REVS"}`, ""},
		"fingerprint is no text":      {`{"rootHash":"` + hash1 + `","certificateFingerprint":1,"signature":"REVS"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSignaturePartition([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if hex.EncodeToString(s.RootHash) != hash1 || string(s.Signature) != "DER" || s.Fingerprint != test.fingerprint {
				t.Errorf("got %x, %q, %q", s.RootHash, s.Signature, s.Fingerprint)
			}
		})
	}
}

func TestParseSignaturePartitionRefuses(t *testing.T) {
	const good = `"rootHash":"` + hash1 + `","signature":"REVS"`
	for name, test := range map[string]struct{ text, want string }{
		"nothing":                  {"", "is empty"},
		"zeros":                    {strings.Repeat("\x00", 4096), "is empty"},
		"too large":                {"{" + good + "}" + strings.Repeat("\x00", 4<<20), "at most 4194304"},
		"NUL in front":             {"\x00{" + good + "}", "text goes on behind a NUL byte"},
		"NUL inside":               {"{" + good + "}\x00 ", "text goes on behind a NUL byte"},
		"array":                    {"[" + `"rootHash"` + "]", "not a JSON object"},
		"text":                     {"junk", "where a value belongs"},
		"not ended":                {"{" + good, "ends too early"},
		"comma":                    {"{" + good + ",}", "where a name belongs"},
		"no comma":                 {`{"a":1 "b":2}`, `where "," belongs`},
		"two objects":              {"{" + good + "}{}", "text goes on behind the value"},
		"junk behind":              {"{" + good + "} x", "text goes on behind the value"},
		"no root hash":             {`{"signature":"REVS"}`, "rootHash has 0 bytes"},
		"root hash number":         {`{"rootHash":1,"signature":"REVS"}`, "rootHash has 0 bytes"},
		"other case":               {`{"roothash":"` + hash1 + `","signature":"REVS"}`, "rootHash has 0 bytes"},
		"not hex":                  {`{"rootHash":"x` + hash1[1:] + `","signature":"REVS"}`, "rootHash is not hex"},
		"odd digits":               {`{"rootHash":"` + hash1[1:] + `","signature":"REVS"}`, "rootHash is not hex"},
		"short":                    {`{"rootHash":"` + hash1[:30] + `","signature":"REVS"}`, "rootHash has 15 bytes, not within 16 to 64"},
		"long":                     {`{"rootHash":"` + hash1 + hash1 + `00","signature":"REVS"}`, "rootHash has 65 bytes"},
		"no signature":             {`{"rootHash":"` + hash1 + `"}`, "signature is missing or empty"},
		"empty signature":          {`{"rootHash":"` + hash1 + `","signature":""}`, "signature is missing or empty"},
		"not base64":               {`{"rootHash":"` + hash1 + `","signature":"*"}`, "signature is not base64"},
		"root hash twice":          {"{" + good + `,"rootHash":"00"}`, `"rootHash" twice`},
		"twice, written otherwise": {"{" + good + `,"root\u0048ash":"00"}`, `"rootHash" twice`},
		"nested without end":       {`{"a":` + strings.Repeat("[", 100000), "more than 64 levels"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSignaturePartition([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) || s != nil {
				t.Errorf("got %v, error %v; want %q", s, err, test.want)
			} else if len(err.Error()) > 80 {
				t.Errorf("error has %d characters: %v", len(err.Error()), err)
			}
		})
	}
}

func TestSignaturePartitionLimits(t *testing.T) {
	for _, digits := range []int{32, 128} {
		text := `{"rootHash":"` + strings.Repeat("ab", digits/2) + `","signature":"REVS"}`
		content := append([]byte(text), make([]byte, 4<<20-len(text))...)
		if s, err := readSignature(bytes.NewReader(content), Area{Size: 4 << 20}); err != nil || len(s.RootHash) != digits/2 {
			t.Errorf("root hash of %d digits in 4 MiB: %v, %v", digits, s, err)
		}
	}
}

// The size comes from a partition table: it must be refused before memory is asked for.
func TestSignaturePartitionIsBoundedBeforeReading(t *testing.T) {
	broken := errors.New("medium error")
	_, err := readSignature(failing{broken}, Area{Size: 1 << 62})
	if err == nil || errors.Is(err, broken) || !strings.Contains(err.Error(), "4611686018427387904 bytes, at most 4194304") {
		t.Errorf("error %v", err)
	}
	if _, err := readSignature(failing{broken}, Area{Size: 4096}); !errors.Is(err, broken) {
		t.Errorf("error %v, want the medium error", err)
	}
	if _, err := readSignature(strings.NewReader("{"), Area{Size: 4096}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v, want an unexpected end", err)
	}
}

func FuzzParseSignaturePartition(f *testing.F) {
	f.Add([]byte(`{"rootHash":"` + hash1 + `","certificateFingerprint":"` + fingerprint1 + `","signature":"REVS"}` + "\x00"))
	f.Add([]byte(`{"a":[{}],"rootHash":"00","signature":""} `))
	f.Add([]byte("{\"\\ud800\":0"))
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := ParseSignaturePartition(content)
		if (s == nil) == (err == nil) {
			t.Fatalf("%v, error %v", s, err)
		}
		if s != nil && (len(s.RootHash) < 16 || len(s.RootHash) > 64 || len(s.Signature) == 0 || len(s.Signature) > len(content) ||
			s.Fingerprint != "" && len(s.Fingerprint) != 64) {
			t.Errorf("%+v", s)
		}
	})
}
