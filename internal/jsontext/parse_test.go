package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// seeds are texts for the fuzz target; the second half is no JSON.
var seeds = []string{
	`{"a":1,"b":[true,false,null,""],"a":{"c":-0.5e+10}}`, " [ ]\n", `"\u00e9\ud83d\ude00\ud800\n\/\"\\\b\f\r\t"`, "\"\xff\u2028\"", `-0`, `1E400`, `0.0`,
	`"\ud800\u0041"`, `"\udc00\ud800"`, `"\ud800\ud800\udc00"`, `{}`, `[[],{}]`,
	``, ` `, `nul`, `truex`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `[1,]`, `[,]`, `[1 2]`, `{"a":1 "b":2}`, `01`, `-`, `1.`, `.5`, `1e`, `+1`, `"`, `"\x"`,
	"\"\n\"", `"\u12"`, `"\u+123"`, `{"a":1}{}`, `{1:2}`, `]`, "\x00", `"\u1`, `"\`, `'a'`, `NaN`, "\xef\xbb\xbf1",
}

// judge reads with the standard library; an object becomes a map, of which the last member of a name counts.
func judge(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		return nil, errors.New("something follows")
	}
	return value, nil
}

// plain turns a value into what the judge has.
func plain(value any) any {
	switch value := value.(type) {
	case Number:
		return json.Number(value)
	case Array:
		all := []any{}
		for _, one := range value {
			all = append(all, plain(one))
		}
		return all
	case Object:
		all := map[string]any{}
		for _, member := range value {
			all[member.Name] = plain(member.Value)
		}
		return all
	}
	return value
}

func compareParse(t *testing.T, text []byte) {
	t.Helper()
	got, err := Parse(text)
	if errors.Is(err, errDepth) {
		return
	}
	want, wantErr := judge(text)
	switch {
	case (err == nil) != (wantErr == nil):
		t.Errorf("%q: %v, %v; the library says %v", text, got, err, wantErr)
	case err != nil && (got != nil || !strings.HasPrefix(err.Error(), "read JSON at byte ")):
		t.Errorf("%q: %v, %v", text, got, err)
	case err == nil && !reflect.DeepEqual(plain(got), want):
		t.Errorf("%q: %#v, want %#v", text, plain(got), want)
	}
}

func TestParseIsTheLibrarys(t *testing.T) {
	for _, text := range seeds {
		compareParse(t, []byte(text))
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range seeds {
		f.Add([]byte(text))
	}
	f.Fuzz(compareParse)
}

func TestParseKeepsMembersThatAreThereTwice(t *testing.T) {
	got, err := Parse([]byte(`{"b":1,"a":null,"b":"x"}`))
	if want := (Object{{"b", Number("1")}, {"a", nil}, {"b", "x"}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestParseBoundsTheDepth(t *testing.T) {
	for depth, good := range map[int]bool{MaxDepth: true, MaxDepth + 1: false, 1 << 20: false} {
		text := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		if _, err := Parse([]byte(text)); (err == nil) != good || (!good && !errors.Is(err, errDepth)) {
			t.Errorf("%d levels: %v", depth, err)
		}
	}
	if _, err := Parse([]byte("{} {}")); !errors.Is(err, ErrBehind) {
		t.Error(err)
	}
}
