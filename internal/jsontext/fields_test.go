package jsontext

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

// inner and outer have a field of each kind, with tags for the library and a list for us.
type inner struct {
	Name string `json:"name"`
}

type outer struct {
	Text     string            `json:"text"`
	More     string            `json:"more,omitempty"`
	Yes      bool              `json:"yes"`
	Maybe    bool              `json:"maybe,omitempty"`
	MS       float64           `json:"ms"`
	Signed   int64             `json:"signed"`
	Count    int               `json:"count"`
	Few      int               `json:"few,omitempty"`
	Large    uint64            `json:"large"`
	IDs      map[string]uint64 `json:"ids"`
	Words    []string          `json:"words"`
	Others   []string          `json:"others,omitempty"`
	One      inner             `json:"one"`
	Perhaps  *inner            `json:"perhaps,omitempty"`
	List     []inner           `json:"list"`
	MoreList []inner           `json:"moreList,omitempty"`
}

func (i *inner) fields(f *Fields) { f.String("name", &i.Name) }

func (o *outer) fields(f *Fields) {
	f.String("text", &o.Text)
	f.OptionalString("more", &o.More)
	f.Bool("yes", &o.Yes)
	f.OptionalBool("maybe", &o.Maybe)
	f.Float("ms", &o.MS)
	f.Int("signed", &o.Signed)
	f.Count("count", &o.Count)
	f.OptionalCount("few", &o.Few)
	f.Uint("large", &o.Large)
	f.Uints("ids", &o.IDs)
	f.Strings("words", &o.Words)
	f.OptionalStrings("others", &o.Others)
	f.Inner("one", o.One.fields)
	Optional(f, "perhaps", &o.Perhaps, (*inner).fields)
	List(f, "list", &o.List, (*inner).fields)
	OptionalList(f, "moreList", &o.MoreList, (*inner).fields)
}

var outers = map[string]outer{
	"zero": {},
	"empty": {IDs: map[string]uint64{}, Words: []string{}, Others: []string{}, Perhaps: &inner{}, List: []inner{},
		MoreList: []inner{}},
	"full": {"a\x00\"\\<&>\u2028\x7f\xffé😀", "b", true, true, 1234.56, math.MinInt64, -7, 8, math.MaxUint64, map[string]uint64{"b": 1, "a": 2, "\n": 3},
		[]string{"x", ""}, []string{"y"}, inner{"i"}, &inner{"p"}, []inner{{"1"}, {"2"}}, []inner{{"3"}}},
	"numbers": {MS: -0.000001, Signed: math.MaxInt64, Count: math.MaxInt},
	"large":   {MS: 999999999999999868928, Few: -1},
}

func TestEncodeIsTheLibrarys(t *testing.T) {
	for name, o := range outers {
		for _, indent := range []string{"", "\t"} {
			want, err := json.Marshal(o)
			if indent != "" {
				want, err = json.MarshalIndent(o, "", indent)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := Encode(indent, o.fields); string(got) != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
			}
		}
	}
}

// TestDecodeReadsWhatIsWritten reads into a structure that has something in it already, too.
func TestDecodeReadsWhatIsWritten(t *testing.T) {
	for name, o := range outers {
		text := Encode("  ", o.fields)
		var got, want outer
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if err := Decode(text, got.fields); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v: got\n%+v\nwant\n%+v", name, err, got, want)
		}
		kept := outers["full"]
		if err := Decode([]byte(`{"text":null,"unknown":[{}]}`), kept.fields); err != nil || !reflect.DeepEqual(kept, outers["full"]) {
			t.Errorf("%v: %+v", err, kept)
		}
	}
	twice := outer{}
	if err := Decode([]byte(`{"count":1,"count":2}`), twice.fields); err != nil || twice.Count != 2 {
		t.Errorf("%v: %+v", err, twice)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                             "the value is not an object",
		`{"text":`:                       "ends too early",
		`{"text":1}`:                     "member text is not a string",
		`{"yes":"true"}`:                 "member yes is not true or false",
		`{"ms":"1"}`:                     "member ms is not a number",
		`{"ms":1e999}`:                   "member ms is not a number",
		`{"signed":1.5}`:                 "member signed is not a whole number",
		`{"signed":9223372036854775808}`: "member signed is not a whole number",
		`{"count":"1"}`:                  "member count is not a whole number",
		`{"large":-1}`:                   "member large is not a positive whole number",
		`{"ids":[]}`:                     "member ids is not an object",
		`{"ids":{"a":"b"}}`:              "in ids: member a is not a positive whole number",
		`{"words":{}}`:                   "member words is not an array of strings",
		`{"words":["a",1]}`:              "member words is not an array of strings",
		`{"one":[]}`:                     "member one is not an object",
		`{"perhaps":{"name":1}}`:         "in perhaps: member name is not a string",
		`{"list":{}}`:                    "member list is not an array",
		`{"list":[{},2]}`:                "member list is not an array of objects",
		`{"list":[{},{"name":{}}]}`:      "in list: member name is not a string",
		`{"text":1,"yes":1}`:             "member text is not a string",
	} {
		var o outer
		if err := Decode([]byte(text), o.fields); err == nil || !strings.HasPrefix(err.Error(), "read JSON") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}

// FuzzString: a string is written as the library writes it, and read as it reads it.
func FuzzString(f *testing.F) {
	for _, o := range outers {
		f.Add(o.Text)
	}
	f.Add("\b\f\n\r\t\u2029\ufffd\xc0\x80/'")
	f.Fuzz(func(t *testing.T, text string) {
		want, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		w := Writer{}
		if w.String(text); string(w.Text) != string(want) {
			t.Errorf("%q: %s, want %s", text, w.Text, want)
		}
		var back string
		if err := json.Unmarshal(want, &back); err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(w.Text); err != nil || got != back {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	})
}
