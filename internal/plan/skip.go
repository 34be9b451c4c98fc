package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/mountapi"
)

// FindChange compares a plan with what is merged now and returns the first difference in words, "" if there is
// nothing to do. systemd 262 looks at the first merged hierarchy alone; here every
// hierarchy has to be as planned, with the planned mount flags.
//
// A broken "origin" is an error, as for systemd.
func FindChange(m *Merge, now []*extension.Merged) (string, error) {
	planned := map[string]*Overlay{}
	for i := range m.Overlays {
		planned[m.Overlays[i].Hierarchy] = &m.Overlays[i]
	}
	current := map[string]*extension.Merged{}
	for _, merged := range now {
		current[merged.Path] = merged
	}
	for _, hierarchy := range m.Hierarchies {
		o, merged := planned[hierarchy], current[hierarchy]
		switch {
		case o == nil && merged == nil:
			continue
		case o == nil:
			return hierarchy + " is merged and should not be", nil
		case merged == nil:
			return hierarchy + " is not merged", nil
		case merged.Origin == nil:
			return hierarchy + " was merged by a systemd before 260", nil
		}
		same, err := SameOrigin(merged.Origin, m.Origin)
		if err != nil {
			return "", fmt.Errorf("read what is merged into %s: %w", hierarchy, err)
		}
		if !same {
			return "the images or settings of " + hierarchy + " are not those that it was merged from", nil
		}
		if difference := o.flagDifference(merged); difference != "" {
			return hierarchy + " is mounted " + difference, nil
		}
	}
	return "", nil
}

// flagDifference compares the flags that can be chosen.
func (o *Overlay) flagDifference(now *extension.Merged) string {
	for _, f := range []struct {
		attribute mountapi.Attributes
		is        bool
		name      string
	}{{mountapi.NoExec, now.NoExec, "noexec"}, {mountapi.NoSUID, now.NoSUID, "nosuid"}, {mountapi.NoDev, now.NoDev, "nodev"}} {
		wanted := o.Attributes&f.attribute != 0
		if f.is && !wanted {
			return "with " + f.name
		}
		if wanted && !f.is {
			return "without " + f.name
		}
	}
	return ""
}

// maxDepth bounds the nesting of an "origin", which has three levels.
const maxDepth = 16

// SameOrigin compares two texts of "origin" as JSON values: objects as sets of members, numbers by value.
func SameOrigin(a, b []byte) (bool, error) {
	if bytes.Equal(a, b) && json.Valid(a) {
		return true, nil
	}
	left, err := decodeJSON(a)
	if err != nil {
		return false, err
	}
	right, err := decodeJSON(b)
	if err != nil {
		return false, err
	}
	return sameValue(left, right, 0), nil
}

func decodeJSON(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("decode origin: %w", err)
	}
	if decoder.More() {
		return nil, errors.New("decode origin: text behind the object")
	}
	return value, nil
}

func sameValue(a, b any, depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, value := range a {
			other, there := b[name]
			if !there || !sameValue(value, other, depth+1) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !sameValue(a[i], b[i], depth+1) {
				return false
			}
		}
		return true
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumber(a, b)
	}
	return a == b
}

func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	left, err1 := strconv.ParseUint(string(a), 10, 64)
	right, err2 := strconv.ParseUint(string(b), 10, 64)
	if err1 == nil && err2 == nil {
		return left == right
	}
	x, err1 := a.Float64()
	y, err2 := b.Float64()
	return err1 == nil && err2 == nil && x == y
}
