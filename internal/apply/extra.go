package apply

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
)

// maxStubFile bounds a file of systemd-stub's in bytes.
const maxStubFile = 4 << 20

// PassStubFiles copies what systemd-stub(7) put below extra to run, and returns the names of what was there. What is there already stays, as
// with systemd-tmpfiles.
func PassStubFiles(extra, run string) (passed []string, err error) {
	for _, file := range plan.StubFiles {
		target := path.Join(run, file.Run)
		made, copyErr := passFile(path.Join(extra, file.Extra), target, file.Permissions, maxStubFile)
		err = errors.Join(err, copyErr)
		if made {
			passed = append(passed, file.Extra)
		}
	}
	return passed, err
}

// passFile copies a regular file, if it is there and the target is not, with the directories above the target.
func passFile(source, target string, permissions uint32, most int64) (made bool, err error) {
	file, err := os.OpenFile(source, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() > most) {
		err = fmt.Errorf("pass on %s: not a regular file of at most %d bytes", source, most)
	}
	if err == nil {
		err = os.MkdirAll(path.Dir(target), 0o755)
	}
	if err != nil {
		return false, err
	}
	copied, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o400)
	if errors.Is(err, os.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = io.Copy(copied, io.LimitReader(file, most))
	if err = errors.Join(err, copied.Chmod(os.FileMode(permissions)), copied.Close()); err != nil {
		return false, errors.Join(fmt.Errorf("pass on %s: %w", source, err), os.Remove(target))
	}
	return true, nil
}

// PassCredentials copies credentials from below extra to where systemd has those of an initrd below run: a directory for root alone, which is a mount of
// itself that takes no writes.
func PassCredentials(extra, run string, c *plan.Credentials) error {
	directories := []string{plan.EncryptedCredentials}
	if c.InStore {
		directories = append(directories, plan.CredentialStore)
	}
	for _, directory := range directories {
		at := path.Join(run, directory)
		if err := os.MkdirAll(path.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.Mkdir(at, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		for _, credential := range c.Pass {
			if _, err := passFile(path.Join(extra, credential.Source), path.Join(at, credential.Name), 0o400, credential.Size); err != nil {
				return err
			}
		}
	}
	return sealDirectory(path.Join(run, plan.EncryptedCredentials))
}

// sealDirectory mounts a directory on itself, read-only.
func sealDirectory(at string) error {
	seal, err := mountapi.Clone(at)
	if err != nil {
		return err
	}
	err = seal.SetAttributes(mountapi.ReadOnly | mountapi.NoSUID | mountapi.NoDev | mountapi.NoExec | mountapi.NoSymFollow)
	if err != nil {
		seal.Close()
		return err
	}
	return seal.MoveTo(at)
}
