//go:build guest

package verity

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/loopdev"
)

// answer is what a call printed, and its exit code.
type answer struct {
	stdout, stderr string
	code           int
}

// ours runs the applet, theirs the real veritysetup.
func ours(t *testing.T, arguments ...string) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	s := &session{stdout: &stdout, stderr: &stderr, workers: 1}
	code := s.run(t.Context(), append([]string{"veritysetup"}, arguments...))
	return answer{stdout.String(), stderr.String(), code}
}

func theirs(t *testing.T, arguments ...string) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command := exec.Command("veritysetup", arguments...)
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return answer{stdout.String(), stderr.String(), code}
}

// want fails the test unless a call ended well and said nothing.
func (a answer) want(t *testing.T, what string) {
	t.Helper()
	if a != (answer{}) {
		t.Errorf("%s: %+v", what, a)
	}
}

// tree is a formatted image, in a folder of its own.
type tree struct {
	folder, root string
}

func (i tree) path(name string) string { return filepath.Join(i.folder, name) }

// format makes "data" of a size, and "hash" of it.
func format(t *testing.T, size int, options ...string) tree {
	t.Helper()
	i := tree{folder: t.TempDir()}
	var content []byte
	for n := 0; len(content) < size; n++ {
		content = fmt.Appendf(content, "%15d\n", n*n)
	}
	if err := os.WriteFile(i.path("data"), content[:size], 0o600); err != nil {
		t.Fatal(err)
	}
	i.formatTo(t, "hash", options...)
	return i
}

// formatTo formats into another hash file; "@" in an option stands for the folder. It is done with ours,
// which is faster, and known to make the same: golden_test.go.
func (i *tree) formatTo(t *testing.T, hash string, options ...string) {
	t.Helper()
	arguments := []string{"format", "--uuid=11111111-2222-3333-4444-555555555555", "--root-hash-file=" + i.path("root")}
	for _, option := range options {
		arguments = append(arguments, strings.ReplaceAll(option, "@", i.folder+"/"))
	}
	if a := ours(t, append(arguments, i.path("data"), i.path(hash))...); a.code != 0 {
		t.Fatalf("format: %+v", a)
	}
	root, err := os.ReadFile(i.path("root"))
	if err != nil {
		t.Fatal(err)
	}
	i.root = string(root)
}

// attach makes a loop device of one of the files, until the end of the test.
func (i tree) attach(t *testing.T, name string) string {
	t.Helper()
	file, err := os.Open(i.path(name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	device, err := loopdev.Attach(file, 0, 0, 512)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	return device.Path
}

// damage changes a byte of one of the files.
func (i tree) damage(t *testing.T, name string, at int64) {
	t.Helper()
	file, err := os.OpenFile(i.path(name), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b := make([]byte, 1)
	if _, err := file.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0xff
	if _, err := file.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// deviceMapper is for what only the kernel can tell.
func deviceMapper(t *testing.T) *devmapper.Control {
	t.Helper()
	dm, err := devmapper.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dm.Close() })
	return dm
}

// closeAtEnd closes a device when the test is over, however it ended.
func closeAtEnd(t *testing.T, name string) {
	t.Helper()
	dm := deviceMapper(t)
	t.Cleanup(func() { _ = dm.RemoveWhenUnused(devmapper.MangleName(name)) })
}

// leftOver lists mapped devices, and what there is below /dev/mapper besides the control device. Of
// udev's records it says nothing: the original does not know them.
func leftOver(t *testing.T) []string {
	t.Helper()
	devices, err := deviceMapper(t).List()
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, device := range devices {
		left = append(left, device.Name)
	}
	for _, link := range mapperLinks() {
		if !slices.Contains(earlierLinks, link) {
			left = append(left, link)
		}
	}
	return left
}

// earlierLinks are those that the tests of other packages left in this machine.
var earlierLinks = mapperLinks()

func mapperLinks() []string {
	links, _ := filepath.Glob("/dev/mapper/*") // fails for bad patterns only
	return slices.DeleteFunc(links, func(link string) bool { return link == "/dev/mapper/control" })
}

func wantNothingLeft(t *testing.T) {
	t.Helper()
	if left := leftOver(t); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
