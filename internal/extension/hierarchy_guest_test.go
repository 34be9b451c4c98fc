//go:build guest

package extension

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadHierarchy(t *testing.T) {
	for name, c := range map[string]struct {
		files    map[string]string
		resolved string
		exists   bool
		empty    bool
		problem  string
	}{
		"ordinary":                 {files: map[string]string{"etc/x": ""}, resolved: "/etc", exists: true},
		"hidden files count":       {files: map[string]string{"etc/.x": ""}, resolved: "/etc", exists: true},
		"empty":                    {files: map[string]string{"etc/": ""}, resolved: "/etc", exists: true, empty: true},
		"missing":                  {resolved: "/etc", empty: true},
		"a link":                   {files: map[string]string{"etc -> /real/etc": "", "real/etc/x": ""}, resolved: "/real/etc", exists: true},
		"a relative link upwards":  {files: map[string]string{"etc -> ../../real": "", "real/x": ""}, resolved: "/real", exists: true},
		"a dangling link":          {files: map[string]string{"etc -> /var/etc": "", "var/": ""}, resolved: "/var/etc", empty: true},
		"dangling far away":        {files: map[string]string{"etc -> var/a/b": "", "var -> /real": "", "real/": ""}, resolved: "/real/a/b", empty: true},
		"a link to a dangling one": {files: map[string]string{"etc -> /one": "", "one -> two": ""}, resolved: "/two", empty: true},
		"a file":                   {files: map[string]string{"etc": "x"}, resolved: "/etc", empty: true, problem: "it is not a directory"},
		"a link loop":              {files: map[string]string{"etc -> etc": ""}, resolved: "/etc", empty: true, problem: "too many levels of symbolic links"},
		"below a file":             {files: map[string]string{"etc -> /file/etc": "", "file": ""}, resolved: "/etc", empty: true, problem: "not a directory"},
		"dangling with dots":       {files: map[string]string{"etc -> /gone/..": ""}, empty: true, problem: "cannot tell where"},
	} {
		t.Run(name, func(t *testing.T) {
			h := ReadHierarchy(newTree(t, c.files), "/etc")
			if h.Path != "/etc" || h.Exists != c.exists || h.Empty != c.empty || h.Permissions != 0o755 || h.Mutable != nil {
				t.Errorf("%+v", h)
			}
			if c.problem == "" && (h.Problem != "" || h.Resolved != c.resolved) || !strings.Contains(h.Problem, c.problem) {
				t.Errorf("%+v", h)
			}
		})
	}
}

// What is made outside of the tree must not be where a missing directory is resolved to.
func TestReadHierarchyIgnoresTheWorldOutside(t *testing.T) {
	outside := t.TempDir()
	root := newTree(t, map[string]string{"opt -> " + outside: ""})
	if h := ReadHierarchy(root, "/opt"); h.Exists || h.Resolved != outside || h.Problem != "" {
		t.Errorf("%+v", h)
	}
}

func TestReadHierarchyPermissionsAndDevice(t *testing.T) {
	root := newTree(t, map[string]string{"etc/x": ""})
	if err := os.Chmod(host(root, "/etc"), 0o751|os.ModeSetgid|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if h := ReadHierarchy(root, "/etc"); h.Permissions != 0o751 {
		t.Errorf("%+v", h)
	}
	if err := unix.Mount("tmpfs", host(root, "/etc"), "tmpfs", 0, "mode=700"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(host(root, "/etc"), unix.MNT_DETACH)
	if h := ReadHierarchy(root, "/etc"); h.Backing != "" || !h.Empty || h.Permissions != 0o700 {
		t.Errorf("%+v", h)
	}
}

func TestMutableDirectory(t *testing.T) {
	const entry = "var/lib/extensions.mutable/etc"
	for name, c := range map[string]struct {
		files   map[string]string
		mode    os.FileMode
		missing bool
		path    string
		isHost  bool
		problem string
	}{
		"missing":               {files: map[string]string{"etc/x": ""}, missing: true},
		"dangling":              {files: map[string]string{"etc/x": "", entry + " -> /gone": ""}, missing: true},
		"a directory":           {files: map[string]string{"etc/x": "", entry + "/": ""}, path: "/" + entry},
		"a link":                {files: map[string]string{"etc/x": "", entry + " -> /data": "", "data/": ""}, path: "/data"},
		"a link to the host":    {files: map[string]string{"etc/x": "", entry + " -> /etc": ""}, path: "/etc", isHost: true},
		"a relative link":       {files: map[string]string{"etc/x": "", entry + " -> ../../../etc": ""}, path: "/etc", isHost: true},
		"host is a link too":    {files: map[string]string{"real/x": "", "etc -> real": "", entry + " -> /real": ""}, path: "/real", isHost: true},
		"no host":               {files: map[string]string{entry + "/": ""}, path: "/" + entry},
		"another mode":          {files: map[string]string{"etc/x": "", entry + "/": ""}, mode: 0o700, path: "/" + entry, problem: "it has mode 0700, ought to have mode 0755"},
		"set-id does not count": {files: map[string]string{"etc/x": "", entry + "/": ""}, mode: 0o755 | os.ModeSetgid, path: "/" + entry},
		"a file":                {files: map[string]string{"etc/x": "", entry: ""}, path: "/" + entry, problem: "it is not a directory"},
		"a link loop":           {files: map[string]string{"etc/x": "", entry + " -> etc": ""}, path: "/" + entry, problem: "too many levels of symbolic links"},
		"below a file":          {files: map[string]string{"etc/x": "", "var/lib/extensions.mutable": ""}, path: "/" + entry, problem: "not a directory"},
		"leads out":             {files: map[string]string{"etc/x": "", entry + " -> /proc/self/root": ""}, missing: true},
	} {
		t.Run(name, func(t *testing.T) {
			root := newTree(t, c.files)
			if c.mode != 0 {
				if err := os.Chmod(host(root, "/"+entry), c.mode); err != nil {
					t.Fatal(err)
				}
			}
			m := ReadHierarchy(root, "/etc").Mutable
			if c.missing {
				if m != nil {
					t.Errorf("%+v", m)
				}
				return
			}
			if m == nil || m.Path != c.path || m.IsHost != c.isHost || m.Problem+m.WriteProblem != c.problem {
				t.Errorf("%+v", m)
			}
		})
	}
}

func TestMutableDirectoryOnOtherFileSystems(t *testing.T) {
	const entry = "/var/lib/extensions.mutable/etc"
	root := newTree(t, map[string]string{"etc/x": "", "var/lib/extensions.mutable/etc/": ""})
	mount := func(inside string, flags uintptr, want string) {
		t.Helper()
		if err := unix.Mount("tmpfs", host(root, inside), "tmpfs", flags, "mode=755"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(host(root, inside), unix.MNT_DETACH) })
		if inside != entry {
			if err := os.Mkdir(host(root, entry), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if m := ReadHierarchy(root, "/etc").Mutable; m == nil || m.WriteProblem != want {
			t.Errorf("%s: %+v", inside, m)
		}
	}
	mount("/var/lib/extensions.mutable", 0, "")
	if err := unix.Mount("", host(root, "/var/lib/extensions.mutable"), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if m := ReadHierarchy(root, "/etc").Mutable; m == nil || m.WriteProblem != "its file system is read-only" {
		t.Errorf("%+v", m)
	}
	mount(entry, 0, "its parent directory lies on another file system")
}

func TestContent(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
		err   string
	}{
		"some":            {files: map[string]string{"etc/x": ""}, want: "/etc"},
		"hidden":          {files: map[string]string{"etc/.x": ""}, want: "/etc"},
		"empty":           {files: map[string]string{"etc/": ""}},
		"missing":         {},
		"a link":          {files: map[string]string{"etc -> /a/b": "", "a/b/x": ""}, want: "/a/b"},
		"a link upwards":  {files: map[string]string{"etc -> ../../../a": "", "a/x": ""}, want: "/a"},
		"the whole tree":  {files: map[string]string{"etc -> /": ""}, want: "/"},
		"dangling":        {files: map[string]string{"etc -> /gone": ""}},
		"a file":          {files: map[string]string{"etc": "x"}},
		"below a file":    {files: map[string]string{"etc -> /f/x": "", "f": ""}},
		"to a link loop":  {files: map[string]string{"etc -> etc": ""}, err: "too many levels"},
		"odd characters":  {files: map[string]string{"etc -> /a,b:c\\d e": "", "a,b:c\\d e/x": ""}, want: "/a,b:c\\d e"},
		"outside, for us": {files: map[string]string{"etc -> /proc/self/root/etc": ""}},
	} {
		got, _, err := Content(newTree(t, c.files), "/etc")
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
