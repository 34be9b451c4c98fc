package vmtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// TestbedVariable names the environment variable with the folder of kernels,
// disks and tools that scripts/guest makes.
const TestbedVariable = "PREROOT_TESTBED"

// The kernels that everything is tested on, by the Debian suite they are from.
const (
	Forky  = "forky"
	Trixie = "trixie"
)

// Testbed is that folder.
type Testbed struct {
	Dir string

	// Values are the KEY=value lines of disk.env, without quotes.
	Values map[string]string
}

// Kernel is one kernel of the testbed: Tree holds lib/modules/Release.
type Kernel struct {
	Suite, Release, Image, Tree string
}

// OpenTestbed opens the folder that PREROOT_TESTBED names. What is missing is
// an error that says which script makes it.
func OpenTestbed() (*Testbed, error) {
	dir := os.Getenv(TestbedVariable)
	if dir == "" {
		return nil, fmt.Errorf("open testbed: %s is not set; it names the folder that scripts/guest fills (scripts/test sets it)",
			TestbedVariable)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open testbed: %w", err)
	}
	b := &Testbed{Dir: dir}
	if b.Values, err = b.DiskValues("disk.raw"); err != nil {
		return nil, err
	}
	return b, nil
}

// DiskValues reads the .env file beside a disk image: for disk.raw that is
// disk.env.
func (b *Testbed) DiskValues(disk string) (map[string]string, error) {
	name := strings.TrimSuffix(disk, ".raw") + ".env"
	text, err := os.ReadFile(filepath.Join(b.Dir, name))
	if err != nil {
		return nil, missing(err, "scripts/guest")
	}
	values, err := parseEnvironment(string(text))
	if err != nil {
		return nil, fmt.Errorf("testbed: %s: %w", name, err)
	}
	return values, nil
}

// parseEnvironment reads KEY=value lines whose value may stand in double
// quotes, as the testbed's scripts write them. It is no shell.
func parseEnvironment(text string) (map[string]string, error) {
	values := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("line %d: %q is no KEY=value", i+1, line)
		}
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		values[key] = value
	}
	return values, nil
}

// Value returns a value of disk.env.
func (b *Testbed) Value(key string) (string, error) {
	value, found := b.Values[key]
	if !found || value == "" {
		return "", fmt.Errorf("testbed: %s has no %s; run scripts/testbed/make-disk again",
			filepath.Join(b.Dir, "disk.env"), key)
	}
	return value, nil
}

// Offset returns a value of disk.env that is a number of bytes.
func (b *Testbed) Offset(key string) (int64, error) {
	text, err := b.Value(key)
	if err != nil {
		return 0, err
	}
	offset, err := strconv.ParseInt(text, 10, 64)
	if err != nil || offset < 0 {
		return 0, fmt.Errorf("testbed: %s=%q of disk.env is no number of bytes", key, text)
	}
	return offset, nil
}

// Kernel finds the kernel of a suite.
func (b *Testbed) Kernel(suite string) (Kernel, error) {
	tree := filepath.Join(b.Dir, "kernels", suite)
	maker := "scripts/testbed/make-kernel " + suite
	release, err := os.ReadFile(filepath.Join(tree, "release"))
	if err != nil {
		return Kernel{}, missing(err, maker)
	}
	kernel := Kernel{
		Suite: suite, Tree: tree,
		Release: strings.TrimSpace(string(release)),
		Image:   filepath.Join(tree, "vmlinuz"),
	}
	for _, file := range []string{kernel.Image, filepath.Join(tree, "lib/modules", kernel.Release, "modules.dep")} {
		if _, err := os.Stat(file); err != nil {
			return Kernel{}, missing(err, maker)
		}
	}
	return kernel, nil
}

// File returns the path of a file below the testbed's folder; maker is the
// script that makes it.
func (b *Testbed) File(name, maker string) (string, error) {
	path := filepath.Join(b.Dir, name)
	if _, err := os.Stat(path); err != nil {
		return "", missing(err, maker)
	}
	return path, nil
}

func missing(err error, maker string) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("testbed: %w; %s makes it", err, maker)
	}
	return fmt.Errorf("testbed: %w", err)
}

// FindRepository returns the root of the repository that the working directory
// lies in: the folder with go.mod.
func FindRepository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find repository: no go.mod above the working directory")
		}
		dir = parent
	}
}
