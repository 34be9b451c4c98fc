package jsonschema

import (
	"strings"
	"testing"
)

const sample = `{"type": "object", "required": ["version", "list"], "properties": {
	"version": {"const": 1}, "way": {"enum": ["a", "b"]}, "list": {"type": "array", "items": {"$ref": "#/$defs/time"}},
	"ids": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
	"name": {"type": "string", "minLength": 2, "pattern": "^ä"}, "on": {"type": "boolean"}},
	"$defs": {"time": {"type": "number", "minimum": 0}}}`

func TestCheck(t *testing.T) {
	s, err := Read([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{
		`{"version":1,"list":[]}`,
		`{"version":1,"list":[0,1.5,1e3],"way":"b","ids":{"/etc":18446744073709551615},"name":"äb","on":false}`,
	} {
		if err := s.Check([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		`{"version":2,"list":[]}`:                    "$.version: 2 is not 1",
		`{"version":"1","list":[]}`:                  "$.version: 1 is not 1",
		`{"list":[]}`:                                "$: version is missing",
		`{"version":1,"list":null}`:                  "$.list: it is of type null, not array",
		`{"version":1,"list":{}}`:                    "$.list: it is of type object, not array",
		`{"version":1,"list":[1,-0.5]}`:              "$.list[1]: -0.5 is out of range",
		`{"version":1,"list":["1"]}`:                 "$.list[0]: it is of type string, not number",
		`{"version":1,"list":[],"way":"c"}`:          "$.way: c is none of [a b]",
		`{"version":1,"list":[],"ids":{"a":0}}`:      "$.ids.a: 0 is out of range",
		`{"version":1,"list":[],"ids":{"a":1.5}}`:    "$.ids.a: it is of type number, not integer",
		`{"version":1,"list":[],"name":"ä"}`:         `$.name: "ä" is shorter than 2`,
		`{"version":1,"list":[],"name":"bä"}`:        `$.name: "bä" does not match ^ä`,
		`{"version":1,"list":[],"on":0}`:             "$.on: it is of type integer, not boolean",
		`{"version":1,"list":[],"more":0}`:           "$: more is not described",
		`[]`:                                         "$: it is of type array, not object",
		`{"version":1,"list":[]} 1`:                  "more than one value",
		`{"version":1,"list":[]`:                     "read document: unexpected EOF",
		`{"version":1,"list":[-1],"more":0,"way":1}`: "$.list[0]: -1 is out of range\n$: more is not described\n$.way: 1 is none",
	} {
		if err := s.Check([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", bad, err, want)
		}
	}
}

// TestWhatCannotBeCheckedIsNoSchema: a word that is passed over would make the check weaker than it looks.
func TestWhatCannotBeCheckedIsNoSchema(t *testing.T) {
	for bad, want := range map[string]string{
		`{"maximum": 1}`:                       "unknown field",
		`{"properties": {"a": {"oneOf": []}}}`: "unknown field",
		`{"additionalProperties": false}`:      "bool",
		`{"type": ["string", "null"]}`:         "array",
		`{"type": "null"}`:                     `$: type "null" is not known`,
		`{"items": {"$ref": "#/$defs/a"}}`:     "$[]: #/$defs/a is not defined",
		`{"$defs": {"a": {"pattern": "("}}}`:   "$.a: error parsing regexp",
		`{"properties": {"a": null}}`:          "$.a is null",
		`{"required": ["a"]}`:                  "$: a is required, but not described",
		`{} {}`:                                "more than one value",
		`{`:                                    "unexpected EOF",
	} {
		if _, err := Read([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "read schema: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", bad, err, want)
		}
	}
}
