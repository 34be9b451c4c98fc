//go:build guest

package apply

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
)

func TestABareMountIsTold(t *testing.T) {
	at := newDirectory(t)
	if mountapi.IsBareMount(at) {
		t.Error("a directory is taken for a mount")
	}
	mount := func(at string) {
		t.Helper()
		if err := unix.Mount("tmpfs", at, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	}
	mount(at)
	if !mountapi.IsBareMount(at) {
		t.Error("a mount without any below it is not known")
	}
	if err := os.MkdirAll(at+"/deep/below", 0o755); err != nil {
		t.Fatal(err)
	}
	mount(at + "/deep/below")
	if mountapi.IsBareMount(at) {
		t.Error("the mount below is not seen")
	}
	if mountapi.IsBareMount(at+"/deep") || !mountapi.IsBareMount(at+"/deep/below") {
		t.Error("they are mixed up")
	}
}
