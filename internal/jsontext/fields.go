package jsontext

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Fields goes through the members of an object, to write or to read them: one list of a structure's fields does for both directions, and
// needs no reflection. A member that is read can be missing or null, and leaves what is there then; of several with one name the last counts, others are passed over.
type Fields struct {
	// One of the two is set.
	writer  *Writer
	members Object
	reading bool
	// err is the first member that is of another kind.
	err error
}

// Encode writes an object, in the form of json.MarshalIndent without a prefix, or of json.Marshal if the indent is empty.
func Encode(indent string, fields func(*Fields)) []byte {
	w := &Writer{Indent: indent}
	w.object(fields)
	return w.Text
}

// Decode reads a text that is an object.
func Decode(text []byte, fields func(*Fields)) error {
	value, err := Parse(text)
	if err != nil {
		return err
	}
	object, ok := value.(Object)
	if !ok {
		return errNoObject
	}
	if err := object.read(fields); err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	return nil
}

func (w *Writer) object(fields func(*Fields)) {
	w.Open('{')
	fields(&Fields{writer: w})
	w.Close('}')
}

func (o Object) read(fields func(*Fields)) error {
	f := &Fields{members: o, reading: true}
	fields(f)
	return f.err
}

// take returns the value of a member that is to be read; false if there is none.
func (f *Fields) take(name string) (any, bool) {
	for _, member := range slices.Backward(f.members) {
		if member.Name == name {
			return member.Value, member.Value != nil
		}
	}
	return nil, false
}

func (f *Fields) fail(name, wanted string) {
	if f.err == nil {
		f.err = fmt.Errorf("member %s is not %s", name, wanted)
	}
}

// String is a member that is a string.
func (f *Fields) String(name string, value *string) {
	if !f.reading {
		f.writer.Name(name)
		f.writer.String(*value)
		return
	}
	if found, ok := f.take(name); ok {
		if *value, ok = found.(string); !ok {
			f.fail(name, "a string")
		}
	}
}

// OptionalString is a string that is left out where it is empty.
func (f *Fields) OptionalString(name string, value *string) {
	if f.reading || *value != "" {
		f.String(name, value)
	}
}

// Bool is a member that is true or false.
func (f *Fields) Bool(name string, value *bool) {
	if !f.reading {
		f.writer.Name(name)
		f.writer.Bool(*value)
		return
	}
	if found, ok := f.take(name); ok {
		if *value, ok = found.(bool); !ok {
			f.fail(name, "true or false")
		}
	}
}

// OptionalBool is left out where it is false.
func (f *Fields) OptionalBool(name string, value *bool) {
	if f.reading || *value {
		f.Bool(name, value)
	}
}

// number reads a number.
func (f *Fields) number(name, wanted string, parse func(text string) error) {
	found, ok := f.take(name)
	if !ok {
		return
	}
	number, ok := found.(Number)
	if !ok || parse(string(number)) != nil {
		f.fail(name, wanted)
	}
}

// Float is a number; what can be written says Writer.Float.
func (f *Fields) Float(name string, value *float64) {
	if !f.reading {
		f.writer.Name(name)
		f.writer.Float(*value)
		return
	}
	f.number(name, "a number", func(text string) (err error) {
		*value, err = strconv.ParseFloat(text, 64)
		return err
	})
}

// Int is a number without a fraction.
func (f *Fields) Int(name string, value *int64) {
	if !f.reading {
		f.writer.Name(name)
		f.writer.Int(*value)
		return
	}
	f.number(name, "a whole number of 64 bits", func(text string) (err error) {
		*value, err = strconv.ParseInt(text, 10, 64)
		return err
	})
}

// Count is a small number without a fraction.
func (f *Fields) Count(name string, value *int) {
	wide := int64(*value)
	f.Int(name, &wide)
	*value = int(wide)
}

// OptionalCount is left out where it is 0.
func (f *Fields) OptionalCount(name string, value *int) {
	if f.reading || *value != 0 {
		f.Count(name, value)
	}
}

// Uint is a number without a fraction or sign.
func (f *Fields) Uint(name string, value *uint64) {
	if !f.reading {
		f.writer.Name(name)
		f.writer.Uint(*value)
		return
	}
	f.number(name, "a positive whole number of 64 bits", func(text string) (err error) {
		*value, err = strconv.ParseUint(text, 10, 64)
		return err
	})
}

// Uints is an object of such numbers.
func (f *Fields) Uints(name string, values *map[string]uint64) {
	if !f.reading {
		f.writer.Name(name)
		if *values == nil {
			f.writer.Null()
			return
		}
		f.writer.object(func(inner *Fields) {
			for _, name := range slices.Sorted(maps.Keys(*values)) {
				value := (*values)[name]
				inner.Uint(name, &value)
			}
		})
		return
	}
	found, ok := f.take(name)
	if !ok {
		return
	}
	object, ok := found.(Object)
	if !ok {
		f.fail(name, "an object")
		return
	}
	if *values == nil {
		*values = map[string]uint64{}
	}
	f.into(name, object.read(func(inner *Fields) {
		for _, member := range object {
			var value uint64
			inner.Uint(member.Name, &value)
			(*values)[member.Name] = value
		}
	}))
}

// into notes the error of what lies in a member.
func (f *Fields) into(name string, err error) {
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("in %s: %w", name, err)
	}
}

// Strings is an array of strings; null if there is none.
func (f *Fields) Strings(name string, values *[]string) {
	if !f.reading {
		f.writer.Name(name)
		if *values == nil {
			f.writer.Null()
			return
		}
		f.writer.Open('[')
		for _, value := range *values {
			f.writer.Next()
			f.writer.String(value)
		}
		f.writer.Close(']')
		return
	}
	found, ok := f.take(name)
	if !ok {
		return
	}
	array, ok := found.(Array)
	*values = make([]string, len(array))
	for i := range array {
		if ok {
			(*values)[i], ok = array[i].(string)
		}
	}
	if !ok {
		f.fail(name, "an array of strings")
	}
}

// OptionalStrings is left out where it is empty.
func (f *Fields) OptionalStrings(name string, values *[]string) {
	if f.reading || len(*values) > 0 {
		f.Strings(name, values)
	}
}

// Inner is a member that is an object with fields of its own.
func (f *Fields) Inner(name string, fields func(*Fields)) {
	if !f.reading {
		f.writer.Name(name)
		f.writer.object(fields)
		return
	}
	if found, ok := f.take(name); ok {
		object, ok := found.(Object)
		if !ok {
			f.fail(name, "an object")
			return
		}
		f.into(name, object.read(fields))
	}
}

// Optional is an object that is left out where there is none.
func Optional[T any](f *Fields, name string, value **T, fields func(*T, *Fields)) {
	if f.reading {
		if _, ok := f.take(name); ok && *value == nil {
			*value = new(T)
		}
	}
	if *value != nil {
		f.Inner(name, func(inner *Fields) { fields(*value, inner) })
	}
}

// List is an array of objects; null if there is none.
func List[T any](f *Fields, name string, values *[]T, fields func(*T, *Fields)) {
	if !f.reading {
		f.writeList(name, *values == nil, len(*values), func(i int, inner *Fields) { fields(&(*values)[i], inner) })
		return
	}
	if found, ok := f.take(name); ok {
		array, ok := found.(Array)
		if !ok {
			f.fail(name, "an array")
			return
		}
		*values = make([]T, len(array))
		f.readList(name, array, func(i int, inner *Fields) { fields(&(*values)[i], inner) })
	}
}

func (f *Fields) writeList(name string, null bool, count int, fields func(int, *Fields)) {
	f.writer.Name(name)
	if null {
		f.writer.Null()
		return
	}
	f.writer.Open('[')
	for i := range count {
		f.writer.Next()
		f.writer.object(func(inner *Fields) { fields(i, inner) })
	}
	f.writer.Close(']')
}

func (f *Fields) readList(name string, array Array, fields func(int, *Fields)) {
	for i, value := range array {
		if value == nil {
			continue
		}
		object, ok := value.(Object)
		if !ok {
			f.fail(name, "an array of objects")
			return
		}
		f.into(name, object.read(func(inner *Fields) { fields(i, inner) }))
	}
}

// OptionalList is left out where it is empty.
func OptionalList[T any](f *Fields, name string, values *[]T, fields func(*T, *Fields)) {
	if f.reading || len(*values) > 0 {
		List(f, name, values, fields)
	}
}
