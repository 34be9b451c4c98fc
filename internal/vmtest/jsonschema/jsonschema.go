// Package jsonschema checks documents against the part of JSON Schema (draft 2020-12) that docs/report.schema.json is
// written in. A keyword that it does not know is an error: a schema is never taken for more than what is checked.
package jsonschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Schema is a schema, or a part of one.
type Schema struct {
	Comment     string             `json:"$comment"`
	Dialect     string             `json:"$schema"`
	Title       string             `json:"title"`
	Description string             `json:"description"`
	Ref         string             `json:"$ref"`
	Defs        map[string]*Schema `json:"$defs"`

	Type  string `json:"type"`
	Const any    `json:"const"`
	Enum  []any  `json:"enum"`

	Properties map[string]*Schema `json:"properties"`
	Required   []string           `json:"required"`
	// AdditionalProperties is for what has no name in Properties. Where it is missing, such a member is good for readers,
	// but an error here: it is not documented.
	AdditionalProperties *Schema `json:"additionalProperties"`
	Items                *Schema `json:"items"`

	Minimum   *float64 `json:"minimum"`
	MinLength *int     `json:"minLength"`
	Pattern   string   `json:"pattern"`

	pattern *regexp.Regexp
}

// Read reads a schema and makes sure that all of it can be checked.
func Read(text []byte) (*Schema, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var s Schema
	if err := decoder.Decode(&s); err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read schema: more than one value")
	}
	if err := s.prepare(&s, "$"); err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	return &s, nil
}

// prepare checks a part of a schema and all below.
func (s *Schema) prepare(root *Schema, at string) (err error) {
	if s == nil {
		return fmt.Errorf("%s is null", at)
	}
	if s.Ref != "" && root.Resolve(s) == s {
		return fmt.Errorf("%s: %s is not defined", at, s.Ref)
	}
	if s.pattern, err = regexp.Compile(s.Pattern); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	if s.Type != "" && !slices.Contains([]string{"object", "array", "string", "number", "integer", "boolean"}, s.Type) {
		return fmt.Errorf("%s: type %q is not known", at, s.Type)
	}
	for _, name := range s.Required {
		if s.Properties[name] == nil {
			return fmt.Errorf("%s: %s is required, but not described", at, name)
		}
	}
	for _, group := range []map[string]*Schema{s.Defs, s.Properties} {
		for _, name := range slices.Sorted(maps.Keys(group)) {
			if err := group[name].prepare(root, at+"."+name); err != nil {
				return err
			}
		}
	}
	for _, part := range []*Schema{s.Items, s.AdditionalProperties} {
		if part != nil {
			if err := part.prepare(root, at+"[]"); err != nil {
				return err
			}
		}
	}
	return nil
}

// Resolve returns what a reference stands for: a definition of this schema. What is no reference, or one to nothing, it
// returns as it is.
func (s *Schema) Resolve(part *Schema) *Schema {
	name, ok := strings.CutPrefix(part.Ref, "#/$defs/")
	if ok && s.Defs[name] != nil && s.Defs[name].Ref == "" {
		return s.Defs[name]
	}
	return part
}

// Check returns what is wrong with a document, a line a fault; nil if it is as the schema says.
func (s *Schema) Check(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read document: more than one value")
	}
	c := checker{root: s}
	c.check(s, value, "$")
	return errors.Join(c.faults...)
}

// checker collects what is wrong.
type checker struct {
	root   *Schema
	faults []error
}

func (c *checker) fault(at, format string, values ...any) {
	c.faults = append(c.faults, fmt.Errorf("%s: "+format, append([]any{at}, values...)...))
}

func (c *checker) check(s *Schema, value any, at string) {
	s = c.root.Resolve(s)
	if kind := kindOf(value); s.Type != "" && kind != s.Type && !(s.Type == "number" && kind == "integer") {
		c.fault(at, "it is of type %s, not %s", kind, s.Type)
		return
	}
	if s.Const != nil && !equal(s.Const, value) {
		c.fault(at, "%v is not %v", value, s.Const)
	}
	if s.Enum != nil && !slices.ContainsFunc(s.Enum, func(one any) bool { return equal(one, value) }) {
		c.fault(at, "%v is none of %v", value, s.Enum)
	}
	switch value := value.(type) {
	case map[string]any:
		c.checkObject(s, value, at)
	case []any:
		for i, item := range value {
			if s.Items != nil {
				c.check(s.Items, item, fmt.Sprintf("%s[%d]", at, i))
			}
		}
	case string:
		if s.MinLength != nil && len([]rune(value)) < *s.MinLength {
			c.fault(at, "%q is shorter than %d", value, *s.MinLength)
		}
		if !s.pattern.MatchString(value) {
			c.fault(at, "%q does not match %s", value, s.Pattern)
		}
	case json.Number:
		number, err := value.Float64()
		if err != nil || s.Minimum != nil && number < *s.Minimum {
			c.fault(at, "%s is out of range", value)
		}
	}
}

func (c *checker) checkObject(s *Schema, members map[string]any, at string) {
	for _, name := range s.Required {
		if _, ok := members[name]; !ok {
			c.fault(at, "%s is missing", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		switch described := s.Properties[name]; {
		case described != nil:
			c.check(described, members[name], at+"."+name)
		case s.AdditionalProperties != nil:
			c.check(s.AdditionalProperties, members[name], at+"."+name)
		default:
			c.fault(at, "%s is not described", name)
		}
	}
}

// kindOf returns the type of a value in the words of JSON Schema, "integer" for numbers without a fraction.
func kindOf(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case json.Number:
		if strings.ContainsAny(value.String(), ".eE") {
			return "number"
		}
		return "integer"
	}
	return "object"
}

// equal compares a value of a schema with one of a document, whose numbers are kept as they are written.
func equal(of, value any) bool {
	if number, ok := value.(json.Number); ok {
		float, err := number.Float64()
		return err == nil && of == float
	}
	return reflect.DeepEqual(of, value)
}
