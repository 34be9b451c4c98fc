//go:build guest

package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/ddi/dditest"
	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/veritytable"
)

// imageKind is a way to store an extension.
type imageKind struct {
	word string
	// only is the class that it is for, empty for both.
	only osrelease.Class
	// special kinds are not among "all": they need a certain file system, or cannot be merged.
	special bool
	// suffix follows the name of the image.
	suffix string
	// make puts an extension into a directory of the tree.
	make func(s *stage, class osrelease.Class, at, name string)
}

// imageKinds is every kind of image in the specification.
var imageKinds = []imageKind{
	{word: "directory", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeAll(at+"/"+name, extensionFiles(class, name))
	}},
	{word: "directory-suffix", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeAll(at+"/"+name+"."+string(class), extensionFiles(class, name))
	}},
	{word: "directory-link", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeAll(at+"-data/"+name+"-tree", extensionFiles(class, name))
		s.link("../"+filepath.Base(at)+"-data/"+name+"-tree", at+"/"+name)
	}},
	{word: "directory-link-absolute", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeAll(at+"-data/"+name+"-tree", extensionFiles(class, name))
		s.link("/"+at+"-data/"+name+"-tree", at+"/"+name+"."+string(class))
	}},
	{word: "versioned-directory", make: func(s *stage, class osrelease.Class, at, name string) {
		for _, version := range []string{"_1", "_2~rc1", "_3_arm64", "_9+0-3"} {
			s.writeAll(at+"/"+name+".v/"+name+version, extensionFiles(class, name))
		}
	}},
	{word: "versioned-suffix", make: func(s *stage, class osrelease.Class, at, name string) {
		for _, version := range []string{"_1", "_2"} {
			s.writeAll(at+"/"+name+"."+string(class)+".v/"+name+version+"."+string(class), extensionFiles(class, name))
		}
	}},
	{word: "versioned-raw", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeRaw(at+"/"+name+".raw.v/"+name+"_1.raw", class, "erofs", name)
		s.writeRaw(at+"/"+name+".raw.v/"+name+"_1_x86-64.raw", class, "erofs", name)
	}},
	{word: "versioned-raw-suffix", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeDDI(at+"/"+name+"."+string(class)+".raw.v/"+name+"_1."+string(class)+".raw", class, name, dditest.Image{})
	}},
	{word: "versioned-link", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeRaw(at+"-data/"+name+".v/"+name+"_7.raw", class, "erofs", name)
		s.link("/"+at+"-data/"+name+".v", at+"/"+name+".raw.v")
	}},
	{word: "subvolume", special: true, make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeAll(at+"/"+name, extensionFiles(class, name))
		s.subvolumes = append(s.subvolumes, at+"/"+name)
	}},
	{word: "erofs", make: rawKind("erofs")},
	{word: "squashfs", make: rawKind("squashfs")},
	{word: "ext4", make: rawKind("ext4")},
	{word: "btrfs", make: rawKind("btrfs")},
	{word: "xfs", make: rawKind("xfs")},
	{word: "vfat", special: true, make: rawKind("vfat")},
	{word: "raw-suffix", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeRaw(at+"/"+name+"."+string(class)+".raw", class, "squashfs", name)
	}},
	{word: "raw-link", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeRaw(at+"-data/"+name+".image", class, "erofs", name)
		s.link("../"+filepath.Base(at)+"-data/"+name+".image", at+"/"+name+".raw")
	}},
	{word: "gpt", make: ddiKind(dditest.Image{NoVerity: true})},
	{word: "gpt-generic", make: ddiKind(dditest.Image{NoVerity: true, DataType: dditest.TypeGeneric})},
	{word: "gpt-foreign", make: ddiKind(dditest.Image{NoVerity: true, DataType: "b921b045-1df0-41c3-af44-4c6f280d3fae"})},
	{word: "gpt-sectors-of-4096", make: ddiKind(dditest.Image{SectorSize: 4096})},
	{word: "gpt-verity", make: ddiKind(dditest.Image{})},
	{word: "gpt-signed-sha512", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeDDI(at+"/"+name+".raw", class, name, dditest.Image{Algorithm: "sha512", Sign: s.sign("stranger")})
	}},
	{word: "gpt-verity-sha512", special: true, make: ddiKind(dditest.Image{Algorithm: "sha512"})},
	{word: "gpt-signed", make: func(s *stage, class osrelease.Class, at, name string) {
		s.trust("known")
		s.writeDDI(at+"/"+name+".raw", class, name, dditest.Image{Sign: s.sign("known")})
	}},
	{word: "gpt-signed-by-stranger", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeDDI(at+"/"+name+".raw", class, name, dditest.Image{Sign: s.sign("stranger")})
	}},
	{word: "gpt-usr", only: sysext, make: ddiKind(dditest.Image{Usr: true, NoVerity: true})},
	{word: "gpt-usr-verity", only: sysext, make: ddiKind(dditest.Image{Usr: true})},
	{word: "gpt-usr-signed", only: sysext, make: func(s *stage, class osrelease.Class, at, name string) {
		s.trust("known")
		s.writeDDI(at+"/"+name+".raw", class, name, dditest.Image{Usr: true, Sign: s.sign("known")})
	}},
	{word: "mbr", make: func(s *stage, class osrelease.Class, at, name string) {
		s.writeImage(at+"/"+name+".raw", dditest.MBR(s.pack("erofs", extensionFiles(class, name))))
	}},
	{word: "block", make: func(s *stage, class osrelease.Class, at, name string) {
		s.mkdir(at)
		s.check(unix.Mknod(s.at(at+"/"+name), unix.S_IFBLK|0o600, int(s.blockDevice(s.pack("erofs", extensionFiles(class, name))))))
	}},
	{word: "block-ddi", make: func(s *stage, class osrelease.Class, at, name string) {
		s.mkdir(at)
		content := dditest.Image{Content: s.pack("erofs", extensionFiles(class, name))}.Build().Data
		s.check(unix.Mknod(s.at(at+"/"+name), unix.S_IFBLK|0o600, int(s.blockDevice(content))))
	}},
	{word: "block-link", make: func(s *stage, class osrelease.Class, at, name string) {
		device := s.blockDevice(s.pack("erofs", extensionFiles(class, name)))
		s.link(fmt.Sprintf("/dev/loop%d", unix.Minor(device)), at+"/"+name)
	}},
	{word: "roothash", make: sidecarKind(true, "")},
	{word: "roothash-p7s", make: func(s *stage, class osrelease.Class, at, name string) {
		s.trust("known")
		sidecarKind(true, "known")(s, class, at, name)
	}},
	{word: "roothash-p7s-of-stranger", make: sidecarKind(true, "stranger")},
	{word: "roothash-attribute", make: func(s *stage, class osrelease.Class, at, name string) {
		sidecarKind(true, "")(s, class, at, name)
		hash, err := os.ReadFile(s.at(at + "/" + name + ".roothash"))
		s.check(err)
		s.check(os.Remove(s.at(at + "/" + name + ".roothash")))
		s.check(unix.Setxattr(s.at(at+"/"+name+".raw"), "user.verity.roothash", []byte(strings.TrimSpace(string(hash))), 0))
	}},
	{word: "roothash-without-tree", make: sidecarKind(false, "")},
	{word: "tree-without-roothash", make: func(s *stage, class osrelease.Class, at, name string) {
		sidecarKind(true, "")(s, class, at, name)
		s.check(os.Remove(s.at(at + "/" + name + ".roothash")))
	}},
	{word: "roothash-of-ddi", make: func(s *stage, class osrelease.Class, at, name string) {
		b := s.writeDDI(at+"/"+name+".raw", class, name, dditest.Image{})
		s.write(at+"/"+name+".roothash", fmt.Sprintf("%x\n", b.RootHash))
	}},
	{word: "usrhash-of-ddi", only: sysext, make: func(s *stage, class osrelease.Class, at, name string) {
		b := s.writeDDI(at+"/"+name+".raw", class, name, dditest.Image{Usr: true})
		s.write(at+"/"+name+".usrhash", fmt.Sprintf("%x", b.RootHash))
	}},
	{word: "usrhash-attribute", only: sysext, make: func(s *stage, class osrelease.Class, at, name string) {
		b := s.writeDDI(at+"/"+name+".raw", class, name, dditest.Image{Usr: true})
		s.check(unix.Setxattr(s.at(at+"/"+name+".raw"), "user.verity.usrhash", fmt.Appendf(nil, "%x", b.RootHash), 0))
	}},
	{word: "base-name", suffix: "_1.2+3", make: func(s *stage, class osrelease.Class, at, name string) {
		base, _, _ := strings.Cut(name, "_")
		s.writeAll(at+"/"+name, extensionFiles(class, base))
	}},
	{word: "loose-name", make: func(s *stage, class osrelease.Class, at, name string) {
		files := extensionFiles(class, name)
		for file, text := range files {
			if strings.Contains(file, "extension-release.") {
				delete(files, file)
				file = filepath.Join(filepath.Dir(file), "extension-release.other")
				s.write(at+"/"+name+"/"+file, text)
				s.check(unix.Setxattr(s.at(at+"/"+name+"/"+file), "user.extension-release.strict", []byte("0"), 0))
			}
		}
		s.writeAll(at+"/"+name, files)
	}},
}

// findKinds returns the kinds of a list of words; "all" stands for all that are not special, "-WORD" leaves one out.
func findKinds(s *stage, class osrelease.Class, list string) []imageKind {
	s.Helper()
	var found []imageKind
	wanted := map[string]bool{}
	for _, word := range words(list) {
		wanted[word] = true
	}
	for _, kind := range imageKinds {
		named := wanted[kind.word]
		delete(wanted, kind.word)
		if kind.only != "" && kind.only != class {
			continue
		}
		if named || wanted["all"] && !kind.special && !wanted["-"+kind.word] {
			found = append(found, kind)
		}
	}
	for word := range wanted {
		if word != "all" && word[0] != '-' {
			s.Fatalf("there is no kind %q", word)
		}
	}
	return found
}

func rawKind(fsType string) func(s *stage, class osrelease.Class, at, name string) {
	return func(s *stage, class osrelease.Class, at, name string) {
		s.writeRaw(at+"/"+name+".raw", class, fsType, name)
	}
}

func ddiKind(image dditest.Image) func(s *stage, class osrelease.Class, at, name string) {
	return func(s *stage, class osrelease.Class, at, name string) {
		s.writeDDI(at+"/"+name+".raw", class, name, image)
	}
}

// sidecarKind makes an image whose root hash, with or without hash tree and signature, lies beside it.
func sidecarKind(tree bool, signer string) func(s *stage, class osrelease.Class, at, name string) {
	return func(s *stage, class osrelease.Class, at, name string) {
		content, hashTree, rootHash := dditest.Tree(s.pack("erofs", extensionFiles(class, name)), "sha256")
		s.writeImage(at+"/"+name+".raw", content)
		s.write(at+"/"+name+".roothash", fmt.Sprintf("%x\n", rootHash))
		if tree {
			s.write(at+"/"+name+".verity", string(hashTree))
		}
		if signer != "" {
			s.write(at+"/"+name+".roothash.p7s", string(s.sign(signer)(fmt.Sprintf("%x", rootHash))))
		}
	}
}

func (s *stage) writeRaw(at string, class osrelease.Class, fsType, name string) {
	s.Helper()
	s.writeImage(at, s.pack(fsType, extensionFiles(class, name)))
}

func (s *stage) writeDDI(at string, class osrelease.Class, name string, image dditest.Image) dditest.Built {
	s.Helper()
	files := extensionFiles(class, name)
	if image.Usr {
		inside := map[string]string{}
		for file, text := range files {
			if rest, ok := strings.CutPrefix(file, "usr/"); ok {
				inside[rest] = text
			}
		}
		files = inside
	}
	image.Content = s.pack("erofs", files)
	b := image.Build()
	s.writeImage(at, b.Data)
	return b
}

// verity makes devices of a file system and its hash tree, and says how they are opened.
func (s *stage) verity(image string) *plan.Verity {
	s.Helper()
	content, err := os.ReadFile(image)
	s.check(err)
	data, tree, rootHash := dditest.Tree(content, "sha256")
	superblock, err := veritytable.ParseSuperblock(tree[:veritytable.SuperblockSize])
	s.check(err)
	number := func(content []byte) string {
		device := s.blockDevice(content)
		return fmt.Sprintf("%d:%d", unix.Major(device), unix.Minor(device))
	}
	v, err := plan.PlanImageVerity(rootHash, superblock, number(data), number(tree))
	s.check(err)
	return v
}

// blockDevice makes one that stays until the end of the process.
func (s *stage) blockDevice(content []byte) (number uint64) {
	s.Helper()
	image := filepath.Join(s.TempDir(), "block")
	s.check(os.WriteFile(image, content, 0o600))
	file, err := os.Open(image)
	s.check(err)
	defer file.Close()
	loop, err := loopdev.Attach(file, 0, int64(len(content))&^511, 512)
	s.check(err)
	s.loops = append(s.loops, loop)
	var st unix.Stat_t
	s.check(unix.Stat(loop.Path, &st))
	return st.Rdev
}
