package verity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/keyring"
)

// fakeRing refuses as told and writes down what was asked for.
type fakeRing struct {
	add, seal error
	calls     []string
}

func (r *fakeRing) AddCertificate(der []byte) error {
	call := "add certificate"
	if len(der) == 5 {
		call = "add other"
	}
	r.calls = append(r.calls, call)
	return r.add
}

func (r *fakeRing) Seal() error {
	r.calls = append(r.calls, "seal")
	return r.seal
}

func TestFillKeyring(t *testing.T) {
	pem := cmsData("certificates/p256.pem")
	other := filepath.Join(t.TempDir(), "other.der") // no certificate, but DER: the kernel decides
	if err := os.WriteFile(other, []byte("\x30\x03\x02\x01\x05"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused := func(operation keyring.Operation, errno unix.Errno) error {
		return &keyring.Error{Operation: operation, Key: "k", Errno: errno}
	}
	content := cmsData("content.txt")
	for name, test := range map[string]struct {
		files     []string
		add, seal error
		calls     string
		code      int
		lines     string
	}{
		"nothing":           {calls: "seal"},
		"nothing, sealed":   {seal: refused(keyring.OperationSeal, unix.EEXIST), calls: "seal"},
		"two":               {files: []string{pem, other}, calls: "add certificate add other seal"},
		"missing file":      {files: []string{pem, "/nowhere"}, calls: "seal", code: 1, lines: "open /nowhere: no such file or directory"},
		"garbage":           {files: []string{content, pem}, calls: "seal", code: 1, lines: content + ": parse certificate: it is neither DER nor PEM"},
		"sealed":            {files: []string{pem, other}, add: refused(keyring.OperationAdd, unix.EPERM), seal: refused(keyring.OperationSeal, unix.EEXIST), calls: "add certificate seal", code: 5, lines: "Keyring .dm-verity is sealed already, certificate " + pem + " was not added. Load dm_verity with keyring_unsealed=1."},
		"unknown algorithm": {files: []string{other, pem}, add: refused(keyring.OperationAdd, unix.ENOPKG), calls: "add other seal", code: 1, lines: "The kernel does not support the algorithms of certificate " + other + "."},
		"no certificate":    {files: []string{other}, add: refused(keyring.OperationAdd, unix.EBADMSG), calls: "add other seal", code: 1, lines: "The kernel does not take certificate " + other + ": bad message."},
		"not sealed":        {files: []string{pem}, seal: refused(keyring.OperationSeal, unix.EACCES), calls: "add certificate seal", code: 1, lines: "Keyring .dm-verity is NOT sealed: permission denied."},
		"both":              {files: []string{other}, add: refused(keyring.OperationAdd, unix.EBADMSG), seal: refused(keyring.OperationSeal, unix.EACCES), calls: "add other seal", code: 1, lines: "The kernel does not take certificate " + other + ": bad message.\nKeyring .dm-verity is NOT sealed: permission denied."},
	} {
		t.Run(name, func(t *testing.T) {
			s, stdout, stderr := newTestSession()
			s.operands = test.files
			ring := &fakeRing{add: test.add, seal: test.seal}
			err := s.fill(ring)
			if calls := strings.Join(ring.calls, " "); calls != test.calls {
				t.Errorf("calls %q", calls)
			}
			code, lines := 0, ""
			if f, ok := errors.AsType[*failure](err); ok {
				code, lines = f.code, f.lines
			} else if err != nil {
				t.Error(err)
			}
			if code != test.code || lines != test.lines {
				t.Errorf("exit code %d, %q", code, lines)
			}
			if stdout.Len()+stderr.Len() > 0 {
				t.Errorf("%q, %q", stdout, stderr)
			}
		})
	}
}

func TestNoKeyringIsNamed(t *testing.T) {
	for _, loaded := range []bool{true, false} {
		sys := t.TempDir()
		if loaded {
			if err := os.MkdirAll(filepath.Join(sys, "module/dm_verity"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		want := failure{code: 4, lines: "Kernel module dm_verity is not loaded. Load dm_verity with keyring_unsealed=1."}
		if loaded {
			want = failure{code: 1, lines: "This kernel has no keyring .dm-verity (Linux 7.0 or newer has it)."}
		}
		f, ok := errors.AsType[*failure](noKeyring(fmt.Errorf("find: %w", keyring.ErrNoKeyring), sys))
		if !ok || f.code != want.code || f.lines != want.lines {
			t.Errorf("loaded %v: %+v", loaded, f)
		}
	}
}
