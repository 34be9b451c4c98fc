package ddi

import (
	"bytes"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/gpt/gpttest"
)

func TestFindSystem(t *testing.T) {
	const id = "00000000-0000-0000-0000-00000000000a"
	for name, c := range map[string]struct {
		partitions []gpttest.Partition
		root, usr  bool
		refused    string
	}{
		"root":         {[]gpttest.Partition{partition(typeRoot, id, "r")}, true, false, ""},
		"usr":          {[]gpttest.Partition{partition(typeUsr, id, "u")}, false, true, ""},
		"both":         {[]gpttest.Partition{partition(typeUsr, id, "u"), partition(typeRoot, id, "r")}, true, true, ""},
		"plain Linux":  {[]gpttest.Partition{partition(genericType, id, "x")}, true, false, ""},
		"two of those": {[]gpttest.Partition{partition(genericType, id, "x"), partition(genericType, id, "y")}, false, false, "without a root or usr partition"},
		"none":         {nil, false, false, "without a root or usr partition"},
	} {
		content := gpttest.Disk{Partitions: c.partitions}.Bytes()
		s, err := FindSystem(bytes.NewReader(content), int64(len(content)), "x86-64")
		switch {
		case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%s: %v", name, err)
		case c.refused == "" && (err != nil || (s.Root != nil) != c.root || (s.Usr != nil) != c.usr):
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if s, err := FindSystem(strings.NewReader("a file system"), 13, "x86-64"); err != nil || s.Root == nil || *s.Root != (Area{Size: 13}) {
		t.Errorf("%+v, %v", s, err)
	}
}
