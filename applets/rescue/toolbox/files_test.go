package toolbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestCopyMoveRemove(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "one\n", "b": "two\n", "d/sub/x": "deep", "d/y": "why", "e/": ""})
	if err := os.Symlink("a", filepath.Join(dir, "d/link")); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(dir, "d/y"), old, old); err != nil {
		t.Fatal(err)
	}
	runSteps(t, dir, []step{
		{line: "cp a c"},
		{line: "cat c", out: "one\n"},
		{line: "cp -n b c"},
		{line: "cat c", out: "one\n"},
		{line: "cp -v a b e", out: "DIR/a -> DIR/e/a\nDIR/b -> DIR/e/b\n"},
		{line: "cp a a", code: 1, err: "are the same file"},
		{line: "cp d f", code: 1, err: "-r copies it"},
		{line: "cp -a d f"},
		{line: "cat f/sub/x f/y", out: "deepwhy"},
		{line: "cp -r d d", code: 1, err: "not copied into itself"},
		{line: "cp a b nothing", code: 1, err: "nothing: not a directory"},
		{line: "cp gone e", code: 1, err: "gone: no such file or directory"},
		{line: "cp a", code: 1, err: "usage: cp"},
		{line: "cp -t e c"},
		{line: "mv c g"},
		{line: "cat c", code: 1, err: "c: no such file or directory"},
		{line: "mv -n g b"},
		{line: "cat b", out: "two\n"},
		{line: "mv g e"},
		{line: "cat e/g", out: "one\n"},
		{line: "mv gone e", code: 1, err: "no such file or directory"},
		{line: "rm e", code: 1, err: "-r removes it"},
		{line: "rm gone", code: 1, err: "gone: no such file or directory"},
		{line: "rm -f gone"},
		{line: "rm -rv e d/.", code: 1, out: "removed e\n", err: "d/.: this is never removed"},
		{line: "rm -r /", code: 1, err: "this is never removed"},
		{line: "rm", code: 1, err: "usage: rm"},
	})
	if _, err := os.Stat(filepath.Join(dir, "e")); err == nil {
		t.Error("e is still there")
	}
	if target, err := os.Readlink(filepath.Join(dir, "f/link")); target != "a" {
		t.Error(target, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "f/y")); err != nil || !info.ModTime().Equal(old) {
		t.Error(info.ModTime(), err)
	}
}

// A copy over a link that leads nowhere would appear somewhere else.
func TestCopyOverADanglingLink(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "one"})
	if err := os.Symlink("elsewhere", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	if got := run(t, dir, "", "cp a l"); got.code != 1 || !strings.Contains(got.err, "leads nowhere") {
		t.Errorf("%+v", got)
	}
	if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("it was written through the link")
	}
}

// Names of one file stay that.
func TestCopyKeepsHardLinks(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"d/a": "x"})
	if err := os.Link(filepath.Join(dir, "d/a"), filepath.Join(dir, "d/b")); err != nil {
		t.Fatal(err)
	}
	if got := run(t, dir, "", "cp -a d e"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	var a, b unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "e/a"), &a); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(filepath.Join(dir, "e/b"), &b); err != nil || a.Ino != b.Ino {
		t.Error(a.Ino, b.Ino, err)
	}
}

func TestListing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"b": "12345", ".hidden": "", "a/inner": "x", "odd\x1b[2J": ""})
	if err := os.Symlink("b", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "link"} {
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, name), []unix.Timespec{{Sec: 1600000000}, {Sec: 1600000000}}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "b"), 0o640); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1600000000, 0).Format("2006-01-02 15:04")
	runSteps(t, dir, []step{
		// For a program the bytes are as they are.
		{line: "ls", out: "a\nb\nlink\nodd\x1b[2J\n"},
		{line: "ls -A", out: ".hidden\na\nb\nlink\nodd\x1b[2J\n"},
		{line: "ls -F a b link", out: "b\nlink@\n\na:\ninner\n"},
		{line: "ls -d a", out: "a\n"},
		{line: "ls -rd a b", out: "b\na\n"},
		{line: "ls -1S b .hidden", out: "b\n.hidden\n"},
		{line: "ls nothing", code: 2, err: "nothing: no such file or directory"},
	})
	if got := run(t, dir, "", "ls -l b link"); got.code != 0 || strings.Count(got.out, at) != 2 || !strings.HasPrefix(got.out, "-rw-r-----") ||
		!strings.Contains(got.out, " 5 "+at+" b\n") || !strings.HasSuffix(got.out, at+" link -> b\n") {
		t.Errorf("%+v", got)
	}
	if got := run(t, dir, "", "ls -R"); !strings.HasPrefix(got.out, ".:\na\nb\n") || !strings.HasSuffix(got.out, "\n./a:\ninner\n") {
		t.Errorf("%+v", got)
	}
	if got := run(t, "/dev", "", "ls -l null"); !strings.HasPrefix(got.out, "crw-rw-rw- ") || !strings.Contains(got.out, " 1,   3 ") {
		t.Errorf("%+v", got)
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		mode  string
		from  uint32
		isDir bool
		want  uint32
	}{
		{"644", 0o777, false, 0o644}, {"4755", 0, false, 0o4755}, {"755", 0o2700, true, 0o2755}, {"00755", 0o2700, true, 0o755},
		{"u+x", 0o644, false, 0o744}, {"a-w", 0o666, false, 0o444}, {"go=r", 0o777, false, 0o744}, {"u=rwX,go=rX", 0o600, false, 0o644},
		{"a+X", 0o600, true, 0o711}, {"u+s,g+s,+t", 0o755, false, 0o7755}, {"g=u", 0o740, false, 0o770}, {"o-rwx,u-w", 0o666, false, 0o460},
	} {
		change, err := parseMode(c.mode)
		if err != nil {
			t.Errorf("%s: %v", c.mode, err)
			continue
		}
		if got := change(c.from, c.isDir); got != c.want {
			t.Errorf("%s of %o: %o, want %o", c.mode, c.from, got, c.want)
		}
	}
	for _, bad := range []string{"", "8", "77777", "u", "u+y", "x+u", "u+x,", "0x1"} {
		if _, err := parseMode(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"d/f": "", "d/g": ""})
	runSteps(t, dir, []step{
		{line: "chmod -R go-rwx d"}, {line: "chmod -x d/f"}, {line: "chmod", code: 1, err: "usage"}, {line: "chmod 644 gone", code: 1, err: "gone: no such file"},
		{line: "chmod bad d", code: 1, err: `"bad" is no mode`}, {line: "chown a:b d", code: 1, err: "owners are numbers here"},
	})
	if info, err := os.Stat(filepath.Join(dir, "d/g")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

func FuzzMode(f *testing.F) {
	f.Add("u+x,go=rX", uint32(0o644))
	f.Fuzz(func(t *testing.T, text string, mode uint32) {
		if change, err := parseMode(text); err == nil && change(mode, true)|change(mode, false) > 0o7777 {
			t.Errorf("%q makes more than a mode of %o", text, mode)
		}
	})
}

func TestDirectoriesAndLinks(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"f": "x"})
	runSteps(t, dir, []step{
		{line: "mkdir a"}, {line: "mkdir a", code: 1, err: "a: file exists"}, {line: "mkdir b/c", code: 1, err: "no such file"}, {line: "mkdir -p b/c a"},
		{line: "mkdir -m 700 p"}, {line: "rmdir b", code: 1, err: "directory not empty"}, {line: "rmdir -p b/c"},
		{line: "ln -s f l"}, {line: "ln -s f l", code: 1, err: "file exists"}, {line: "ln -sf a l"}, {line: "ln -sfn f l"}, {line: "cat l", out: "x"},
		{line: "ln f h"}, {line: "ls", out: "a\nf\nh\nl\np\n"}, {line: "mktemp x", code: 1, err: "at least three X"},
		{line: "touch -d 2020-01-02 f"}, {line: "touch -c gone"}, {line: "touch -d nonsense f", code: 1, err: "is no time"}, {line: "find . -newer f -name gone"},
		{line: "touch -r f new"}, {line: "touch -t 202001020304.05 f"}, {line: "touch", code: 1, err: "usage"},
		{line: "touch -d @1700000000 s"}, {line: "touch -d @17x s", code: 1, err: "is no time"}, {line: "touch -d @ s", code: 1, err: "is no time"},
	})
	if info, err := os.Stat(filepath.Join(dir, "s")); err != nil || info.ModTime().Unix() != 1700000000 {
		t.Error(info.ModTime(), err)
	}
	if info, err := os.Stat(filepath.Join(dir, "p")); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(dir, "new")); err != nil || info.ModTime().Format("2006-01-02") != "2020-01-02" {
		t.Error(info.ModTime(), err)
	}
	got := run(t, dir, "", "mktemp -d dir.XXXXX.end")
	name := strings.TrimSpace(got.out)
	if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 || len(name) != len("dir.XXXXX.end") || strings.Contains(name, "XXX") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a/x.conf": "12345", "a/b/y.conf": "", "a/b/z": strings.Repeat("x", 2000), "e/": ""})
	if err := os.Symlink("a", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"find . -name *.conf":                         "./a/b/y.conf ./a/x.conf",
		"find a -type f -size +1k":                    "a/b/z",
		"find -type l":                                "./l",
		"find . -maxdepth 1 -type d":                  ". ./a ./e",
		"find . -empty":                               "./a/b/y.conf ./e",
		"find . -name b -prune -o -type f -print":     "./a/x.conf",
		"find . ( -name z -o -name e )":               "./a/b/z ./e",
		"find . ! -type d ! -name *.conf":             "./a/b/z ./l",
		"find . -path */b/*":                          "./a/b/y.conf ./a/b/z",
		"find a -name x.conf -exec cat {} ;":          "12345",
		"find a -mindepth 2 -type f -exec wc -c {} +": "",
		"find . -name nothing":                        "",
	} {
		got := run(t, dir, "", line)
		words := strings.Fields(got.out)
		order(words, func(a, b *string) int { return strings.Compare(*a, *b) })
		if strings.Contains(line, "wc") {
			if got.code != 0 || !strings.Contains(got.out, "2000 total") {
				t.Errorf("%s: %+v", line, got)
			}
			continue
		}
		if strings.Join(words, " ") != want || got.code != 0 || got.err != "" {
			t.Errorf("%s: %+v; want %q", line, got, want)
		}
	}
	for _, line := range []string{"find . -name", "find . -what 3", "find . (", "find . )", "find . -type q", "find . -exec cat {}", "find . -size x", "find . -o", "find . -perm 9", "find . -name [", "find . !"} {
		if got := run(t, dir, "", line); got.code != 1 || !strings.Contains(got.err, "usage: find") || got.out != "" {
			t.Errorf("%s: %+v", line, got)
		}
	}
	if got := run(t, dir, "", "find gone a -name z"); got.code != 1 || got.out != "a/b/z\n" || !strings.Contains(got.err, "gone: no such file") {
		t.Errorf("%+v", got)
	}
	if got := run(t, dir, "", "find a -name *.conf -delete"); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if got := run(t, dir, "", "find a -type f"); got.out != "a/b/z\n" {
		t.Errorf("%+v", got)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("( -name *.conf -o ! -type d ) -size +3k -print0")
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, " ")
		finder := &finder{c: &call{Call: Call{Arguments: []string{"find"}}}, maxDepth: maxDepth}
		holds, err := finder.parse(words)
		if err == nil && holds == nil {
			t.Errorf("%q: nothing", words)
		}
	})
}
