//go:build vm

package scenario

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/ddi/dditest"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/gpt/gpttest"
	"github.com/preroot/preroot/internal/vmtest"
)

// smallTypes are the types of partitions by Go's name of the architecture: /usr, root, and the hash trees of both (UAPI group, discoverable
// partitions specification).
var smallTypes = map[string]struct{ usr, usrVerity, root, rootVerity string }{
	"amd64": {dditest.TypeUsr, dditest.TypeUsrVerity, dditest.TypeRoot, dditest.TypeRootVerity},
	"arm64": {"b0e01050-ee5f-4390-949a-9101b17104e9", "6e11a4e7-fbca-4ded-b9e9-e1a512bb664e",
		"b921b045-1df0-41c3-af44-4c6f280d3fae", "df3300ce-d69f-4c92-978c-9bfb0f38d820"},
}

// smallRoot is a real root with one static program in it, for machines that have no Debian: the partitions that it takes, and the root hash of
// its /usr. More lies on none of them: extensions are files of /var.
type smallRoot struct {
	usr, usrVerity, root, more gpttest.Partition
	hash                       string
}

// smallRootID and smallMoreID name the partitions of the root and of /var.
const (
	smallRootID = "11111111-2222-3333-4444-555555555555"
	smallMoreID = "11111111-2222-3333-4444-666666666666"
)

// buildSmallRoot makes one with the real tools: erofs and ext4, hash trees of veritysetup, a confext as an image with a tree of its own in
// /var/lib/confexts. With ownVar that is a partition, mounted by the root's fstab in the initramfs.
func buildSmallRoot(t *testing.T, b *vmtest.Testbed, arch string, ownVar bool) smallRoot {
	t.Helper()
	types := smallTypes[arch]
	usr := writeTree(t, map[string]string{
		"lib/os-release": "ID=small\n", "from-usr": "verified\n",
		// A block that is nowhere else, for the program to damage.
		"victim": strings.Repeat("victim of rootinit", 4096/18+1)[:4096],
	})
	buildProgram(t, arch, "./internal/vmtest/rootinit", filepath.Join(usr, "sbin/init"))
	var s smallRoot
	var hash []byte
	s.usr, s.usrVerity, hash = verified(t, b, usr, types.usr, types.usrVerity)
	s.hash = hex.EncodeToString(hash)

	confext := writeTree(t, map[string]string{
		"etc/from-confext": "merged\n", "etc/extension-release.d/extension-release.00-default": "ID=_any\n",
	})
	data, tree, hash := verified(t, b, confext, types.root, types.rootVerity)
	image := gpttest.Disk{Partitions: []gpttest.Partition{data, tree}}.Bytes()
	files := map[string]string{"lib/confexts/00-default.raw": string(image), "lib/confexts/00-default.roothash": hex.EncodeToString(hash) + "\n"}

	root := writeTree(t, map[string]string{"etc/from-root": "root\n"})
	for _, directory := range []string{"usr", "dev", "proc", "sys", "run", "tmp", "var"} {
		makeDirectory(t, filepath.Join(root, directory))
	}
	for link, target := range map[string]string{"sbin": "usr/sbin", "lib": "usr/lib"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if ownVar {
		fstab := "PARTUUID=" + smallMoreID + " /var ext4 defaults,x-initrd.mount 0 0\n"
		if err := os.WriteFile(filepath.Join(root, "etc/fstab"), []byte(fstab), 0o644); err != nil {
			t.Fatal(err)
		}
		s.more = gpttest.Partition{Type: dditest.GUID(dditest.TypeGeneric), ID: dditest.GUID(smallMoreID), Name: "var", Data: makeExt4(t, b, writeTree(t, files))}
	} else if err := os.CopyFS(filepath.Join(root, "var"), os.DirFS(writeTree(t, files))); err != nil {
		t.Fatal(err)
	}
	s.root = gpttest.Partition{Type: dditest.GUID(types.root), ID: dditest.GUID(smallRootID), Name: "root", Data: makeExt4(t, b, root)}
	return s
}

// verified makes an erofs of a tree, and its hash tree with the real veritysetup: two partitions named by the halves of the root hash.
func verified(t *testing.T, b *vmtest.Testbed, tree, dataType, hashType string) (data, hashes gpttest.Partition, rootHash []byte) {
	t.Helper()
	folder := t.TempDir()
	image, hashTree, hashFile := filepath.Join(folder, "data"), filepath.Join(folder, "hash"), filepath.Join(folder, "roothash")
	tool(t, b, "usr/bin/mkfs.erofs", "--quiet", "--all-root", image, tree)
	tool(t, b, "usr/sbin/veritysetup", "format", "--root-hash-file="+hashFile, image, hashTree)
	text, err := os.ReadFile(hashFile)
	if err != nil {
		t.Fatal(err)
	}
	if rootHash, err = hex.DecodeString(strings.TrimSpace(string(text))); err != nil || len(rootHash) != 32 {
		t.Fatalf("veritysetup's root hash is %q (%v)", text, err)
	}
	data = gpttest.Partition{Type: dditest.GUID(dataType), ID: gpt.GUID(rootHash[:16]), Name: "data", Attributes: gpt.AttributeReadOnly, Data: readWhole(t, image)}
	hashes = gpttest.Partition{Type: dditest.GUID(hashType), ID: gpt.GUID(rootHash[16:]), Name: "hash", Attributes: gpt.AttributeReadOnly, Data: readWhole(t, hashTree)}
	return data, hashes, rootHash
}

// makeExt4 makes a file system of a tree.
func makeExt4(t *testing.T, b *vmtest.Testbed, tree string) []byte {
	t.Helper()
	image := filepath.Join(t.TempDir(), "ext4")
	tool(t, b, "usr/sbin/mkfs.ext4", "-q", "-E", "root_owner=0:0", "-d", tree, image, "16M")
	return readWhole(t, image)
}

// writeDisk writes a disk of these partitions, of a size that is a power of two, and gives its path.
func writeDisk(t *testing.T, partitions ...gpttest.Partition) string {
	t.Helper()
	bytes := gpttest.Disk{Partitions: partitions}.Bytes()
	size := int64(1 << 20)
	for size < int64(len(bytes)) {
		size *= 2
	}
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	return path
}

// buildProgram builds a program of this repository for an architecture.
func buildProgram(t *testing.T, arch, from, to string) {
	t.Helper()
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, from)
	command.Dir, command.Env = repository, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

// packImage runs bin/mkpreroot as a person would, and gives the image.
func packImage(t *testing.T, kernel vmtest.Kernel, arguments ...string) string {
	t.Helper()
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "initrd")
	arguments = append([]string{"build", "--quiet", "--kernel", kernel.Tree, "--conf", filepath.Join(repository, "scripts/testbed/preroot.conf"), "--output", image}, arguments...)
	if output, err := exec.Command(filepath.Join(repository, "bin/mkpreroot"), arguments...).CombinedOutput(); err != nil {
		t.Fatalf("mkpreroot: %v\n%s", err, output)
	}
	return image
}

func readWhole(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func makeDirectory(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(name, 0o755); err != nil {
		t.Fatal(err)
	}
}
