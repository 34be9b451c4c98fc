//go:build guest

package apply

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
)

// TestPassCredentials copies to where systemd has those of an initrd, for root alone and read-only.
func TestPassCredentials(t *testing.T) {
	extra, run := &world{T: t, path: newDirectory(t)}, &world{T: t, path: newDirectory(t)}
	extra.write("credentials/a.cred", "secret\n")
	c := &plan.Credentials{Pass: []plan.Credential{{Source: "credentials/a.cred", Name: "a", Size: 7}}, InStore: true}
	if err := PassCredentials(extra.path, run.path, c); err != nil {
		t.Fatal(err)
	}
	at := run.at(plan.EncryptedCredentials)
	defer unix.Unmount(at, unix.MNT_DETACH)
	if got := run.read(plan.EncryptedCredentials+"/a") + run.read(plan.CredentialStore+"/a"); got != "secret\nsecret\n" {
		t.Errorf("%q", got)
	}
	for name, want := range map[string]string{
		plan.EncryptedCredentials: "drwx------", plan.EncryptedCredentials + "/a": "-r--------", plan.CredentialStore: "drwx------", plan.CredentialStore + "/a": "-r--------",
		"credentials": "drwxr-xr-x",
	} {
		if info, err := os.Stat(run.at(name)); err != nil || info.Mode().String() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if err := os.WriteFile(at+"/b", nil, 0o600); !os.IsPermission(err) && !isReadOnlyError(err) {
		t.Errorf("%v", err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(at, &fs); err != nil || !mountapi.IsMountPoint(at) || fs.Flags&(unix.ST_NODEV|unix.ST_NOEXEC|unix.ST_NOSUID|unix.ST_RDONLY) !=
		unix.ST_NODEV|unix.ST_NOEXEC|unix.ST_NOSUID|unix.ST_RDONLY {
		t.Errorf("flags %#x, %v", fs.Flags, err)
	}
}

func isReadOnlyError(err error) bool {
	e, ok := err.(*os.PathError)
	return ok && e.Err == unix.EROFS
}
