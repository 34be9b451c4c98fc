//go:build guest

package boot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/osrelease"
)

const (
	confext = osrelease.ClassConfext
	sysext  = osrelease.ClassSysext
)

// stage is the tree of a root that is being made, before it becomes file systems.
type stage struct {
	*testing.T
	// path of the tree; others are made beside it.
	path string
	// loops are kept until the end of the process.
	loops []*loopdev.Device
	// signers are made when they are asked for.
	signers map[string]*signer
	// subvolumes are directories of the root, relative to it.
	subvolumes []string
}

func newStage(t *testing.T) *stage {
	s := &stage{T: t, path: filepath.Join(t.TempDir(), "root"), signers: map[string]*signer{}}
	for _, directory := range []string{
		"dev", "proc", "sys", "run", "tmp", "tools", "etc", "opt", "usr/lib/confexts", "usr/lib/systemd", "usr/lib/verity.d", "usr/local/lib",
		"usr/sbin", "usr/share", "var/lib/confexts", "var/lib/extensions",
	} {
		s.check(os.MkdirAll(s.at(directory), 0o755))
	}
	// As much of a program as is looked at: an ELF header for x86-64, and a program header that says nothing.
	s.write("usr/sbin/init", "\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 11)+"\x3e\x00"+strings.Repeat("\x00", 12)+"\x40"+strings.Repeat("\x00", 21)+
		"\x38\x00\x01\x00"+strings.Repeat("\x00", 6+56))
	s.check(os.Chmod(s.at("usr/sbin/init"), 0o755))
	s.write("usr/lib/os-release", "ID=debian\nVERSION_ID=14\n")
	s.link("../usr/lib/os-release", "etc/os-release")
	for _, hierarchy := range []string{"etc", "usr", "opt"} {
		s.write(hierarchy+"/base", "host\n")
		s.write(hierarchy+"/both", "host\n")
	}
	return s
}

func (s *stage) at(name string) string { return filepath.Join(s.path, name) }

func (s *stage) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stage) write(name, text string) {
	s.Helper()
	s.check(os.MkdirAll(filepath.Dir(s.at(name)), 0o755))
	s.check(os.WriteFile(s.at(name), []byte(text), 0o644))
}

// writeImage writes an image without its holes.
func (s *stage) writeImage(name string, content []byte) {
	s.Helper()
	s.check(os.MkdirAll(filepath.Dir(s.at(name)), 0o755))
	file, err := os.Create(s.at(name))
	s.check(err)
	defer file.Close()
	const block = 64 << 10
	for start := 0; start < len(content); start += block {
		part := content[start:min(start+block, len(content))]
		if bytes.Count(part, []byte{0}) == len(part) {
			continue
		}
		_, err := file.WriteAt(part, int64(start))
		s.check(err)
	}
	s.check(file.Truncate(int64(len(content))))
}

func (s *stage) link(target, name string) {
	s.Helper()
	s.check(os.MkdirAll(filepath.Dir(s.at(name)), 0o755))
	s.check(os.Symlink(target, s.at(name)))
}

func (s *stage) mkdir(name string) { s.Helper(); s.check(os.MkdirAll(s.at(name), 0o755)) }

// run runs a program of the guest.
func (s *stage) run(name string, arguments ...string) {
	s.Helper()
	if output, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
		s.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, output)
	}
}

// confextFiles are those of a confext: etc/NAME and etc/both say who brought them.
func confextFiles(name string) map[string]string {
	return map[string]string{
		"etc/extension-release.d/extension-release." + name: "ID=_any\n", "etc/" + name: name + "\n", "etc/both": name + "\n",
	}
}

func sysextFiles(name string) map[string]string {
	return map[string]string{
		"usr/lib/extension-release.d/extension-release." + name: "ID=_any\n",
		"usr/share/" + name: name + "\n", "usr/both": name + "\n", "opt/" + name: name + "\n", "opt/both": name + "\n",
	}
}

func extensionFiles(class osrelease.Class, name string) map[string]string {
	if class == sysext {
		return sysextFiles(name)
	}
	return confextFiles(name)
}

// writeAll writes files below a directory of the tree.
func (s *stage) writeAll(directory string, files map[string]string) {
	s.Helper()
	for name, text := range files {
		s.write(filepath.Join(directory, name), text)
	}
}

// cacheVariable names a directory for what several cases use.
const cacheVariable = "PREROOT_SKIP_CACHE"

// pack makes a file system of files and returns its bytes. The same one is made once.
func (s *stage) pack(fsType string, files map[string]string) []byte {
	s.Helper()
	known := filepath.Join(os.Getenv(cacheVariable), fmt.Sprintf("%s-%x", fsType, sha256.Sum256(fmt.Append(nil, files))))
	if content, err := os.ReadFile(known); err == nil {
		return content
	}
	beside := &stage{T: s.T, path: s.TempDir()}
	beside.writeAll("tree", files)
	image := makeFileSystem(s.T, fsType, beside.at("tree"), nil)
	content, err := os.ReadFile(image)
	s.check(err)
	s.run("cp", "--sparse=always", image, known)
	return content
}

// makeFileSystem makes an image of a tree. What takes writes has room for them.
func makeFileSystem(t *testing.T, fsType, tree string, subvolumes []string) (image string) {
	t.Helper()
	image = filepath.Join(t.TempDir(), "image")
	var command *exec.Cmd
	size := func(mib int64) {
		if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, mib<<20)); err != nil {
			t.Fatal(err)
		}
	}
	switch fsType {
	case "erofs":
		command = exec.Command("mkfs.erofs", "--quiet", image, tree)
	case "squashfs":
		command = exec.Command("mksquashfs", tree, image, "-quiet", "-no-progress", "-noappend")
	case "ext4":
		size(2 + 2*treeMiB(t, tree))
		command = exec.Command("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", tree, image)
	case "btrfs":
		size(18 + 2*treeMiB(t, tree))
		command = exec.Command("mkfs.btrfs", "-q", "--mixed", "--rootdir", tree)
		for _, subvolume := range subvolumes {
			command.Args = append(command.Args, "--subvol", "rw:"+subvolume)
		}
		command.Args = append(command.Args, image)
	case "xfs":
		size(18 + 2*treeMiB(t, tree))
		command = exec.Command("mkfs.xfs", "-q", "--unsupported", "-p", tree, image)
	case "vfat":
		size(4)
		command = exec.Command("mkfs.vfat", image)
	default:
		t.Fatalf("no %s can be made", fsType)
	}
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, output)
	}
	if fsType == "vfat" {
		at := t.TempDir()
		s := &stage{T: t, path: at}
		s.check(unix.Mount(s.attach(image), at, fsType, 0, ""))
		s.check(os.CopyFS(at, os.DirFS(tree)))
		s.check(unix.Unmount(at, 0))
	}
	if len(subvolumes) > 0 {
		settle(t, image, subvolumes)
	}
	return image
}

// settle changes something in every subvolume: mkfs.btrfs leaves them without times, and the kernel notes some when it
// writes to them first.
func settle(t *testing.T, image string, subvolumes []string) {
	t.Helper()
	at := t.TempDir()
	s := &stage{T: t, path: at}
	s.check(unix.Mount(s.attach(image), at, "btrfs", 0, ""))
	for _, subvolume := range subvolumes {
		s.check(os.Chmod(s.at(subvolume), 0o755))
		s.check(os.Chtimes(s.at(subvolume), time.Now(), time.Now()))
	}
	s.check(unix.Unmount(at, 0))
}

// treeMiB is what the blocks of a tree take.
func treeMiB(t *testing.T, tree string) int64 {
	t.Helper()
	blocks := int64(0)
	err := filepath.WalkDir(tree, func(name string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(name, &st)
		}
		blocks += st.Blocks
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return blocks >> 11
}

// attach makes a loop device of an image, which takes writes and goes with its last user.
func (s *stage) attach(image string) (node string) {
	s.Helper()
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	s.check(err)
	defer file.Close()
	control, err := os.Open("/dev/loop-control")
	s.check(err)
	defer control.Close()
	for range 16 {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		s.check(err)
		node = fmt.Sprintf("/dev/loop%d", number)
		loop, err := os.OpenFile(node, os.O_RDWR, 0)
		s.check(err)
		config := unix.LoopConfig{Fd: uint32(file.Fd()), Size: 512, Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		if errors.Is(err, unix.EBUSY) {
			loop.Close()
			continue
		}
		s.check(err)
		// Held open until the end of the process.
		openLoops = append(openLoops, loop)
		return node
	}
	s.Fatal("no loop device is free")
	return ""
}

var openLoops []*os.File

// signer is a key with its certificate.
type signer struct{ folder string }

// signer returns the signer of a name, which is made when it is not there.
func (s *stage) signer(name string) *signer {
	s.Helper()
	if known := s.signers[name]; known != nil {
		return known
	}
	k := &signer{filepath.Join(os.Getenv(cacheVariable), name)}
	s.signers[name] = k
	if _, err := os.Stat(k.folder); err == nil {
		return k
	}
	s.check(os.Mkdir(k.folder, 0o700))
	s.check(os.WriteFile(k.file("conf"), []byte("[req]\ndistinguished_name=name\n[name]\n"), 0o600))
	s.run("openssl", "genpkey", "-out", k.file("key"), "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	s.run("openssl", "req", "-config", k.file("conf"), "-new", "-x509", "-key", k.file("key"), "-subj", "/CN="+name, "-days", "30", "-out", k.file("crt"))
	return k
}

func (k *signer) file(name string) string { return filepath.Join(k.folder, name) }

// sign returns a function that signs root hashes in the name of a signer.
func (s *stage) sign(name string) func(rootHash string) []byte {
	return func(rootHash string) []byte {
		s.Helper()
		k := s.signer(name)
		made := k.file(rootHash + ".p7s")
		if signature, err := os.ReadFile(made); err == nil {
			return signature
		}
		s.check(os.WriteFile(k.file("hash"), []byte(rootHash), 0o600))
		s.run("openssl", "smime", "-sign", "-nocerts", "-noattr", "-binary", "-in", k.file("hash"), "-inkey", k.file("key"),
			"-signer", k.file("crt"), "-outform", "der", "-out", made)
		signature, err := os.ReadFile(made)
		s.check(err)
		return signature
	}
}

// trust puts the certificate of a signer on /usr.
func (s *stage) trust(name string) {
	s.Helper()
	certificate, err := os.ReadFile(s.signer(name).file("crt"))
	s.check(err)
	s.write("usr/lib/verity.d/"+name+".crt", string(certificate))
}

// settings write a setting of one class on /usr.
func (s *stage) settings(class osrelease.Class, text string) {
	s.Helper()
	section := "[SysExt]\n"
	if class == confext {
		section = "[ConfExt]\n"
	}
	s.write("usr/lib/systemd/"+string(class)+".conf", section+text)
}

// cut takes a part of the tree away, to become a file system of its own, and leaves the mount point.
func (s *stage) cut(name string) (tree string) {
	s.Helper()
	tree = filepath.Join(s.TempDir(), "cut")
	s.check(os.Rename(s.at(name), tree))
	s.mkdir(name)
	return tree
}

func words(text string) []string {
	return slices.DeleteFunc(strings.Fields(text), func(w string) bool { return w == "" })
}
