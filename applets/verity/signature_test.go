package verity

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/keyring"
	"github.com/preroot/preroot/internal/trust"
)

// newTestSession collects what is printed.
func newTestSession() (s *session, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return &session{program: "verity", stdout: stdout, stderr: stderr, workers: 1}, stdout, stderr
}

func TestReadSignature(t *testing.T) {
	directory := t.TempDir()
	for name, content := range map[string][]byte{
		"good": []byte("DER"), "empty": nil, "full": bytes.Repeat([]byte{1}, keyring.MaxUserKey), "large": bytes.Repeat([]byte{1}, keyring.MaxUserKey+9),
	} {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(directory, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, _ := newTestSession()
	if given, err := s.readSignature(); given != nil || err != nil {
		t.Errorf("without the option: %v, %v", given, err)
	}
	for name, size := range map[string]int{"good": 3, "full": keyring.MaxUserKey, "large": keyring.MaxUserKey + 1} {
		s.rootHashSignature = filepath.Join(directory, name)
		if given, err := s.readSignature(); err != nil || len(given.der) != size || given.presence != trust.Given || given.path != s.rootHashSignature {
			t.Errorf("%s: %+v, %v", name, given, err)
		}
	}
	for _, name := range []string{"empty", "pipe", "missing", "."} {
		s.rootHashSignature = filepath.Join(directory, name)
		given, err := s.readSignature()
		if f, ok := errors.AsType[*failure](err); !ok || f.code != 1 || f.lines != "Invalid signature file "+s.rootHashSignature+"." || given != nil {
			t.Errorf("%s: %v, %v", name, given, err)
		}
	}
}

// rootOf is the root hash that the test data of package cms is about.
const rootOf = "d7024061013087f4fbe9165e1f4f1abacbef48ae1c093f71514f865afa244b85"

// cmsData is a file of that package's test data.
func cmsData(name string) string { return "../../internal/cms/testdata/" + name }

func given(t *testing.T, message string, presence trust.Presence) *signature {
	t.Helper()
	der, err := os.ReadFile(cmsData(message))
	if err != nil {
		t.Fatal(err)
	}
	return &signature{der, presence, "x.p7s"}
}

// loadError is what opening says when the kernel refuses the table.
func loadError(errno unix.Errno) error {
	refused := &devmapper.Error{Command: devmapper.CommandLoad, Device: "v", Errno: errno}
	return &failure{code: exitBusy, lines: "device-mapper: reload ioctl failed", cause: fmt.Errorf("open: %w", refused)}
}

func TestOpenSigned(t *testing.T) {
	const message, certificate = "messages/good/p256.sha256-noattr.p7s", "certificates/p256.pem"
	const ioctl = "device-mapper: reload ioctl failed"
	noKey := loadError(unix.ENOKEY)
	for name, test := range map[string]struct {
		signature    *signature
		policy       string
		certificates []string
		root         string
		variable     string
		kernel       error // the answer to a table with the signature
		unsigned     error // to one without
		calls        string
		code         int    // of the failure, 0 for success
		lines        string // of the failure
		warning      string // on stderr
	}{
		"none":                             {calls: "unsigned"},
		"none, verity":                     {policy: "verity", calls: "unsigned"},
		"none, signed":                     {policy: "signed", code: 1, lines: "Root hash signature required."},
		"none, certificates":               {certificates: []string{certificate}, code: 1, lines: "Root hash signature required."},
		"none, any, certificates":          {policy: "any", certificates: []string{certificate}, calls: "unsigned"},
		"accepted":                         {signature: given(t, message, trust.Given), calls: "signed"},
		"accepted, signed":                 {signature: given(t, message, trust.Given), policy: "signed", calls: "signed"},
		"accepted, found":                  {signature: given(t, message, trust.Found), calls: "signed"},
		"no key":                           {signature: given(t, message, trust.Given), kernel: noKey, calls: "signed", code: 5, lines: ioctl},
		"another failure":                  {signature: given(t, message, trust.Given), policy: "verity", kernel: loadError(unix.EBUSY), calls: "signed", code: 5, lines: ioctl},
		"another failure, certificates":    {signature: given(t, message, trust.Given), certificates: []string{certificate}, kernel: errors.New("x"), calls: "signed", code: 1, lines: "x"},
		"no key, certificate":              {signature: given(t, message, trust.Given), certificates: []string{certificate}, kernel: noKey, calls: "signed unsigned"},
		"no key, one of two certificates":  {signature: given(t, message, trust.Given), certificates: []string{"certificates/rsa2048.pem", certificate}, kernel: noKey, calls: "signed unsigned"},
		"no code, certificate":             {signature: given(t, message, trust.Given), policy: "signed", certificates: []string{certificate}, kernel: loadError(unix.ENOPKG), calls: "signed unsigned"},
		"unsigned is refused then":         {signature: given(t, message, trust.Given), certificates: []string{certificate}, kernel: noKey, unsigned: loadError(unix.ENOKEY), calls: "signed unsigned", code: 5, lines: ioctl},
		"found, certificate":               {signature: given(t, message, trust.Found), certificates: []string{certificate}, kernel: noKey, calls: "signed unsigned"},
		"rejected, certificate":            {signature: given(t, message, trust.Given), certificates: []string{certificate}, kernel: loadError(unix.EKEYREJECTED), calls: "signed", code: 5, lines: ioctl + "\nverity: not opened: the kernel rejects the signature (key was rejected by service)"},
		"no message, certificate":          {signature: given(t, message, trust.Given), certificates: []string{certificate}, kernel: loadError(unix.EBADMSG), calls: "signed", code: 5, lines: ioctl + "\nverity: not opened: the kernel rejects the signature (bad message)"},
		"wrong certificate":                {signature: given(t, message, trust.Given), certificates: []string{"certificates/p384.pem"}, kernel: noKey, calls: "signed", code: 5, lines: ioctl + "\nverity: not opened: the kernel has no key for the signature, no trusted certificate confirms it (required key not available); in user space: verify signature: signed with a certificate that is not trusted"},
		"wrong root hash":                  {signature: given(t, message, trust.Given), certificates: []string{certificate}, root: strings.Repeat("0", 64), kernel: noKey, calls: "signed", code: 5, lines: ioctl + "\nverity: not opened: the kernel has no key for the signature, no trusted certificate confirms it (required key not available); in user space: verify signature: the signature is wrong, or of other content"},
		"switched off":                     {signature: given(t, message, trust.Given), certificates: []string{certificate}, variable: "0", kernel: noKey, calls: "signed", code: 5, lines: ioctl + "\nverity: not opened: the kernel has no key for the signature (required key not available); in user space: switched off: $SYSTEMD_ALLOW_USERSPACE_VERITY is \"0\""},
		"switched off, accepted":           {signature: given(t, message, trust.Given), variable: "0", calls: "signed"},
		"certificate cannot be read":       {signature: given(t, message, trust.Given), certificates: []string{"content.txt"}, code: 1, lines: cmsData("content.txt") + ": parse certificate: it is neither DER nor PEM"},
		"no key, verity":                   {signature: given(t, message, trust.Given), policy: "verity", kernel: noKey, calls: "signed unsigned", warning: "verity: WARNING: opened by its root hash alone, signature x.p7s does not count: the kernel has no key for the signature (required key not available)"},
		"rejected, verity":                 {signature: given(t, message, trust.Given), policy: "verity", kernel: loadError(unix.EKEYREJECTED), calls: "signed unsigned", warning: "the kernel rejects the signature (key was rejected by service)"},
		"no key, found":                    {signature: given(t, message, trust.Found), kernel: noKey, calls: "signed unsigned", warning: "the kernel has no key for the signature"},
		"no key, found, signed":            {signature: given(t, message, trust.Found), policy: "signed", kernel: noKey, calls: "signed", code: 5, lines: ioctl + "\nverity: not opened: the kernel has no key for the signature"},
		"too large":                        {signature: given(t, message, trust.Given), kernel: &keyring.Error{Operation: keyring.OperationAdd, Key: "k", Errno: unix.EINVAL}, calls: "signed", code: 1, lines: "Failed to load key in kernel keyring."},
		"too large, found":                 {signature: given(t, message, trust.Found), kernel: &keyring.Error{Operation: keyring.OperationAdd, Key: "k", Errno: unix.EINVAL}, calls: "signed unsigned", warning: "the kernel cannot check the signature (add k: invalid argument)"},
		"not unlinked":                     {signature: given(t, message, trust.Found), kernel: &keyring.Error{Operation: keyring.OperationUnlink, Key: "k", Errno: unix.EINVAL}, calls: "signed", code: 1, lines: "unlink k: invalid argument"},
		"a failure before the load counts": {signature: given(t, message, trust.Found), kernel: &devmapper.Error{Command: devmapper.CommandCreate, Device: "v", Errno: unix.ENOKEY}, calls: "signed", code: 1, lines: `create device "v": required key not available`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(trust.UserSpaceVariable, test.variable)
			s, _, stderr := newTestSession()
			s.policy = test.policy
			for _, c := range test.certificates {
				s.certificates = append(s.certificates, cmsData(c))
			}
			if test.root == "" {
				test.root = rootOf
			}
			var calls []string
			err := s.openSigned(test.root, test.signature, func(der []byte) error {
				if der == nil {
					calls = append(calls, "unsigned")
					return test.unsigned
				}
				if !bytes.Equal(der, test.signature.der) {
					t.Errorf("signature %x", der)
				}
				calls = append(calls, "signed")
				return test.kernel
			})
			if got := strings.Join(calls, " "); got != test.calls {
				t.Errorf("calls %q", got)
			}
			code, lines := 0, ""
			if err != nil {
				code, lines = exitParameters, err.Error()
			}
			if f, ok := errors.AsType[*failure](err); ok {
				code, lines = f.code, f.lines
			}
			if code != test.code || !strings.HasPrefix(lines, test.lines) || (test.lines == "") != (lines == "") || (test.lines == ioctl && lines != ioctl) {
				t.Errorf("exit code %d, %q", code, lines)
			}
			if (test.warning == "") != (stderr.Len() == 0) || !strings.Contains(stderr.String(), test.warning) {
				t.Errorf("stderr %q", stderr)
			}
		})
	}
}
