package observe

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestExtraFiles(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	for _, err := range []error{
		os.MkdirAll(root+"/credentials/directory.cred", 0o755), os.Mkdir(root+"/sysext", 0o755),
		os.WriteFile(root+"/credentials/b.cred", []byte("12"), 0o600), os.WriteFile(root+"/credentials/a.cred", nil, 0o600),
		os.WriteFile(root+"/sysext/x.raw", []byte("1"), 0o600), os.WriteFile(root+"/file", []byte("1"), 0o600),
		os.Symlink("b.cred", root+"/credentials/link.cred"), os.WriteFile(filepath.Join(outside, "x.cred"), nil, 0o600), os.Symlink(outside, root+"/link"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	files, err := ExtraFiles(root, []string{"sysext", "missing", "file", "link", "credentials"})
	want := []ExtraFile{
		{"sysext/x.raw", "x.raw", 1}, {"credentials/a.cred", "a.cred", 0}, {"credentials/b.cred", "b.cred", 2},
		{"credentials/directory.cred", "directory.cred", -1}, {"credentials/link.cred", "link.cred", -1},
	}
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("%+v, %v", files, err)
	}
}
