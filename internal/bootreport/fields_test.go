package bootreport

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/preroot/preroot/internal/jsontext"
)

// TestFieldsAreTheTags compares what is written with what encoding/json makes of the tags, with something in every field, and reads it again.
func TestFieldsAreTheTags(t *testing.T) {
	filled := &Report{}
	fill(reflect.ValueOf(filled).Elem(), new(int))
	for name, r := range map[string]*Report{"filled": filled, "full": full(), "sample": sample(), "fresh": New("", "", "sealed"), "zero": {}} {
		want, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got := jsontext.Encode("  ", r.fields)
		if string(got) != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		var read, wanted Report
		if err := json.Unmarshal(want, &wanted); err != nil {
			t.Fatal(err)
		}
		if err := jsontext.Decode(got, read.fields); err != nil || !reflect.DeepEqual(read, wanted) {
			t.Errorf("%s: %v: got\n%+v\nwant\n%+v", name, err, read, wanted)
		}
	}
}

// fill puts something else than zero into all that is exported.
func fill(v reflect.Value, count *int) {
	*count++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *count))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*count))
	case reflect.Uint64:
		v.SetUint(uint64(*count))
	case reflect.Float64:
		v.SetFloat(float64(*count) + 0.25)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), count)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), count)
		fill(v.Index(1), count)
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, count)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf(fmt.Sprint("key ", *count)), value)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), count)
			}
		}
	default:
		panic("a field of a kind that is not known: " + v.Kind().String())
	}
}
