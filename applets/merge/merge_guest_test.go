//go:build guest

package merge

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
)

const skipping = "Skipping extension refresh because no change was found, use --always-refresh=yes to always do a refresh.\n"

// The same call, the same words, the same result, with the real program before and after ours.
func TestMergeLikeSystemd(t *testing.T) {
	w := newWorld(t)
	type step struct{ command, output string }
	run := func(call func(...string) string) {
		for _, s := range []step{
			{"status", "HIERARCHY EXTENSIONS SINCE\n/srv/etc  -          -\n"},
			{"list", "No OS extensions found.\n"},
			{"refresh", "No extensions found.\n"},
			{"merge", "No extensions found.\n"},
			{"unmerge", ""},
		} {
			w.is(call(s.command), s.output)
		}
		w.add("one")
		w.add("two")
		w.is(call("merge"), "Using extensions 'one', 'two'.\nMerged extensions into '/srv/etc'.\n")
		w.is(w.read("both")+" "+w.read("one")+" "+w.read("base"), "two one host")
		w.has(call("status"), "/srv/etc  one        ")
		w.has(call("list", "--no-legend"), "one directory /var/lib/confexts/one ")
		w.is(call("refresh"), skipping)
		w.add("a_new")
		w.is(call("refresh"), "Using extensions 'a_new', 'one', 'two'.\nUnmerged '/srv/etc'.\nMerged extensions into '/srv/etc'.\n")
		w.is(call("refresh", "--always-refresh=yes"), "Using extensions 'a_new', 'one', 'two'.\nUnmerged '/srv/etc'.\nMerged extensions into '/srv/etc'.\n")
		w.is(call("unmerge"), "Unmerged '/srv/etc'.\n")
		w.is(w.read("both")+" "+w.read("one"), "host missing")
		for _, name := range []string{"one", "two", "a_new"} {
			w.check(os.RemoveAll(filepath.Join(confexts, name)))
		}
	}
	quiet := func(call func(...string) string) func(...string) string {
		// Notes about hidden files are ours alone.
		return func(arguments ...string) string {
			var lines strings.Builder
			for line := range strings.Lines(call(arguments...)) {
				if !strings.HasPrefix(line, "Note: ") {
					lines.WriteString(line)
				}
			}
			return lines.String()
		}
	}
	run(w.theirs)
	run(quiet(w.ours))
}

// Each takes over what the other has merged.
func TestTakeOver(t *testing.T) {
	w := newWorld(t)
	w.add("one")
	for _, pair := range [][2]func(...string) string{{w.ours, w.theirs}, {w.theirs, w.ours}} {
		first, second := pair[0], pair[1]
		for _, mode := range []string{"no", "yes", "auto", "import", "ephemeral", "ephemeral-import"} {
			option := "--mutable=" + mode
			w.has(first("merge", option), "Merged extensions into '/srv/etc'.")
			origin, _ := os.ReadFile("/srv/etc/.systemd-confext/origin")
			output := second("refresh", option)
			if output != skipping {
				again, _ := os.ReadFile("/srv/etc/.systemd-confext/origin")
				t.Errorf("%s: %s\n%s\n%s", mode, output, origin, again)
			}
			w.is(first("refresh", option), skipping)
			w.has(second("status", "--json=short"), `[{"hierarchy":"/srv/etc","extensions":["one"],"since":`)
			w.has(second("refresh", option, "--always-refresh=yes"), "Merged extensions into '/srv/etc'.")
			w.is(w.read("both")+" "+w.read("base"), "one host")
			work, _ := os.ReadFile("/srv/etc/.systemd-confext/work_dir")
			if mode != "no" && mode != "import" && mode != "auto" {
				w.write("/srv/etc/written", "x")
			}
			w.is(first("unmerge"), "Unmerged '/srv/etc'.\n")
			w.is(w.read("both"), "host")
			if mountapi.IsMountPoint("/srv/etc") {
				t.Fatal("something is left")
			}
			// systemd 262 leaves work directories, its own as well. Ours go with the next merge of ours at the latest.
			left, _ := filepath.Glob("/var/lib/extensions.mutable/.systemd-*")
			if len(left) > 2 {
				t.Errorf("%s: work directories are left: %q, work_dir %q", mode, left, work)
			}
		}
		w.ours("merge", "--mutable=yes")
		w.ours("unmerge")
		if left, _ := filepath.Glob("/var/lib/extensions.mutable/.systemd-*"); len(left) != 0 {
			t.Errorf("work directories are left: %q", left)
		}
		w.check(os.RemoveAll("/var/lib/extensions.mutable"))
	}
}

// No path of /etc is missing at any moment of thousands of refreshes, as another process sees it that reads and lists all the time. systemd's own
// refresh has gaps in the same test.
func TestRefreshWithoutGap(t *testing.T) {
	w := newWorld(t, "/etc")
	w.write("/etc/hostname", "guest\n")
	w.add("one")
	w.add("two")
	for mode, refreshes := range map[string]int{"no": 2000, "yes": 200} {
		if testing.Short() {
			refreshes /= 8
		}
		w.ours("merge", "--mutable="+mode)
		count := func(refreshes int, refresh func(...string) string) (gaps, reads int) {
			reader := startHelper(t, "read", "/etc", "hostname", "one")
			for range refreshes {
				w.has(refresh("refresh", "--always-refresh=yes", "--mutable="+mode), "Merged extensions into")
			}
			if _, err := fmt.Sscan(reader.end(), &gaps, &reads); err != nil {
				t.Fatal(err)
			}
			return gaps, reads
		}
		gaps, reads := count(refreshes, w.ours)
		t.Logf("mode %s: ours: %d gaps in %d reads during %d refreshes", mode, gaps, reads, refreshes)
		if gaps > 0 || reads < refreshes/10 {
			t.Errorf("a path was missing %d times in %d reads", gaps, reads)
		}
		// So many that the test would have seen gaps of ours.
		theirs := 0
		for done := 0; theirs == 0 && done < 100; {
			gaps, reads := count(10, w.theirs)
			theirs, done = theirs+gaps, done+10
			t.Logf("mode %s: systemd: %d gaps in %d reads during 10 refreshes", mode, gaps, reads)
		}
		if theirs == 0 {
			t.Error("systemd has no gaps: this test sees none")
		}
		w.ours("unmerge")
	}
}

// A mount below the hierarchy, such as a machine-id, goes along with all changes.
func TestSubmountsAreKept(t *testing.T) {
	w := newWorld(t)
	w.add("one")
	w.write("/srv/etc/machine-id", "uninitialized\n")
	w.write("/run/machine-id", "abc\n")
	w.check(unix.Mount("/run/machine-id", "/srv/etc/machine-id", "", unix.MS_BIND, ""))
	check := func() {
		t.Helper()
		w.is(w.read("machine-id"), "abc")
		if count := len(mountsAt(t, "/srv/etc/machine-id")); count != 1 {
			t.Errorf("%d mounts", count)
		}
	}
	for _, mode := range []string{"no", "ephemeral"} {
		w.ours("merge", "--mutable="+mode)
		check()
		w.ours("refresh", "--always-refresh=yes", "--mutable="+mode)
		check()
		w.theirs("refresh", "--always-refresh=yes", "--mutable="+mode)
		check()
		w.ours("refresh", "--always-refresh=yes", "--mutable="+mode)
		check()
		w.ours("unmerge")
		check()
	}
	// A mount without a place in what is to be merged: nothing changes.
	w.ours("merge")
	w.add("two", "place")
	w.ours("refresh")
	w.check(unix.Mount("/run/machine-id", "/srv/etc/place", "", unix.MS_BIND, ""))
	// It leaves the search path, and stays the layer that it is.
	w.check(os.Rename(confexts+"/two", confexts+"/.sysupdate.two"))
	output, err := w.try("refresh")
	if err == nil {
		t.Error("refreshed")
	}
	w.has(output, "keep the mount on place: nothing merged has a place for it")
	w.is(w.read("place")+" "+w.read("two"), "abc two")
	w.check(unix.Unmount("/srv/etc/place", 0))
}

func mountsAt(t *testing.T, target string) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); fields[4] == target {
			found = append(found, line)
		}
	}
	return found
}

// A bad image is left out, with its name and the reason; --strict and Require= make it a failure before anything changes.
func TestOneBadImage(t *testing.T) {
	w := newWorld(t)
	w.add("good")
	w.write(confexts+"/junk.raw", strings.Repeat("junk", 4096))
	output := w.ours("merge")
	w.has(output, "Ignoring extension 'junk': neither a partition table nor a known file system\n")
	w.has(output, "Using extensions 'good'.\n")
	w.add("later")
	output, err := w.try("refresh", "--strict")
	if err == nil || w.read("later") != "missing" || w.read("good") != "good" {
		t.Errorf("%v: %s", err, output)
	}
	w.has(output, "Failed to read metadata for image junk: neither a partition table")
	w.write("/usr/lib/preroot.conf", "[ConfExt]\nRequire=junk\n")
	defer os.Remove("/usr/lib/preroot.conf")
	output, err = w.try("refresh")
	if err == nil || w.read("later") != "missing" {
		t.Errorf("%v: %s", err, output)
	}
	w.has(output, `required confext "junk" cannot be merged: neither a partition table`)
}

// As many layers as the kernel takes, 500 with the metadata and the host, which is more than systemd can name in one option string; and names that
// it cannot write. One more is refused as a whole, and what is merged stays.
func TestManyAndOddNames(t *testing.T) {
	w := newWorld(t)
	odd := []string{`back\slash`, "co:lon", "com,ma", "ünï", "a b"}
	for _, name := range odd {
		w.add(name)
	}
	for i := range 498 - len(odd) {
		w.add(fmt.Sprintf("extension-with-a-rather-long-name-%s%03d", strings.Repeat("x", i%7), i))
	}
	w.has(w.ours("merge"), "Merged extensions into '/srv/etc'.")
	for _, name := range odd {
		w.is(w.read(name), name)
	}
	output := w.ours("refresh")
	w.has(output, skipping)
	w.has(output, "Note: 487 more files are hidden, plan lists them\n")
	w.add("one-too-many")
	w.fails("merge confexts into /srv/etc: ", "refresh")
	output, _ = w.try("refresh")
	w.has(output, "the kernel takes 500")
	w.is(w.read(odd[0]), odd[0])
}

func TestPlanAndExplain(t *testing.T) {
	w := newWorld(t)
	w.write("/srv/etc/conf.d/of-the-host", "host\n")
	w.add("00-default", "conf.d/x")
	w.add("site", "conf.d/x")
	w.add("fedora")
	w.write(confexts+"/fedora/etc/extension-release.d/extension-release.fedora", "ID=fedora\n")
	output := w.ours("plan")
	w.has(output, "fedora     ignored  none       made for ID=fedora, the host is debian")
	w.has(output, `warning: /srv/etc/conf.d/x of "site" is hidden by that of "00-default"`)
	w.has(output, "/srv/etc: layers from the top: 00-default, site, the host; mode no, mount flags ro,nosuid,nodev,noexec\n")
	w.has(output, "A refresh would merge: /srv/etc is not merged.\n")
	if mountapi.IsMountPoint("/srv/etc") {
		t.Error("plan has mounted something")
	}
	w.ours("merge")
	w.has(w.ours("plan"), "A refresh would be skipped: all of this is merged.\n")
	output = w.ours("explain", "/srv/etc/conf.d/x")
	w.has(output, "00-default file yes\n")
	w.has(output, "site       file no, that of 00-default hides it\n")
	w.has(w.ours("explain", "/srv/etc/base"), "the host file yes\n")
	output = w.ours("explain", "fedora")
	w.has(output, "confext fedora: ignored, made for ID=fedora, the host is debian\n")
	w.has(output, `its release file: ID="fedora"`)
	w.has(w.ours("explain", "--json=short", "fedora"), `"accepted":false,"reason":"made for ID=fedora, the host is debian"`)
	w.has(w.ours("plan", "--json=short"), `{"path":"/srv/etc/conf.d/x","by":"00-default","hidden":"site"}`)
	// A name that others can override, and whiteouts.
	w.check(os.Rename(confexts+"/00-default", confexts+"/~default"))
	w.check(os.Rename(confexts+"/~default/etc/extension-release.d/extension-release.00-default", confexts+"/~default/etc/extension-release.d/extension-release.~default"))
	w.check(unix.Mknod(confexts+"/site/srv/etc/base", unix.S_IFCHR, 0))
	w.ours("refresh")
	w.is(w.read("conf.d/x"), "site")
	output = w.ours("explain", "/srv/etc/base")
	w.has(output, "site     whiteout as deleted\n")
	w.has(output, "the host file     no, a whiteout of site deletes it\n")
	w.has(w.ours("explain", "--json=short", "/srv/etc/base"),
		`{"layer":"site","kind":"whiteout","opaque":false,"at":"/srv/etc/base","seen":"as deleted"}`)
	w.is(w.theirs("refresh"), skipping)
	// The real program has the same order of names.
	w.theirs("unmerge")
	w.theirs("merge")
	w.is(w.read("conf.d/x"), "site")
	// An opaque directory hides all that is below it.
	w.check(unix.Setxattr(confexts+"/site/srv/etc/conf.d", "trusted.overlay.opaque", []byte("y"), 0))
	w.ours("refresh", "--always-refresh=yes")
	w.is(w.read("conf.d/of-the-host"), "missing")
	output = w.ours("explain", "/srv/etc/conf.d/of-the-host")
	w.has(output, "site     an opaque directory /srv/etc/conf.d as missing\n")
	w.has(output, "the host file                                no, the opaque directory of site hides it\n")
	output, err := w.try("explain", "/srv/other")
	if err == nil {
		t.Error(output)
	}
	w.has(output, "'/srv/other' is in no hierarchy that would be merged.\n")
	output, err = w.try("explain", "absent")
	if err == nil {
		t.Error(output)
	}
	w.has(output, "There is no confext 'absent' in the search path.\n")
}

// Flags of preroot.conf are those of the mount, and are named where somebody looks for the reason.
func TestMountFlags(t *testing.T) {
	w := newWorld(t, "/etc")
	w.add("one")
	w.ours("merge")
	w.is(flagsAt(t, "/etc"), "ro,nosuid,nodev,noexec,relatime\n")
	w.write("/usr/lib/preroot.conf", "[ConfExt]\nMountFlags=/etc exec dev\n")
	defer os.Remove("/usr/lib/preroot.conf")
	w.has(w.ours("plan"), "mount flags ro,nosuid\n")
	w.has(w.ours("plan"), "A refresh would merge: /etc is mounted with noexec.\n")
	w.has(w.ours("explain", "/etc/one"), "/etc/one in /etc, mounted ro,nosuid\n")
	w.ours("refresh")
	w.is(flagsAt(t, "/etc"), "ro,nosuid,relatime\n")
	w.is(w.ours("refresh"), skipping)
	w.ours("refresh", "--noexec=yes")
	w.is(flagsAt(t, "/etc"), "ro,nosuid,noexec,relatime\n")
	w.ours("unmerge")
}
