package cms

import (
	"bytes"
	"errors"
	"testing"
)

func TestElements(t *testing.T) {
	for name, test := range map[string]struct {
		text    string
		content string
		rest    string
		err     error
	}{
		"empty":                {"\x04\x00", "", "", nil},
		"short":                {"\x04\x02abc", "ab", "c", nil},
		"127":                  {"\x04\x7f" + string(make([]byte, 127)), string(make([]byte, 127)), "", nil},
		"128":                  {"\x04\x81\x80" + string(make([]byte, 128)), string(make([]byte, 128)), "", nil},
		"300":                  {"\x04\x82\x01\x2c" + string(make([]byte, 300)) + "x", string(make([]byte, 300)), "x", nil},
		"nothing":              {"", "", "", errTruncated},
		"tag only":             {"\x04", "", "", errTruncated},
		"too short":            {"\x04\x02a", "", "", errTruncated},
		"no length":            {"\x04\x82\x01", "", "", errTruncated},
		"4 GiB":                {"\x04\x84\xff\xff\xff\xffa", "", "", errTruncated},
		"more than 4 GiB":      {"\x04\x85\x01\x00\x00\x00\x00a", "", "", errLength},
		"all bits":             {"\x04\xff\xff\xff\xff\xff\xff\xff\xff\xffa", "", "", errLength},
		"indefinite":           {"\x30\x80\x00\x00", "", "", errLength},
		"longer than needed":   {"\x04\x81\x01a", "", "", errLength},
		"leading zero":         {"\x04\x82\x00\x80" + string(make([]byte, 128)), "", "", errLength},
		"127 in the long form": {"\x04\x81\x7f" + string(make([]byte, 127)), "", "", errLength},
	} {
		e := &elements{rest: []byte(test.text)}
		read, err := e.next()
		if !errors.Is(err, test.err) || string(read.content) != test.content {
			t.Errorf("%s: %q, %v", name, read.content, err)
		}
		if err == nil && (string(e.rest) != test.rest || string(read.whole)+test.rest != test.text || read.tag != test.text[0]) {
			t.Errorf("%s: whole %q, rest %q", name, read.whole, e.rest)
		}
		if err != nil && string(e.rest) != test.text {
			t.Errorf("%s: the rest is %q", name, e.rest)
		}
	}
	if _, err := (&elements{rest: []byte("\x1f\x81\x01\x00")}).next(); err == nil {
		t.Error("a long tag is taken")
	}
}

// TestElementsDoNotGrow: to append to a content must not write over what follows it.
func TestElementsDoNotGrow(t *testing.T) {
	text := []byte("\x04\x01a\x04\x01b")
	e := &elements{rest: text}
	read, err := e.next()
	if err != nil {
		t.Fatal(err)
	}
	_ = append(read.content, 'x')
	_ = append(read.whole, 'x')
	if !bytes.Equal(text, []byte("\x04\x01a\x04\x01b")) {
		t.Errorf("%q", text)
	}
}
