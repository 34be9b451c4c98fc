//go:build hostroot

package etcrules

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// scenario is a root with all defaults below /usr/share/ref/etc, and what is in its /etc.
func scenario(shipped, upper tree) tree {
	root := tree{}
	for p, e := range shipped {
		root.add("/usr/share/ref"+p, e)
	}
	for name, text := range map[string]string{
		"passwd": "root:x:0:0::/root:/bin/sh\ncore:x:500:500::/home/core:/bin/sh\n", "shadow": "root:*:1::::::\ncore:*:1::::::\n",
		"group": "root:x:0:\ncore:x:500:\nsystemd-journal:x:248:\n", "gshadow": "root:*::\ncore:*::\n",
	} {
		root.add("/usr/share/baselayout/"+name, entry{kind: 'f', content: text})
	}
	root.add("/usr/share/ref/no-whiteouts", entry{kind: 'f', content: "/etc/resolv.conf\n/etc/link/resolv.conf\n"})
	root.add("/usr/lib/tmpfiles.d/base.conf", entry{kind: 'f', content: "d /var/log/journal 2755 root systemd-journal\nf /var/x 0600 core core - one\\n\nC /opt/skel - - - - /usr/share/skel\nq /bad\nd /lnk/made\n"})
	root.add("/usr/share/skel/a", entry{kind: 'f', content: "a", mode: 0o600, uid: 3})
	root.add("/usr/share/skel/b", entry{kind: 'l', content: "a"})
	for p, e := range upper {
		root.add(p, e)
	}
	root.add("/etc", entry{kind: 'd'})
	return root
}

var someDefaults = tree{
	"/etc/hosts": {kind: 'f', mode: 0o644, content: "localhost\n"}, "/etc/d": {kind: 'd', mode: 0o755}, "/etc/d/one": {kind: 'f', mode: 0o644, content: "1"},
	"/etc/d/two": {kind: 'f', mode: 0o644, content: "2"}, "/etc/empty": {kind: 'd', mode: 0o755}, "/etc/link": {kind: 'l', content: "d"},
	"/etc/resolv.conf": {kind: 'l', content: "../run/resolv.conf"},
}

func with(e entry, change func(*entry)) entry {
	e.attributes = map[string]string{}
	change(&e)
	return e
}

// TestScenarios are those of the /etc overlay by name. want maps what must be in the upper directory ("" for nothing) to a part of its description.
func TestScenarios(t *testing.T) {
	hosts, dir, one := someDefaults["/etc/hosts"], someDefaults["/etc/d"], someDefaults["/etc/d/one"]
	opaque := with(dir, func(e *entry) { e.attributes[markOpaque] = "y" })
	user := entry{kind: 'f', mode: 0o644, content: "user"}
	for name, test := range map[string]struct {
		upper tree
		gone  string
		kept  string
	}{
		"E3 identical copies":     {tree{"/etc/hosts": hosts, "/etc/d": dir, "/etc/d/one": one, "/etc/empty": dir, "/etc/link": someDefaults["/etc/link"]}, "/etc/hosts /etc/d /etc/empty /etc/link", ""},
		"E4 opt-out":              {tree{"/etc/hosts": hosts, "/etc/.no-dup-update": user}, "", "/etc/hosts /etc/.no-dup-update"},
		"E5 mode":                 {tree{"/etc/hosts": with(hosts, func(e *entry) { e.mode = 0o640 })}, "", "/etc/hosts"},
		"E5 owner":                {tree{"/etc/hosts": with(hosts, func(e *entry) { e.gid = 5 })}, "", "/etc/hosts"},
		"E5 ACL":                  {tree{"/etc/hosts": with(hosts, func(e *entry) { e.attributes[aclAccess] = acl(6, 4, 4, 4, 4, 500) })}, "", "/etc/hosts"},
		"E5 default ACL":          {tree{"/etc/empty": with(dir, func(e *entry) { e.attributes[aclDefault] = acl(7, 4, 4, 4, 4, 500) })}, "", "/etc/empty"},
		"E5 byte":                 {tree{"/etc/hosts": with(hosts, func(e *entry) { e.content = "localhosT\n" })}, "", "/etc/hosts"},
		"E5 target":               {tree{"/etc/link": {kind: 'l', content: "e"}}, "", "/etc/link"},
		"E6 opaque and empty":     {tree{"/etc/d": opaque}, "", "/etc/d"},
		"E7 opaque with content":  {tree{"/etc/d": opaque, "/etc/d/one": one, "/etc/d/three": user}, "", "/etc/d /etc/d/one /etc/d/three"},
		"E8 deleted":              {tree{"/etc/hosts": {kind: 'w'}}, "", "/etc/hosts"},
		"E9 deleted with a rule":  {tree{"/etc/resolv.conf": {kind: 'w'}}, "/etc/resolv.conf", ""},
		"E9 another device":       {tree{"/etc/resolv.conf": {kind: 'n'}}, "", "/etc/resolv.conf"},
		"E9 behind a link":        {tree{"/etc/link": {kind: 'l', content: "real"}, "/etc/real/resolv.conf": {kind: 'w'}}, "", "/etc/real/resolv.conf"},
		"E10 directory deleted":   {tree{"/etc/d": {kind: 'w'}}, "", "/etc/d"},
		"E11 accounts deleted":    {tree{"/etc/passwd": {kind: 'w'}, "/etc/shadow": {kind: 'n'}}, "", "/etc/passwd /etc/shadow"},
		"E13 a full old /etc":     {someDefaults, "/etc/hosts /etc/d /etc/empty /etc/link /etc/resolv.conf", ""},
		"E14 hand-made overlay":   {tree{"/.etc-work/work": {kind: 'd'}, "/etc/hosts": user}, "", "/.etc-work/work /etc/hosts"},
		"renamed directory":       {tree{"/etc/d": with(dir, func(e *entry) { e.attributes[markRedirect] = "old" }), "/etc/d/one": one}, "", "/etc/d /etc/d/one"},
		"metacopy":                {tree{"/etc/hosts": with(hosts, func(e *entry) { e.attributes[markMetacopy] = "" })}, "", "/etc/hosts"},
		"opaque /etc":             {tree{"/etc": opaque, "/etc/hosts": hosts}, "", ""},
		"directory over a link":   {tree{"/etc/link": {kind: 'd'}, "/etc/link/one": one}, "", "/etc/link /etc/link/one"},
		"FIFO":                    {tree{"/etc/hosts": {kind: 'p'}}, "", "/etc/hosts"},
		"E30 blank id":            {tree{"/etc/machine-id": {kind: 'f', content: "42000000000000000000000000000042\n"}}, "/etc/machine-id", ""},
		"E31 machine-id whiteout": {tree{"/etc/machine-id": {kind: 'w'}}, "", "/etc/machine-id"},
		"E31b empty machine-id":   {tree{"/etc/machine-id": {kind: 'f'}}, "", "/etc/machine-id"},
		"O1 kept by a reset":      {tree{"/selective-os-reset": {kind: 'f', content: "/etc/keep|/home/me(/.*)?|/var/[a-c]\n"}, "/etc/keep": user, "/etc/hosts": user, "/home/me/x/y": user, "/home/you": user, "/var/b": user, "/var/d": user, "/etc/machine-id": user}, "/selective-os-reset /etc/hosts /home/you /var/d /etc/machine-id", "/etc/keep /home/me/x/y /var/b /usr/share/skel/a"},
		"O3 empty flag":           {tree{"/selective-os-reset": {kind: 'f'}, "/home/you": user, "/etc/machine-id": user}, "", "/selective-os-reset /home/you /etc/machine-id"},
		"O3 blank flag":           {tree{"/selective-os-reset": {kind: 'f', content: " \n"}, "/home/you": user}, "", "/selective-os-reset /home/you"},
		"O4 invalid expression":   {tree{"/selective-os-reset": {kind: 'f', content: "/etc/(keep"}, "/home/you": user, "/etc/machine-id": user}, "", "/selective-os-reset /home/you /etc/machine-id"},
		"O4 flag is a link":       {tree{"/selective-os-reset": {kind: 'l', content: "flag"}, "/flag": {kind: 'f', content: "/x"}, "/home/you": user}, "", "/selective-os-reset /home/you"},
		"R3 interrupted":          {tree{"/etc/.preroot-new.passwd": user}, "/etc/.preroot-new.passwd", "/etc/passwd"},
		"R4 file and copy":        {tree{}, "/opt/.preroot-new.skel", "/var/x /opt/skel/a /opt/skel/b /var/log/journal"},
		"R4 copy was interrupted": {tree{"/opt/.preroot-new.skel/a": user}, "/opt/.preroot-new.skel", "/opt/skel/a"},
		"R4 not through a link":   {tree{"/lnk": {kind: 'l', content: "home"}, "/home/x": user}, "/home/made", "/lnk"},
		"thaw":                    {tree{ThawList: {kind: 'f', mode: 0o600, content: FormatThawList([]string{"/etc/d", "/etc/hosts", "/etc/d/none", "/etc/new\nline"})}, "/etc/hosts": {kind: 'w'}, "/etc/d/mine": user, "/etc/new\nline": user}, ThawList + " /etc/d /etc/hosts", Thawed + "/1/etc/d/mine " + Thawed + "/1/etc/hosts"},
		"thaw again":              {tree{ThawList: {kind: 'f', mode: 0o600, content: FormatThawList([]string{"/etc/hosts"})}, "/etc/hosts": user, Thawed + "/7/etc/hosts": user}, "/etc/hosts", Thawed + "/8/etc/hosts " + Thawed + "/7/etc/hosts"},
		"thaw of anything":        {tree{ThawList: {kind: 'f', mode: 0o600, content: "\"/home/you\"\n"}, "/home/you": user}, "", ThawList + " /home/you"},
		"thaw by somebody":        {tree{ThawList: {kind: 'f', mode: 0o622, content: FormatThawList([]string{"/etc/hosts"})}, "/etc/hosts": user}, "", "/etc/hosts"},
	} {
		t.Run(name, func(t *testing.T) {
			top := newRoot(t, scenario(someDefaults, test.upper))
			before := snapshot(t, top)
			done := runRules(t, top, flatcarLike, false)
			after := snapshot(t, top)
			for _, p := range strings.Fields(test.gone) {
				if after[p] != "" {
					t.Errorf("%s is still there: %s\n%s", p, after[p], planText(done))
				}
			}
			for _, p := range strings.Fields(test.kept) {
				if after[p] == "" {
					t.Errorf("%s is gone\n%s", p, planText(done))
				} else if before[p] != "" && before[p] != after[p] && !strings.Contains(p, "/passwd") && !strings.Contains(p, "/shadow") {
					t.Errorf("%s was changed:\n%s\n%s", p, before[p], after[p])
				}
			}
			for _, a := range done.Actions {
				if a.Error != "" {
					t.Error(a)
				}
			}
			if again := runRules(t, top, flatcarLike, false); len(again.Actions) != 0 {
				t.Errorf("a second run does\n%s", planText(again))
			}
		})
	}
}

func TestAccountsKeepWhatIsThere(t *testing.T) {
	mine := entry{kind: 'f', content: "root:changed\nme:x:1", mode: 0o600, uid: 7, attributes: map[string]string{"user.note": "mine"}}
	top := newRoot(t, scenario(someDefaults, tree{"/etc/passwd": mine}))
	before := snapshot(t, top)
	runRules(t, top, flatcarLike, false)
	text, err := os.ReadFile(top + "/etc/passwd")
	if want := "root:changed\nme:x:1\ncore:x:500:500::/home/core:/bin/sh\n"; err != nil || string(text) != want {
		t.Errorf("passwd is %q, want %q (%v)", text, want, err)
	}
	after := snapshot(t, top)
	if metadata := func(text string) string {
		return text[:strings.Index(text, " size")] + text[strings.Index(text, " user.note"):]
	}; metadata(before["/etc/passwd"]) != metadata(after["/etc/passwd"]) {
		t.Errorf("passwd was %s, is %s", before["/etc/passwd"], after["/etc/passwd"])
	}
	for p, mode := range map[string]string{"/etc/group": "100644 0:0", "/etc/shadow": "100640 0:0", "/etc/gshadow": "100640 0:0"} {
		if !strings.HasPrefix(after[p], mode) {
			t.Errorf("%s is %q", p, after[p])
		}
	}
	if after["/var/log/journal"] != "42755 0:248 rdev 0" || !strings.HasPrefix(after["/var/x"], "100600 500:500") || !strings.HasPrefix(after["/opt/skel/a"], "100600 3:0") {
		t.Errorf("base: %q %q %q", after["/var/log/journal"], after["/var/x"], after["/opt/skel/a"])
	}
}

// TestMountsAreNotCrossed: O5, and an /etc that is a mount of its own, such as a live overlay.
func TestMountsAreNotCrossed(t *testing.T) {
	root := scenario(someDefaults, tree{"/etc/hosts": someDefaults["/etc/hosts"], "/selective-os-reset": {kind: 'f', content: "/nothing"}, "/home/x": {kind: 'f'}, "/file": {kind: 'f'}, "/mnt/deep/er": {kind: 'd'}})
	top := newRoot(t, root)
	for _, at := range []string{"/etc", "/mnt/deep/er"} {
		if err := unix.Mount("test", top+at, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(top+at, unix.MNT_DETACH)
		if err := os.WriteFile(top+at+"/hosts", []byte("localhost\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount(top+"/mnt/deep/er/hosts", top+"/file", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(top+"/file", unix.MNT_DETACH)
	done := runRules(t, top, flatcarLike, false)
	after := snapshot(t, top)
	for _, p := range []string{"/etc/hosts", "/mnt/deep/er/hosts", "/file"} {
		if after[p] == "" {
			t.Errorf("%s is gone", p)
		}
	}
	if after["/home"] != "" || after["/selective-os-reset"] != "" {
		t.Error("nothing was reset")
	}
	if text := planText(done); !strings.Contains(text, "R7: nothing is removed: look at") {
		t.Errorf("plan:\n%s", text)
	}
}

// TestLinksAreNotFollowed: an /etc that is a link, to the /etc of the machine.
func TestLinksAreNotFollowed(t *testing.T) {
	outside := newRoot(t, tree{"/hosts": someDefaults["/etc/hosts"], "/resolv.conf": {kind: 'w'}, "/machine-id": {kind: 'f', content: flatcarLike.BlankMachineID}})
	before := snapshot(t, outside)
	root := scenario(someDefaults, tree{})
	root["/etc"] = entry{kind: 'l', content: outside}
	top := newRoot(t, root)
	runRules(t, top, flatcarLike, false)
	if d := difference(before, snapshot(t, outside)); d != "" {
		t.Errorf("outside:\n%s", d)
	}
}

// TestWhatChangedMeanwhileStays: between plan and apply.
func TestWhatChangedMeanwhileStays(t *testing.T) {
	top := newRoot(t, scenario(someDefaults, tree{"/etc/hosts": someDefaults["/etc/hosts"], "/etc/d/one": someDefaults["/etc/d/one"]}))
	root, err := rootdir.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r, err := Open(root, plan.EtcRules{Reference: flatcarLike.Reference})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.planCleanup()
	if err := os.WriteFile(top+"/etc/hosts", []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.apply(r.plan.Actions)
	if text, err := os.ReadFile(top + "/etc/hosts"); string(text) != "mine" {
		t.Errorf("hosts: %q, %v", text, err)
	}
	if _, err := os.Lstat(top + "/etc/d"); err == nil {
		t.Error("the rest was not removed")
	}
	if text := planText(r.plan); !strings.Contains(text, "failed: it was changed meanwhile") {
		t.Errorf("plan:\n%s", text)
	}
}

// TestMachineIDForReadOnlyEtc is E31b.
func TestMachineIDForReadOnlyEtc(t *testing.T) {
	for name, upper := range map[string]tree{"absent": {}, "whiteout": {"/etc/machine-id": {kind: 'w'}}, "there": {"/etc/machine-id": {kind: 'f', content: "id\n"}}} {
		top := newRoot(t, scenario(someDefaults, upper))
		root, err := rootdir.Open(top)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Open(root, plan.EtcRules{})
		if err != nil {
			t.Fatal(err)
		}
		r.CreateMachineID()
		r.Close()
		root.Close()
		text, err := os.ReadFile(top + "/etc/machine-id")
		if want := map[string]string{"there": "id\n"}[name]; err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// TestNothingWithoutSettings: every rule is off unless its setting is there, and a root without anything is fine.
func TestNothingWithoutSettings(t *testing.T) {
	top := newRoot(t, scenario(someDefaults, someDefaults))
	before := snapshot(t, top)
	if done := runRules(t, top, plan.EtcRules{}, false); len(done.Actions) != 0 || len(done.Notes) != 0 {
		t.Errorf("plan:\n%s", planText(done))
	}
	if d := difference(before, snapshot(t, top)); d != "" {
		t.Error(d)
	}
	// Another distribution with the preset: what is not there is not an error.
	empty := filepath.Join(t.TempDir(), "root")
	if err := os.MkdirAll(empty+"/usr/lib", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, a := range runRules(t, empty, flatcarLike, false).Actions {
		if a.Path != "/etc" {
			t.Error(a)
		}
	}
}

// TestDeepTreeIsKept: a reset does not fall over what a user can make.
func TestDeepTreeIsKept(t *testing.T) {
	top := newRoot(t, scenario(someDefaults, tree{"/selective-os-reset": {kind: 'f', content: "/none"}, "/home/x": {kind: 'f'}}))
	at, err := unix.Open(top+"/home", unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxDepth + 50 {
		if err := unix.Mkdirat(at, "d", 0o755); err != nil {
			t.Fatal(i, err)
		}
		below, err := unix.Openat(at, "d", unix.O_PATH, 0)
		unix.Close(at)
		if err != nil {
			t.Fatal(i, err)
		}
		at = below
	}
	unix.Close(at)
	done := runRules(t, top, flatcarLike, false)
	if _, err := os.Lstat(top + "/home/d"); err != nil {
		t.Error("it is gone")
	}
	if _, err := os.Lstat(top + "/home/x"); err == nil {
		t.Error("its neighbour is not gone")
	}
	if text := planText(done); !strings.Contains(text, fmt.Sprintf("more than %d directories", maxDepth)) {
		t.Errorf("plan:\n%.500s", text)
	}
	// The test's own cleanup cannot hold so many descriptors either.
	runRules(t, top, plan.EtcRules{}, false)
}
