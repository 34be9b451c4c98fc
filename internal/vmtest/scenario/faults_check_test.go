package scenario

import (
	"strings"
	"testing"
	"time"
)

func TestScreenIsJudged(t *testing.T) {
	const screen = "\n This system could not be booted                                        PR-TIME\n\n the boot took longer than 45s\n\nStep:       merge extensions\n"
	for name, c := range map[string]struct{ console, want string }{
		"good":         {screen, ""},
		"another code": {strings.Replace(screen, "PR-TIME", "PR-BUG", 1), "PR-BUG"},
		"another step": {strings.Replace(screen, "merge extensions", "hand over", 1), "hand over"},
		"no screen":    {"nothing\n", "the screen says []"},
		"two screens":  {screen + screen, "merge extensions"},
	} {
		proof, err := checkScreen(refusedRun(c.console, time.Second), "PR-TIME", "merge extensions")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", name, proof, err)
		}
	}
}
