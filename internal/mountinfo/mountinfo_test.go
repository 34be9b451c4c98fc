package mountinfo

import (
	"bufio"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

const table = `22 1 0:21 / / rw,relatime - rootfs rootfs rw
36 22 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:22 - ext3 /dev/root rw,errors=continue
41 22 254:0 / /usr ro,nodev,relatime shared:1 - erofs /dev/mapper/usr ro,user_xattr
57 22 0:43 / /etc rw,nosuid,nodev,noexec,noatime - overlay confext rw,lowerdir=/run/a\040b:/c\134:\054,upperdir=/etc
60 57 0:44 /a\040b /mnt/x\011y\012z\134 rw unbindable - fuse.sshfs user@host:/-\040- rw
61 57 0:45 /.systemd-confext//deleted /mnt rw - tmpfs  rw,size=4k
`

func TestParse(t *testing.T) {
	got, err := Parse(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	want := []Mount{
		{22, 1, "0:21", "/", "/", "rw,relatime", nil, "rootfs", "rootfs", "rw"},
		{36, 22, "98:0", "/mnt1", "/mnt2", "rw,noatime", []string{"master:1", "shared:22"}, "ext3", "/dev/root", "rw,errors=continue"},
		{41, 22, "254:0", "/", "/usr", "ro,nodev,relatime", []string{"shared:1"}, "erofs", "/dev/mapper/usr", "ro,user_xattr"},
		{57, 22, "0:43", "/", "/etc", "rw,nosuid,nodev,noexec,noatime", nil, "overlay", "confext", `rw,lowerdir=/run/a b:/c\:,,upperdir=/etc`},
		{60, 57, "0:44", "/a b", "/mnt/x\ty\nz\\", "rw", []string{"unbindable"}, "fuse.sshfs", "user@host:/- -", "rw"},
		{61, 57, "0:45", "/.systemd-confext//deleted", "/mnt", "rw", nil, "tmpfs", "", "rw,size=4k"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d mounts, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("line %d: got %+v, want %+v", i+1, got[i], want[i])
		}
	}
}

func TestParseOwnTable(t *testing.T) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mounts, err := Parse(f)
	if err != nil || len(mounts) == 0 {
		t.Fatalf("%d mounts, %v", len(mounts), err)
	}
	for _, mount := range mounts {
		if !strings.HasPrefix(mount.Target, "/") || mount.FSType == "" || mount.ID == 0 {
			t.Errorf("mount %+v", mount)
		}
	}
}

func TestParseOddLines(t *testing.T) {
	const start = "1 2 3:4 / /x rw"
	for line, want := range map[string]Mount{
		start + " - t s o":           {FSType: "t", Source: "s", SuperOptions: "o"},
		start + " - t s ":            {FSType: "t", Source: "s"},
		start + " - t  ":             {FSType: "t"},
		start + " - t s o p":         {FSType: "t", Source: "s", SuperOptions: "o p"},
		start + " - t - o":           {FSType: "t", Source: "-", SuperOptions: "o"},
		start + " new:1 - t s o":     {Optional: []string{"new:1"}, FSType: "t", Source: "s", SuperOptions: "o"},
		start + ` - t \134040 o`:     {FSType: "t", Source: `\040`, SuperOptions: "o"},
		start + ` - t \04 \`:         {FSType: "t", Source: `\04`, SuperOptions: `\`},
		start + ` - t \400 \08x`:     {FSType: "t", Source: `\400`, SuperOptions: `\08x`},
		start + ` - t \303\244 \377`: {FSType: "t", Source: "ä", SuperOptions: "\xff"},
	} {
		want.ID, want.Parent, want.Device, want.Root, want.Target, want.Options = 1, 2, "3:4", "/", "/x", "rw"
		got, err := Parse(strings.NewReader(line))
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%q: got %+v, %v; want %+v", line, got, err, want)
		}
	}
	if got, err := Parse(strings.NewReader("")); err != nil || got != nil {
		t.Errorf("empty table: %v, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	const good = "1 2 3:4 / /x rw - t s o\n"
	for line, want := range map[string]string{
		"":                                           `no " - "`,
		"1 2 3:4 / /x - t s o":                       `no " - "`,
		"1 2 3:4 / /x rw t s o":                      `no " - "`,
		"1 2 3:4 / /x rw - t s":                      "2 fields behind",
		"1 2 3:4 / /x rw -":                          "0 fields behind",
		"x 2 3:4 / /x rw - t s o":                    `mount ID "x" is not a number`,
		"1  3:4 / /x rw - t s o":                     `parent ID "" is not a number`,
		"1 2 34 / /x rw - t s o":                     `device "34" is not MAJOR:MINOR`,
		"1 2 3: / /x rw - t s o":                     `device "3:"`,
		"1 2 -3:4 / /x rw - t s o":                   `device "-3:4"`,
		"1 2 3:4294967296 / /x rw - t s o":           `device "3:4294967296"`,
		"99999999999999999999 2 3:4 / /x rw - t s o": "is not a number",
	} {
		got, err := Parse(strings.NewReader(good + line + "\n"))
		if err == nil || got != nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: got %v, error %v; want %q in line 2", line, got, err, want)
		}
	}
}

func TestParseReadErrors(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Parse(io.MultiReader(strings.NewReader(table), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("read error: %v", err)
	}
	long := "1 2 3:4 / /x rw - t s " + strings.Repeat("o", maxLine)
	if _, err := Parse(strings.NewReader(long)); !errors.Is(err, bufio.ErrTooLong) {
		t.Errorf("endless line: %v", err)
	}
	if mounts, err := Parse(strings.NewReader(long[:1<<20])); err != nil || len(mounts[0].SuperOptions) < 1<<19 {
		t.Errorf("line of 1 MiB: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(table))
	f.Add([]byte("1 2 3:4 / /x rw - t  \\040\\"))
	f.Add([]byte("1 2 3:4 / /x rw - - - - -\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		mounts, err := Parse(strings.NewReader(string(text)))
		if err != nil && mounts != nil {
			t.Error("mounts beside an error")
		}
		total := 0
		for _, mount := range mounts {
			total += len(mount.Root) + len(mount.Target) + len(mount.Source) + len(mount.SuperOptions)
		}
		if total > len(text) {
			t.Errorf("%d bytes out of %d", total, len(text))
		}
	})
}
