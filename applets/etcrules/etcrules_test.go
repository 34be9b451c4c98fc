package etcrules

import (
	"bytes"
	"strings"
	"testing"
)

// call runs the applet without its main function.
func call(ownConf string, arguments ...string) (status int, stdout, stderr string) {
	var out, complaints bytes.Buffer
	s := &session{stdout: &out, stderr: &complaints, ownConf: ownConf}
	status = s.run(arguments)
	return status, out.String(), complaints.String()
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		arguments      []string
		status         int
		stdout, stderr string
	}{
		{[]string{"--help"}, 0, "usage: etc-rules", ""},
		{nil, 2, "", "usage: etc-rules"},
		{[]string{"--root"}, 2, "", "usage: etc-rules"},
		{[]string{"--root=/x", "--wet-run"}, 2, "", `etc-rules: "--wet-run" is not understood`},
		{[]string{"--root=/does/not/exist"}, 1, "", "etc-rules: lstat /does"},
	} {
		status, stdout, stderr := call("", test.arguments...)
		if status != test.status || !strings.HasPrefix(stdout, test.stdout) || !strings.HasPrefix(stderr, test.stderr) || (test.stdout == "") != (stdout == "") {
			t.Errorf("%q: %d, %q, %q", test.arguments, status, stdout, stderr)
		}
	}
}
