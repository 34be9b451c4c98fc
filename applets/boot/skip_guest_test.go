//go:build guest

package boot

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/osrelease"
)

// skipped is what systemd 262 prints when it finds nothing to do.
const skipped = "Skipping extension refresh because no change was found, use --always-refresh=yes to always do a refresh."

// skipCase is one boot: what is merged before the switch, and what systemd's refresh makes of it.
type skipCase struct {
	name  string
	class osrelease.Class
	// kinds of images (imageKinds), one image each, and the directory in which they lie.
	kinds, in string
	// mode is Mutable=, as the verified /usr says it; "" says nothing.
	mode string
	// on names file systems that are not as usual: the root is ext4, /usr erofs, and /var on the root.
	on string
	// more makes what else is in the root.
	more func(s *stage)
	// late is done between the switch and the refresh.
	late func(w *world)

	// because says why systemd cannot skip; it skips without.
	because string
	// after are the names that are merged after the refresh, if systemd did not skip. "" stands for those that were before.
	after string
	// fails is what systemd says when it fails altogether. Our merge is still there then, unless bare says that
	// systemd had taken it away before.
	fails string
	bare  bool
	// full lets systemd merge the same then, and compares all that can be seen. What is not compared is
	// compared in another case.
	full bool
}

// childVariable names the case that a process is for.
const childVariable = "PREROOT_SKIP_CASE"

// sampleOfCases is how many cases are run with -test.short, which scripts/test gives: those with every kind of image on the root and on
// /usr. scripts/faults runs all.
const sampleOfCases = 3

// TestSkip runs every case of the table in a process, and a mount namespace, of its own.
func TestSkip(t *testing.T) {
	if name, isChild := os.LookupEnv(childVariable); isChild {
		i := slices.IndexFunc(skipCases, func(c skipCase) bool { return c.name == name })
		skipCases[i].run(t)
		return
	}
	cache, cases := t.TempDir(), skipCases
	if testing.Short() {
		cases = cases[:sampleOfCases]
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			command := exec.Command("/proc/self/exe", "-test.run=^TestSkip$", "-test.v")
			command.Env = append(os.Environ(), childVariable+"="+c.name, "TMPDIR="+t.TempDir(), cacheVariable+"="+cache)
			command.SysProcAttr = &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
			output, err := command.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, output)
			}
			t.Logf("%s", output)
		})
	}
}

// imageName is the name of the image of a kind: short, since systemd's mount options are.
func imageName(number int, kind imageKind) string { return fmt.Sprintf("k%02d", number) + kind.suffix }

func (c skipCase) run(t *testing.T) {
	begun := time.Now()
	s := newStage(t)
	if c.mode != "" {
		s.settings(c.class, "Mutable="+c.mode+"\n")
	}
	if c.more != nil {
		c.more(s)
	}
	kinds := findKinds(s, c.class, c.kinds)
	for i, kind := range kinds {
		kind.make(s, c.class, c.in, imageName(i, kind))
	}
	w := c.start(s)
	booted := time.Now()
	before := c.look(w)
	for i, kind := range kinds {
		if c.because == "" && c.fails == "" && entries(w.origin(c.class))[imageName(i, kind)] == nil {
			t.Errorf("%s was left out", kind.word)
		}
	}
	if c.class == sysext {
		w.wantTimeOfUsr()
	}
	if c.late != nil {
		c.late(w)
	}
	output, err := w.program("systemd-"+string(c.class), "refresh")
	t.Logf("made in %.1f s, booted in %.1f s, systemd's refresh %.1f s", w.begun.Sub(begun).Seconds(), booted.Sub(w.begun).Seconds(), time.Since(booted).Seconds())
	didSkip := strings.Contains(output, skipped)
	switch {
	case c.fails != "":
		c.judgeFailure(w, before, output, err)
	case err != nil:
		t.Errorf("systemd's refresh: %v\n%s", err, output)
	case c.because == "" && (!didSkip || strings.Contains(output, "erged")):
		t.Errorf("systemd does not skip:\n%s%s", output, strings.Join(compare(before.origin, w.origin(c.class)), "\n"))
	case c.because != "" && didSkip:
		t.Errorf("systemd skips, although %s", c.because)
	case c.because != "":
		c.judgeRefresh(w, before)
	}
	if c.full {
		c.compare(w, kinds, before)
	}
	c.print(t, kinds)
}

// start boots the stage and ends in the real root.
func (c skipCase) start(s *stage) *world {
	s.Helper()
	types := map[string]string{"root": "ext4", "usr": "erofs", "var": ""}
	for _, word := range words(c.on) {
		place, fsType, _ := strings.Cut(word, "=")
		types[place] = fsType
	}
	var all []mounted
	trees := map[string]string{}
	for _, place := range []string{"usr", "var", "late-var", "late-home"} {
		if types[place] != "" {
			name, isLate := strings.CutPrefix(place, "late-")
			trees[name] = s.cut(name)
			all = append(all, mounted{at: "/" + name, fsType: types[place], late: isLate})
		}
	}
	run := s.cut("run")
	all = append([]mounted{{at: "", fsType: types["root"]}}, all...)
	trees[""] = s.path
	for i := range all {
		place := strings.TrimPrefix(all[i].at, "/")
		var below []string
		for _, subvolume := range s.subvolumes {
			inside, isBelow := strings.CutPrefix("/"+subvolume, all[i].at+"/")
			if isBelow && (place != "" || trees[strings.SplitN(subvolume, "/", 2)[0]] == "") {
				below = append(below, inside)
			}
		}
		switch all[i].fsType {
		case "tmpfs":
		case "verity":
			all[i].fsType, all[i].verity = "erofs", s.verity(makeFileSystem(s.T, "erofs", trees[place], nil))
		default:
			all[i].node = s.attach(makeFileSystem(s.T, all[i].fsType, trees[place], below))
		}
	}
	// What lies in memory is filled later.
	for _, m := range all {
		if m.fsType == "tmpfs" && m.at != "" {
			s.check(os.Remove(s.at(m.at)))
			s.check(os.Rename(trees[m.at[1:]], s.at(m.at)))
		}
	}
	beside := s.TempDir()
	s.check(os.Rename(run, beside+"/run"))
	s.check(os.Rename(s.path, beside+"/root"))
	w := enterInitramfs(s.T, beside)
	w.mount(all)
	w.run("cp", "-a", "/stage/run/.", "/run")
	w.check(apply.MoveEarly(newRoot))
	w.check(w.boot.mergeExtensions())
	for _, warning := range w.boot.report.Warnings {
		s.Logf("warning: %s", warning)
	}
	w.handOver()
	return w
}

// sight is what a class shows at one moment.
type sight struct {
	origin map[string]any
	files  map[string]string
}

func (c skipCase) look(w *world) sight {
	w.Helper()
	return sight{origin: w.origin(c.class), files: w.snapshot(c.class)}
}

// compare lets systemd merge all of it itself, and compares: every image's identity, the metadata, and all files.
func (c skipCase) compare(w *world, kinds []imageKind, before sight) {
	w.Helper()
	output, err := w.program("systemd-"+string(c.class), "refresh", "--always-refresh=yes")
	if err != nil {
		w.Errorf("systemd's own merge: %v\n%s", err, output)
		return
	}
	theirs := c.look(w)
	if c.because != "" {
		// It merged before; now it must come to the same.
		before = theirs
	}
	for i, kind := range kinds {
		ours, others := entries(before.origin)[imageName(i, kind)], entries(theirs.origin)[imageName(i, kind)]
		if !reflect.DeepEqual(ours, others) {
			w.Errorf("%s is identified by %v; systemd has %v", kind.word, ours, others)
		}
	}
	for _, difference := range append(compare(before.origin, theirs.origin), compare(before.files, theirs.files)...) {
		w.Error(difference)
	}
}

// judgeRefresh looks at what systemd's refresh led to where it could not skip.
func (c skipCase) judgeRefresh(w *world, before sight) {
	w.Helper()
	want := words(c.after)
	if len(want) == 0 {
		for name := range entries(before.origin) {
			want = append(want, name)
		}
		slices.Sort(want)
	}
	if got := w.names(c.class); !slices.Equal(got, want) {
		w.Errorf("after the refresh %q are merged, want %q", got, want)
	}
	c.wantContent(w, want)
}

// judgeFailure makes sure that our merge is still there after systemd failed.
func (c skipCase) judgeFailure(w *world, before sight, output string, err error) {
	w.Helper()
	if err == nil || !strings.Contains(output, c.fails) {
		w.Errorf("systemd's refresh: %v, want %q\n%s", err, c.fails, output)
	}
	if c.bare {
		if names := w.names(c.class); len(names) != 0 {
			w.Errorf("systemd does not fail bare any more: %q", names)
		}
		return
	}
	if differences := compare(before.files, w.snapshot(c.class)); len(differences) != 0 {
		w.Errorf("after systemd's failure:\n%s", strings.Join(differences, "\n"))
	}
	c.wantContent(w, words(c.after))
}

// wantContent reads what every extension brings, and what lies below.
func (c skipCase) wantContent(w *world, names []string) {
	w.Helper()
	files := map[string]string{"/etc/base": "host\n"}
	if c.class == sysext {
		files = map[string]string{"/usr/base": "host\n"}
	}
	for _, name := range names {
		for file, text := range extensionFiles(c.class, name) {
			if !strings.HasSuffix(file, "/both") && !strings.HasPrefix(file, "opt/") {
				files["/"+file] = text
			}
		}
	}
	for file, text := range files {
		if content, err := os.ReadFile(file); err != nil || string(content) != text {
			w.Errorf("%s holds %q, %v", file, content, err)
		}
	}
}

// print gives the case as a line of the table for every kind of image.
func (c skipCase) print(t *testing.T, kinds []imageKind) {
	t.Helper()
	verdict := "skips"
	switch {
	case c.because != "":
		verdict = "merges again: " + c.because
	case c.fails != "":
		verdict = "systemd fails: " + c.fails
	}
	mode := c.mode
	if mode == "" {
		mode = "no"
	}
	list := []string{"-"}
	if len(kinds) > 0 {
		list = nil
	}
	for _, kind := range kinds {
		list = append(list, kind.word)
	}
	for _, kind := range list {
		t.Logf("| %s | %s | %s | %s | %s | %s |", c.class, kind, c.in, mode, c.name, verdict)
	}
}
