package extension

import (
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/osrelease"
)

func TestSearchPathAndHierarchies(t *testing.T) {
	for _, c := range []struct {
		class             osrelease.Class
		initrd            bool
		path, hierarchies string
	}{
		{osrelease.ClassConfext, false, "/run/confexts /var/lib/confexts /usr/local/lib/confexts /usr/lib/confexts", "/etc"},
		{osrelease.ClassSysext, false, "/etc/extensions /run/extensions /var/lib/extensions", "/usr /opt"},
		{osrelease.ClassConfext, true, "/run/confexts /var/lib/confexts /usr/local/lib/confexts /.extra/confext /.extra/global_confext", "/etc"},
		{osrelease.ClassSysext, true, "/etc/extensions /run/extensions /var/lib/extensions /.extra/sysext /.extra/global_sysext", "/usr /opt"},
	} {
		if got := strings.Join(SearchPath(c.class, c.initrd), " "); got != c.path {
			t.Errorf("%s: %s", c.class, got)
		}
		if got := strings.Join(Hierarchies(c.class), " "); got != c.hierarchies {
			t.Errorf("%s: %s", c.class, got)
		}
	}
}

func TestMutableName(t *testing.T) {
	for hierarchy, want := range map[string]string{"/etc": "etc", "/usr": "usr", "/foo/bar": "foo.bar", "/foo/bar/": "foo.bar"} {
		if got := MutableName(hierarchy); got != want {
			t.Errorf("%s: %s", hierarchy, got)
		}
	}
}

func TestValidName(t *testing.T) {
	for _, name := range []string{"a", ".hid", "00-default", "a b", `a,b:c\d"e'`, "ü", "#x", "a.#b", "...", strings.Repeat("x", 255), "\u0085"} {
		if !validName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "/", "a\nb", "\t", "a\x7f", "\x00", ".#x", ".#", "\xff", "a\xc3", strings.Repeat("x", 256)} {
		if validName(name) {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestMutableMode(t *testing.T) {
	for text, want := range map[string]string{
		"no": "no", "No": "no", "n": "no", "false": "no", "F": "no", "off": "no", "0": "no",
		"yes": "yes", "Y": "yes", "true": "yes", "t": "yes", "ON": "yes", "1": "yes",
		"auto": "auto", "import": "import", "ephemeral": "ephemeral", "ephemeral-import": "ephemeral-import",
		// Only booleans are taken in either case.
		"Auto": "", "": "", "2": "", "maybe": "", "auto ": "",
	} {
		if got, known := ParseMode(text); got != want || known != (want != "") {
			t.Errorf("%q: %q, %v", text, got, known)
		}
	}
}

func TestMicroseconds(t *testing.T) {
	for _, c := range []struct {
		time unix.StatxTimestamp
		want uint64
	}{
		{unix.StatxTimestamp{}, 0},
		{unix.StatxTimestamp{Sec: 1795408892, Nsec: 999}, 1795408892000000},
		{unix.StatxTimestamp{Sec: 1795408892, Nsec: 999999999}, 1795408892999999},
		{unix.StatxTimestamp{Sec: -1, Nsec: 5}, math.MaxUint64},
		{unix.StatxTimestamp{Sec: math.MaxInt64}, math.MaxUint64},
	} {
		if got := microseconds(c.time); got != c.want {
			t.Errorf("%+v: %d, want %d", c.time, got, c.want)
		}
	}
}

func TestHandleText(t *testing.T) {
	if got := (Identity{Handle: []byte{0x91, 0x0f, 0}}).HandleText(); got != "910f00" {
		t.Error(got)
	}
}

func FuzzMutableMode(f *testing.F) {
	f.Add("auto")
	f.Add("YES")
	modes := []string{"no", "yes", "auto", "import", "ephemeral", "ephemeral-import"}
	f.Fuzz(func(t *testing.T, text string) {
		if mode, known := ParseMode(text); known != slices.Contains(modes, mode) {
			t.Errorf("%q: %q, %v", text, mode, known)
		}
	})
}

// A path that a file "work_dir" holds comes back as it was written; anything else is taken without a panic.
func FuzzEscapeC(f *testing.F) {
	f.Add("var/lib/extensions.mutable/.systemd-etc-workdir")
	f.Add("a\\b\"\n\x01\xff\\777\\")
	f.Fuzz(func(t *testing.T, text string) {
		if got := unescapeC(EscapeC(text)); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
		_ = unescapeC(text)
	})
}
