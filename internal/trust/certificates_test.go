package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountinfo"
)

// newCertificate makes a certificate in PEM, and in DER.
func newCertificate(t *testing.T, name string) (text string, der []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0),
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), der
}

func TestReadFile(t *testing.T) {
	text, der := newCertificate(t, "x")
	directory := t.TempDir()
	for name, content := range map[string]string{
		"pem": text, "der": string(der), "empty": "", "garbage": "garbage", "large": text + strings.Repeat(" ", maxFile),
	} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(directory, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"pem": "", "der": "", "empty": "neither DER nor PEM", "garbage": "neither DER nor PEM", "large": "larger than 65536 bytes",
		"pipe": "not a regular file", "missing": "no such file", ".": "not a regular file",
	} {
		path := filepath.Join(directory, name)
		c, err := ReadFile(path)
		read, derError := ReadDER(path)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", name, err)
			}
			if derError == nil || derError.Error() != err.Error() {
				t.Errorf("%s: %v, %v", name, derError, err)
			}
			continue
		}
		if err != nil || c.Certificate == nil || c.Path != path || derError != nil || !bytes.Equal(read, der) {
			t.Errorf("%s: %+v, %v, %v", name, c, err, derError)
		}
	}
}

// TestReadDERTakesOtherKeys: the kernel knows more algorithms.
func TestReadDERTakesOtherKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("\x30\x03\x02\x01\x05"), 0o600); err != nil {
		t.Fatal(err)
	}
	if der, err := ReadDER(path); err != nil || len(der) != 5 {
		t.Errorf("%x, %v", der, err)
	}
	if _, err := ReadFile(path); err == nil {
		t.Error("taken")
	}
}

func TestIsInitramfs(t *testing.T) {
	for name, test := range map[string]struct {
		mounts []mountinfo.Mount
		want   bool
	}{
		"initramfs":     {[]mountinfo.Mount{{Target: "/", FSType: "rootfs"}, {Target: "/proc", FSType: "proc"}}, true},
		"tmpfs as root": {[]mountinfo.Mount{{Target: "/", FSType: "tmpfs"}}, false},
		"elsewhere":     {[]mountinfo.Mount{{Target: "/", FSType: "ext4"}, {Target: "/mnt", FSType: "rootfs"}}, false},
		"no mounts":     {nil, false},
	} {
		if isInitramfs(test.mounts) != test.want {
			t.Error(name)
		}
	}
}

func TestIsVerity(t *testing.T) {
	sys := t.TempDir()
	for number, uuid := range map[string]string{"254:0": "CRYPT-VERITY-1234-usr\n", "254:1": "CRYPT-LUKS2-1234-usr\n", "254:300": "CRYPT-VERITY-x", "254:2": "\n"} {
		directory := filepath.Join(sys, "dev/block", number, "dm")
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, "uuid"), []byte(uuid), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for minor, want := range map[uint32]bool{0: true, 1: false, 2: false, 3: false, 300: true} {
		if got := isVerity(sys, unix.Mkdev(254, minor)); got != want {
			t.Errorf("254:%d: %v", minor, got)
		}
	}
}

func TestNote(t *testing.T) {
	if text := fmt.Sprint(Note{"/etc/verity.d/x.crt", errNoFile}); text != "/etc/verity.d/x.crt does not count: not a regular file" {
		t.Error(text)
	}
}
