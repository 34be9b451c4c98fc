package trust

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/kernelcmdline"
)

func TestParsePolicy(t *testing.T) {
	for word, want := range map[string]Policy{"": PolicyAny, "any": PolicyAny, "verity": PolicyVerity, "signed": PolicySigned} {
		if got, err := ParsePolicy(word); got != want || err != nil {
			t.Errorf("%q: %v, %v", word, got, err)
		}
	}
	for _, word := range []string{"Signed", "signed ", "unprotected", "signed+verity"} {
		if got, err := ParsePolicy(word); got != "" || err == nil {
			t.Errorf("%q: %v, %v", word, got, err)
		}
	}
}

// walk decides until the end, with a kernel and a user space that answer as told, and returns what was done.
func walk(t *testing.T, policy Policy, signature Presence, kernel KernelAnswer, userSpace UserSpaceAnswer) string {
	t.Helper()
	facts := Facts{Policy: policy, Signature: signature}
	var steps []string
	for range 4 {
		d := Decide(facts)
		switch d.Step {
		case AskKernel:
			steps = append(steps, "kernel")
			facts.Kernel = kernel
			continue
		case AskUserSpace:
			steps = append(steps, "user space")
			facts.UserSpace = userSpace
			continue
		case Done:
			steps = append(steps, "done")
		case OpenChecked:
			steps = append(steps, "checked")
		case OpenUnsigned:
			steps = append(steps, "unsigned")
			if (d.Reason == "") != (signature == Absent) {
				t.Errorf("%v: reason %q", steps, d.Reason)
			}
		case Refuse:
			steps = append(steps, "refuse")
			if d.Reason == "" {
				t.Errorf("%v: no reason", steps)
			}
		}
		return strings.Join(steps, ", ")
	}
	t.Errorf("no end: %v", steps)
	return ""
}

// TestDecide goes through all that can come together.
func TestDecide(t *testing.T) {
	for _, policy := range []Policy{PolicySigned, PolicyVerity, PolicyAny, "", "mistyped"} {
		for _, signature := range []Presence{Absent, Found, Given} {
			for kernel := KernelAccepts; kernel <= KernelRejects; kernel++ {
				for userSpace := UserSpaceAccepts; userSpace <= UserSpaceOff; userSpace++ {
					// Without an accepted signature.
					end := "refuse"
					switch {
					case policy == PolicyVerity, (policy == PolicyAny || policy == "") && signature != Given:
						end = "unsigned"
					}
					want := end
					if signature != Absent {
						switch {
						case kernel == KernelAccepts:
							want = "kernel, done"
						case kernel == KernelRejects:
							want = "kernel, " + end
						case userSpace == UserSpaceAccepts:
							want = "kernel, user space, checked"
						default:
							want = "kernel, user space, " + end
						}
					}
					if got := walk(t, policy, signature, kernel, userSpace); got != want {
						t.Errorf("policy %q, signature %d, kernel %d, user space %d: %s, want %s", policy, signature, kernel, userSpace, got, want)
					}
				}
			}
		}
	}
}

func TestDecideReasons(t *testing.T) {
	for want, facts := range map[string]Facts{
		"there is no signature":                                                      {Policy: PolicySigned},
		"the kernel rejects the signature":                                           {Policy: PolicySigned, Signature: Given, Kernel: KernelRejects},
		"the kernel has no key for the signature":                                    {Signature: Given, Kernel: KernelLacksKey, UserSpace: UserSpaceOff},
		"the kernel cannot check the signature, no trusted certificate confirms it":  {Signature: Given, Kernel: KernelLacksCode, UserSpace: UserSpaceRejects},
		"the kernel has no key for the signature, a trusted certificate confirms it": {Signature: Given, Kernel: KernelLacksKey, UserSpace: UserSpaceAccepts},
	} {
		if got := Decide(facts); got.Reason != want {
			t.Errorf("%+v: %q", facts, got.Reason)
		}
	}
	if d := Decide(Facts{}); d != (Decision{Step: OpenUnsigned}) {
		t.Errorf("%+v", d)
	}
}

func TestReadKernelAnswer(t *testing.T) {
	wrap := func(errno error) error { return fmt.Errorf("load table: %w", errno) }
	for _, test := range []struct {
		err  error
		log  string
		want KernelAnswer
	}{
		{nil, "", KernelAccepts},
		{wrap(unix.ENOKEY), "", KernelLacksKey},
		{wrap(unix.ENOPKG), "", KernelLacksCode},
		{wrap(unix.EOPNOTSUPP), "", KernelLacksCode},
		{wrap(unix.EINVAL), "verity: Unrecognized verity feature request: root_hash_sig_key_desc (-EINVAL)", KernelLacksCode},
		{wrap(unix.EKEYREJECTED), "", KernelRejects},
		{wrap(unix.EKEYREVOKED), "", KernelRejects},
		{wrap(unix.EKEYEXPIRED), "", KernelRejects},
		{wrap(unix.EBADMSG), "", KernelRejects},
	} {
		if got, ok := ReadKernelAnswer(test.err, test.log); got != test.want || !ok {
			t.Errorf("%v: %v, %v", test.err, got, ok)
		}
	}
	for _, test := range []struct {
		err error
		log string
	}{
		{wrap(unix.EINVAL), ""}, {wrap(unix.EINVAL), "verity: Unrecognized verity feature request: use_fec_from_device (-EINVAL)"},
		{wrap(unix.EBUSY), "root_hash_sig_key_desc"}, {wrap(unix.E2BIG), ""}, {errors.New("something else"), ""},
	} {
		if got, ok := ReadKernelAnswer(test.err, test.log); got != KernelNotAsked || ok {
			t.Errorf("%v: %v, %v", test.err, got, ok)
		}
	}
}

func TestUserSpaceAllowed(t *testing.T) {
	const variable = "$SYSTEMD_ALLOW_USERSPACE_VERITY is "
	const key = "systemd.allow_userspace_verity on the kernel command line is not yes"
	for _, test := range []struct{ line, variable, reason string }{
		{"", "", ""},
		{"quiet root=/dev/x", "1", ""},
		{"systemd.allow_userspace_verity", "yes", ""},
		{"systemd.allow_userspace_verity=1 rd.systemd.allow_userspace_verity=on", "TRUE", ""},
		{"systemd.allow_userspace_verity=0 systemd.allow_userspace_verity=1", "", ""}, // the last one counts
		{"systemd.allow_userspace_verity=0", "1", key},
		{"systemd.allow-userspace-verity=no", "", key},
		{"systemd.allow_userspace_verity=1 systemd.allow_userspace_verity=off", "", key},
		{"systemd.allow_userspace_verity=maybe", "", key},
		{"systemd.allow_userspace_verity=", "", key},
		{"rd.systemd.allow_userspace_verity=0", "", "rd." + key},
		{"", "0", variable + `"0"`},
		{"systemd.allow_userspace_verity=1", "no", variable + `"no"`},
		{"", "perhaps", variable + `"perhaps"`},
	} {
		line := kernelcmdline.Parse(test.line)
		if allowed, reason := UserSpaceAllowed(&line, test.variable); allowed != (test.reason == "") || reason != test.reason {
			t.Errorf("%q, %q: %v, %q", test.line, test.variable, allowed, reason)
		}
	}
	if allowed, reason := UserSpaceAllowed(nil, ""); allowed || reason != "the kernel command line is unknown" {
		t.Errorf("%v, %q", allowed, reason)
	}
}
