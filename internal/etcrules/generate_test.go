//go:build hostroot || guest

package etcrules

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/plan"
)

// entry is one of a tree that a test makes.
type entry struct {
	kind       byte // d, f, l, w (whiteout), n (another device), p (FIFO)
	mode       uint32
	uid, gid   int
	content    string // or the target of a link
	attributes map[string]string
	modified   int64 // seconds
	linkTo     string
	// user: made by the user, who must never lose it.
	user bool
}

// tree maps paths inside the root to entries.
type tree map[string]entry

// build makes a tree below a directory.
func (tr tree) build(t testing.TB, top string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	paths := slices.Sorted(maps.Keys(tr))
	for _, p := range paths {
		e, at := tr[p], top+p
		switch e.kind {
		case 'd':
			must(os.MkdirAll(at, 0o755))
		case 'f':
			if e.linkTo != "" {
				if os.Link(top+e.linkTo, at) == nil {
					continue
				}
			}
			must(os.WriteFile(at, []byte(e.content), 0o600))
		case 'l':
			must(os.Symlink(e.content, at))
		case 'w':
			must(unix.Mknod(at, unix.S_IFCHR, 0))
		case 'n':
			must(unix.Mknod(at, unix.S_IFCHR, int(unix.Mkdev(1, 3))))
		case 'p':
			must(unix.Mkfifo(at, 0o600))
		}
		must(os.Lchown(at, e.uid, e.gid))
		if e.kind != 'l' {
			must(unix.Chmod(at, e.mode))
		}
		for name, value := range e.attributes {
			must(unix.Lsetxattr(at, name, []byte(value), 0))
		}
	}
	for _, p := range slices.Backward(paths) {
		at := unix.NsecToTimespec(time.Unix(tr[p].modified, 0).UnixNano())
		must(unix.UtimesNanoAt(unix.AT_FDCWD, top+p, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// add puts an entry in, with the directories that it needs.
func (tr tree) add(p string, e entry) {
	for parent := path.Dir(p); parent != "/"; parent = path.Dir(parent) {
		if _, ok := tr[parent]; !ok {
			tr[parent] = entry{kind: 'd', mode: 0o755, modified: 1000000}
		}
	}
	if e.mode == 0 {
		e.mode = map[byte]uint32{'d': 0o755}[e.kind]
		if e.mode == 0 {
			e.mode = 0o644
		}
	}
	if e.modified == 0 {
		e.modified = 1000000
	}
	tr[p] = e
}

// removeBelow takes out all below a path.
func (tr tree) removeBelow(p string) {
	for other := range tr {
		if strings.HasPrefix(other, p+"/") {
			delete(tr, other)
		}
	}
}

// canHold reports whether all of the way to a path are directories.
func (tr tree) canHold(p string) bool {
	for parent := path.Dir(p); parent != "/"; parent = path.Dir(parent) {
		if e, ok := tr[parent]; ok && e.kind != 'd' {
			return false
		}
	}
	return true
}

// oddNames are for files; those with a new line cannot stand in lists.
var oddNames = []string{"hosts", "passwd-", "a b", " lead", "trail ", "-dash", "--", "new\nline", "ünï", "日本", "quote\"'", "back\\slash", "dollar$(x)", "star*", ".hidden",
	"[x]", "tab\t", "resolv.conf", "#x", "%s", "~", "very" + strings.Repeat("long", 40)}

var oddDirectories = []string{"systemd", "d ir", "-d", "ssl", "n\nl", "deep", "ö"}

// acl makes a POSIX ACL as the kernel stores it: owner, a named user, group, mask and other.
func acl(owner, user, group, mask, other uint16, uid uint32) string {
	text := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, permissions uint16
		id               uint32
	}{{1, owner, ^uint32(0)}, {2, user, uid}, {4, group, ^uint32(0)}, {0x10, mask, ^uint32(0)}, {0x20, other, ^uint32(0)}} {
		text = binary.LittleEndian.AppendUint16(text, e.tag)
		text = binary.LittleEndian.AppendUint16(text, e.permissions)
		text = binary.LittleEndian.AppendUint32(text, e.id)
	}
	return string(text)
}

// generator makes random roots.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 5))} }

func pick[T any](g generator, choices ...T) T { return choices[g.IntN(len(choices))] }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g generator) path(prefix string) string {
	p := prefix
	for g.chance(45) && strings.Count(p, "/") < strings.Count(prefix, "/")+3 {
		p += "/" + pick(g, oddDirectories...)
	}
	return p + "/" + pick(g, oddNames...)
}

// shipped makes a default /etc, as paths below "/etc".
func (g generator) shipped() tree {
	tr := tree{}
	for range 4 + g.IntN(12) {
		p := g.path("/etc")
		if !tr.canHold(p) {
			continue
		}
		if e, ok := tr[p]; ok && e.kind == 'd' {
			continue
		}
		tr.add(p, g.entry(pick(g, byte('f'), 'f', 'f', 'l', 'l', 'd')))
	}
	return tr
}

func (g generator) entry(kind byte) entry {
	e := entry{kind: kind, modified: 1000000 + g.Int64N(1000), attributes: map[string]string{}}
	e.uid, e.gid = pick(g, 0, 0, 0, 500), pick(g, 0, 0, 500)
	switch kind {
	case 'd':
		e.mode = pick(g, uint32(0o755), 0o755, 0o700, 0o1777, 0o2755)
		if g.chance(15) {
			e.attributes[aclDefault] = acl(7, uint16(g.IntN(8)), 5, 7, 5, 500)
		}
	case 'f':
		e.mode = pick(g, uint32(0o644), 0o644, 0o600, 0o4755)
		e.content = pick(g, "", "x", "one\n", "two\n", strings.Repeat("long", 30000))
	case 'l':
		e.content = pick(g, "hosts", "../run/x", "/usr/share/ref/etc/ssl", "systemd", "target\n", "deep")
	}
	if kind != 'l' && g.chance(15) {
		// The group bits of the mode are the mask.
		e.attributes[aclAccess] = acl(uint16(e.mode>>6&7), uint16(g.IntN(8)), 4, uint16(e.mode>>3&7), uint16(e.mode&7), 500)
	}
	if kind != 'l' && g.chance(10) {
		e.attributes["user.note"] = pick(g, "a", "b")
	}
	if g.chance(10) {
		e.attributes["security.selinux"] = "system_u:object_r:etc_t:s0\x00"
	}
	return e
}

// change makes something else of an entry: in one respect, which may be one that does not count.
func (g generator) change(e entry) entry {
	e.attributes = maps.Clone(e.attributes)
	if e.attributes == nil {
		e.attributes = map[string]string{}
	}
	e.user = true
	switch g.IntN(11) {
	case 0:
		e.mode ^= pick(g, uint32(0o001), 0o020, 0o1000, 0o4000)
		delete(e.attributes, aclAccess)
	case 1:
		e.uid = 501
	case 2:
		e.gid = 501
	case 3:
		if e.kind == 'f' && e.content != "" {
			e.content = e.content[:len(e.content)-1] + "#"
		} else {
			e.content += "#"
		}
	case 4:
		e.content += "more"
	case 5:
		if e.kind != 'l' {
			e.attributes[aclAccess] = acl(uint16(e.mode>>6&7), 1, 4, uint16(e.mode>>3&7), uint16(e.mode&7), 502)
		}
	case 6:
		if e.kind == 'd' {
			e.attributes[aclDefault] = acl(7, 1, 5, 7, 5, 502)
		} else {
			e.kind, e.content = 'd', ""
		}
	case 7:
		e.kind = pick(g, byte('f'), 'l', 'd', 'p', 'n')
		if e.kind == 'l' {
			e.content = "elsewhere"
		}
	case 8: // these do not count
		e.modified += 5
		e.user = false
	case 9:
		if e.kind != 'l' {
			e.attributes["user.note"] = "changed"
		}
		e.user = false
	case 10:
		e.attributes["security.selinux"] = "other\x00"
		e.user = false
	}
	if e.kind == 'l' || e.kind == 'p' || e.kind == 'n' {
		for name := range e.attributes {
			if name != "security.selinux" {
				delete(e.attributes, name)
			}
		}
	}
	if e.kind == 'f' || e.kind == 'p' || e.kind == 'n' {
		delete(e.attributes, aclDefault)
	}
	return e
}

// upper makes the /etc of a root out of what some release shipped.
func (g generator) upper(shipped tree) tree {
	tr := tree{}
	tr.add("/etc/x", entry{kind: 'f'})
	delete(tr, "/etc/x")
	share := pick(g, 30, 60, 100)
	for _, p := range slices.Sorted(maps.Keys(shipped)) {
		if !tr.canHold(p) || !g.chance(share) {
			continue
		}
		e := shipped[p]
		switch g.IntN(10) {
		case 0, 1:
			e = g.change(e)
		case 2:
			if g.chance(50) {
				e = entry{kind: 'w'}
			}
		}
		if old, ok := tr[p]; ok && old.kind == 'd' && e.kind != 'd' {
			continue
		}
		tr.add(p, e)
	}
	// What the user made.
	for range g.IntN(6) {
		p := g.path("/etc")
		if old, ok := tr[p]; !tr.canHold(p) || (ok && old.kind == 'd') {
			continue
		}
		e := g.entry(pick(g, byte('f'), 'f', 'l', 'd', 'w', 'n', 'p'))
		if e.kind == 'w' || e.kind == 'n' || e.kind == 'p' {
			e.attributes = nil
		}
		e.user = e.kind != 'w'
		if e.kind == 'f' {
			e.content += fmt.Sprintf("user %d", g.Uint64())
			if g.chance(10) {
				e.linkTo = pick(g, "/etc/hosts", "/etc/a b")
			}
		}
		if e.kind == 'l' {
			e.content = fmt.Sprintf("user-%d", g.Uint64())
		}
		tr.add(p, e)
	}
	// Marks of overlayfs.
	for _, p := range slices.Sorted(maps.Keys(tr)) {
		e := tr[p]
		if (e.kind != 'd' && e.kind != 'f') || !g.chance(7) {
			continue
		}
		e.attributes = maps.Clone(e.attributes)
		if e.attributes == nil {
			e.attributes = map[string]string{}
		}
		if e.kind == 'd' {
			e.attributes[pick(g, markOpaque, markOpaque, markRedirect)] = pick(g, "y", "y", "x")
		} else {
			e.attributes[pick(g, markMetacopy, markRedirect, markWhiteout, "trusted.overlay.origin")] = "y"
		}
		tr[p] = e
	}
	return tr
}

// flatcarLike are settings with every rule on.
var flatcarLike = plan.EtcRules{
	Reference: "/usr/share/ref/etc", OptOut: "/etc/.no-dup-update", NoWhiteouts: "/usr/share/ref/no-whiteouts",
	Accounts: "/usr/share/baselayout", Users: []string{"root", "core"}, Groups: []string{"root", "core", "docker", "sudo", "wheel"},
	Tmpfiles: []string{"/usr/lib/tmpfiles.d/base.conf", "/usr/lib/tmpfiles.d/missing.conf"}, ResetFlag: "/selective-os-reset", BlankMachineID: "42000000000000000000000000000042",
}

const baseConf = `d /boot - - - - -
d /opt 0755 - - - -
d /opt/bin 0750 core core - -
d /var/log/journal 2755 root systemd-journal - -
L /var/run - - - - ../run
d /home/core/.ssh 0700 core core - -
d /root 0700 - - - -
d /etc/deep - - - - -
`

// world makes a whole root.
func (g generator) world() (root tree, shipped tree) {
	shipped = g.shipped()
	root = g.upper(shipped)
	for p, e := range shipped {
		root["/usr/share/ref"+p] = e
	}
	root.add("/usr/share/ref/etc", entry{kind: 'd'})
	for p := range maps.Clone(root) {
		if strings.HasPrefix(p, "/usr/share/ref/etc/") && root[p].kind != 0 {
			root.add(p, root[p])
		}
	}
	base := map[string]string{
		"passwd":  "root:x:0:0:root:/root:/bin/bash\ncore:x:500:500:CoreOS:/home/core:/bin/bash\n",
		"group":   "root:x:0:root\nwheel:x:10:root,core\nsudo:x:150:\ndocker:x:233:core\nsystemd-journal:x:248:core\ncore:x:500:\n",
		"shadow":  "root:*:15887:0:::::\ncore:*:15887:0:::::\n",
		"gshadow": "root:*::root\nwheel:!::core\n",
	}
	for name, text := range base {
		root.add("/usr/share/baselayout/"+name, entry{kind: 'f', content: text})
		switch g.IntN(6) {
		case 0:
			root.add("/etc/"+name, entry{kind: 'f', content: text, mode: 0o600})
		case 1:
			root.add("/etc/"+name, entry{kind: 'f', content: "me:x:1000:1000::/:/bin/sh", uid: 3, attributes: map[string]string{"user.note": "n", aclAccess: acl(6, 4, 4, 4, 4, 500)}})
		case 2:
			root.add("/etc/"+name, entry{kind: pick(g, byte('w'), 'n')})
		case 3:
			root.add("/etc/"+name, entry{kind: 'f', content: strings.ReplaceAll(text, "core:", "score:"), mode: 0o640})
		case 4:
			if g.chance(30) {
				root.add("/etc/"+name, entry{kind: 'l', content: "/usr/share/baselayout/" + name})
			}
		}
	}
	root.add("/usr/lib/tmpfiles.d/base.conf", entry{kind: 'f', content: baseConf})
	var list strings.Builder
	for _, p := range slices.Sorted(maps.Keys(root)) {
		if strings.HasPrefix(p, "/etc/") && !strings.Contains(p, "\n") && g.chance(50) {
			list.WriteString(p + "\n")
		}
	}
	root.add("/usr/share/ref/no-whiteouts", entry{kind: 'f', content: "\n" + list.String() + "/etc/missing\n/etc/no/such/file\n/etc/hosts/x\n"})
	g.rest(root)
	return root, shipped
}

// rest makes what is outside of /etc.
func (g generator) rest(root tree) {
	for _, p := range []string{"/home/core/.bashrc", "/var/lib/docker/a/b/c", "/var/log/x", "/flatcar-backup/y", "/opt/data/k e e p"} {
		if g.chance(60) {
			root.add(p, entry{kind: 'f', content: p})
		}
	}
	if g.chance(70) {
		for p, mode := range map[string]uint32{"/boot": 0o755, "/opt/bin": 0o750, "/var/log/journal": 0o2755, "/home/core/.ssh": 0o700, "/root": 0o700, "/run": 0o755} {
			root.add(p, entry{kind: 'd', mode: mode, uid: 500, gid: 500})
		}
		root.add("/var/run", entry{kind: 'l', content: "../run"})
	} else if g.chance(20) {
		root.add("/home/core/.ssh", entry{kind: 'd', mode: 0o755})
	}
	if g.chance(10) {
		root.add("/opt", entry{kind: 'l', content: "/etc"})
		root.removeBelow("/opt")
	}
	if g.chance(25) {
		root.add("/etc/machine-id", entry{kind: 'f', content: pick(g, "42000000000000000000000000000042\n", "0123456789abcdef0123456789abcdef\n", "")})
	}
	if g.chance(10) {
		root.add("/etc/.no-dup-update", entry{kind: 'f'})
	}
	if g.chance(25) {
		root.add("/selective-os-reset", entry{kind: 'f', content: pick(g,
			"/etc/hosts|/selective-os-reset|/flatcar-backup|/flatcar-backup/.*\n",
			"/etc/ssl|/etc/ssl/.*|/var/lib/docker|/var/lib/docker/.*",
			"/etc/machine-id|/home/.*", "/etc/(a b|ünï|日本)\n\n", "/opt/data/k e e [a-z]", "/etc/[^/]*", "", "\n", "(broken", "[broken", "/none", "/etc/.*\n/var/.*"),
		})
	}
	if g.chance(10) {
		delete(root, "/etc")
		root.removeBelow("/etc")
	}
}

// newRoot builds a tree below a directory of its own.
func newRoot(t testing.TB, tr tree) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	tr.build(t, dir)
	return dir
}
