package plan

import (
	"errors"
	"strings"
	"testing"
)

func TestChooseInit(t *testing.T) {
	for _, c := range []struct {
		line, init, note string
		missing          error
	}{
		{wholeLine, InitWrapper, "", nil},
		{wholeLine, "/sbin/init", "not used: none there", errors.New("none there")},
		{wholeLine + " init=/bin/sh", "/bin/sh", "for /bin/sh, which is taken", nil},
	} {
		b := planLine(t, c.line)
		if note := b.ChooseInit(c.missing); b.Init != c.init || !strings.Contains(note, c.note) || c.note == "" && note != "" {
			t.Errorf("%s: %q, %q", c.line, b.Init, note)
		}
	}
}
