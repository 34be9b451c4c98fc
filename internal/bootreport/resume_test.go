package bootreport

import (
	"strings"
	"testing"
)

func TestTextOfResume(t *testing.T) {
	r := New("7.2", "", "full")
	if text := r.Text(); strings.Contains(text, "resumed") || strings.Contains(text, "shell") {
		t.Error(text)
	}
	r.Shell = true
	r.Resumed = []Resume{{Step: "open /usr", Failure: "it is damaged\nwrite it again", FailureCode: "PR-USR-DAMAGED"}, {Step: "find devices", Failure: "no root", FailureCode: "PR-DEV-MISSING", Words: "root=/dev/vda4"}}
	for _, want := range []string{
		"resumed by somebody in a shell, after a failure in: open /usr (PR-USR-DAMAGED)\n  it is damaged\n  write it again\n",
		"  with the words: root=/dev/vda4\n", "somebody used a shell: ",
	} {
		if !strings.Contains(r.Text(), want) {
			t.Errorf("no %q in\n%s", want, r.Text())
		}
	}
}
