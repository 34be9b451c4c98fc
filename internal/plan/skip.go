package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/jsontext"
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
		// The same bytes are well-formed: the planned ones are.
		same, err := bytes.Equal(merged.Origin, m.Origin), error(nil)
		if !same {
			same, err = SameOrigin(merged.Origin, m.Origin)
		}
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

// SameOrigin compares two texts of "origin" as JSON values: objects as sets of members, numbers by value.
func SameOrigin(a, b []byte) (bool, error) {
	left, err := decodeOrigin(a)
	if err != nil {
		return false, err
	}
	if bytes.Equal(a, b) {
		return true, nil
	}
	right, err := decodeOrigin(b)
	if err != nil {
		return false, err
	}
	return sameValue(left, right), nil
}

func decodeOrigin(text []byte) (any, error) {
	value, err := jsontext.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("decode origin: %w", err)
	}
	return value, nil
}

func sameValue(a, b any) bool {
	switch a := a.(type) {
	case jsontext.Object:
		b, ok := b.(jsontext.Object)
		return ok && sameMembers(membersOf(a), membersOf(b))
	case jsontext.Array:
		b, ok := b.(jsontext.Array)
		return ok && slices.EqualFunc(a, b, sameValue)
	case jsontext.Number:
		b, ok := b.(jsontext.Number)
		return ok && sameNumber(string(a), string(b))
	}
	switch b.(type) {
	case jsontext.Object, jsontext.Array: // they cannot be compared with ==
		return false
	}
	return a == b
}

// membersOf takes the last of members with one name.
func membersOf(o jsontext.Object) map[string]any {
	members := map[string]any{}
	for _, member := range o {
		members[member.Name] = member.Value
	}
	return members
}

func sameMembers(a, b map[string]any) bool {
	if len(a) != len(b) {
		return false
	}
	for name, value := range a {
		other, there := b[name]
		if !there || !sameValue(value, other) {
			return false
		}
	}
	return true
}

func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	left, err1 := strconv.ParseUint(a, 10, 64)
	right, err2 := strconv.ParseUint(b, 10, 64)
	if err1 == nil && err2 == nil {
		return left == right
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && x == y
}
