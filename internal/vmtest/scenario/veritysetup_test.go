//go:build vm

package scenario

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

// peerCase is one format, and what is looked at afterwards.
type peerCase struct {
	size     int      // bytes of data.img
	options  []string // of format
	again    []string // those that verify and dump need too
	hash     string   // where the tree goes: hash.img, or data.img
	damaged  string   // the file that a byte is changed in
	damageAt int
	longHash bool // hash.img exists, and is longer than needed
}

// TestSameAsVeritysetup formats, verifies and dumps with the real veritysetup and
// with the applet, for a few hundred combinations of options, and compares all
// that a script could see: exit codes, both outputs, and the files. No machine is
// needed for that.
func TestSameAsVeritysetup(t *testing.T) {
	t.Parallel()
	theirs := realVeritysetup(t, "tools-forky", "scripts/testbed/make-tools")
	ours := buildApplet(t)
	random := rand.New(rand.NewPCG(20261124, 3))
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	succeeded, all := 0, sampleOf(200)
	for range all {
		c := choosePeerCase(random)
		want, good := c.record(t, theirs, content)
		got, _ := c.record(t, ours, content)
		if got != want {
			t.Errorf("%d bytes of data, %s\ntheirs:\n%sours:\n%s", c.size, strings.Join(c.options, " "), want, got)
		}
		if good {
			succeeded++
		}
	}
	t.Logf("%d of %d formats succeeded", succeeded, all)
	if succeeded < all*9/20 {
		t.Error("too few formats succeed for this to mean much")
	}
}

// sampleOf is a quarter of so many where scripts/faults has not asked for all.
func sampleOf(all int) int {
	if os.Getenv(vmtest.LongVariable) == "" {
		return all / 4
	}
	return all
}

// realVeritysetup is the command of the real program from one of the testbed's trees, run with its own libraries.
func realVeritysetup(t *testing.T, tree, maker string) []string {
	t.Helper()
	testbed, err := vmtest.OpenTestbed()
	if err != nil {
		t.Fatal(err)
	}
	tools, err := testbed.File(tree, maker)
	if err != nil {
		t.Fatal(err)
	}
	// Debian 12 packages that are only unpacked have them outside of /usr.
	libraries, program := filepath.Join(tools, "lib/x86_64-linux-gnu"), filepath.Join(tools, "sbin/veritysetup")
	theirs := []string{filepath.Join(libraries, "ld-linux-x86-64.so.2"),
		"--library-path", libraries + ":" + filepath.Join(tools, "usr/lib/x86_64-linux-gnu"), "--argv0", "veritysetup", program}
	if version, err := exec.Command(theirs[0], append(slices.Clone(theirs[1:]), "--version")...).Output(); err != nil || !bytes.HasPrefix(version, []byte("veritysetup ")) {
		t.Fatalf("the real veritysetup does not run: %q, %v", version, err)
	}
	return theirs
}

// buildApplet builds the program and returns its command.
func buildApplet(t *testing.T) []string {
	t.Helper()
	ours := filepath.Join(t.TempDir(), "preroot")
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", ours, "./cmd/multicall")
	build.Dir = repository
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	return []string{ours, "veritysetup"}
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// choosePeerCase leaves out what ours does better: those are in the golden tests.
func choosePeerCase(random *rand.Rand) peerCase {
	c := peerCase{size: pick(random, 512, 4096, 5000, 8192, 65536, 524288, 528384, 1000003, 3000000), hash: "hash.img"}
	blockSize := pick(random, 512, 1024, 2048, 4096, 4096, 4096, 8192)
	hashBlockSize := blockSize
	if random.IntN(3) == 0 {
		hashBlockSize = pick(random, 512, 1024, 4096, 8192)
	}
	c.options = []string{"--uuid=8f3c1d2e-0b4a-4c5d-9e6f-7a8b9c0d1e2f", "--salt=" + pick(random, "-", "", "ab", strings.Repeat("0C", 256), strings.Repeat("5a", 64))}
	tree := []string{"--data-block-size=" + strconv.Itoa(blockSize), "--hash-block-size=" + strconv.Itoa(hashBlockSize),
		"--hash=" + pick(random, "sha256", "sha256", "sha1", "sha512", "sha224", "sha384", "md5", "md4", "ripemd160", "rmd160", "sha3-224",
			"sha3-256", "sha3-384", "sha3-512", "blake2b-512", "blake2s-256", "sha512-224", "sha512-256", "blake2b-256", "SHA1"),
		"--format=" + pick(random, "0", "1", "1", "2")}
	var places []string
	// With a single data block, and so without a tree, the original fails at some
	// offsets, and cuts the file at others.
	some := c.size >= 3*blockSize
	if some && random.IntN(4) == 0 {
		places = append(places, "--hash-offset="+pick(random, "512", "1024", "4096", "8192", "1048576", "100"))
	} else if some && random.IntN(4) == 0 {
		c.hash = "data.img"
		tree = append(tree, "--data-blocks="+strconv.Itoa(max(2, c.size/blockSize/2)))
		places = append(places, "--hash-offset="+pick(random, "65536", "524288", "4194304"))
	}
	if blockSize == hashBlockSize && random.IntN(2) == 0 {
		places = append(places, "--fec-device=fec.img", "--fec-roots="+pick(random, "2", "3", "8", "9", "16", "17", "24", "25", "1"),
			"--fec-offset="+pick(random, "0", "0", "512", "4096"))
	}
	if random.IntN(5) == 0 {
		places = append(places, "--no-superblock")
		c.again = append(slices.Clone(tree), c.options[1])
	}
	c.options = append(append(c.options, tree...), places...)
	c.again = append(c.again, places...)
	c.longHash = random.IntN(6) == 0
	c.damaged = pick(random, "data.img", c.hash)
	c.damageAt = random.IntN(1 << 30)
	return c
}

// record runs one program and writes down what can be seen.
func (c peerCase) record(t *testing.T, program []string, content []byte) (text string, good bool) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]int{"data.img": c.size}
	if c.longHash {
		files["hash.img"] = 1 << 20
	}
	for name, size := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content[:size], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	run := func(arguments ...string) int {
		code, stdout, stderr := runIn(t, dir, program, arguments...)
		fmt.Fprintf(&b, "exit %d\n%s%s", code, stdout, stderr)
		return code
	}
	if run(append(slices.Clone(c.options), "--root-hash-file=root.txt", "format", "data.img", c.hash)...) != 0 {
		return b.String(), false
	}
	for _, name := range []string{"data.img", "hash.img", "fec.img", "root.txt"} {
		made, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			fmt.Fprintf(&b, "%s: %d bytes, %x\n", name, len(made), sha256.Sum256(made))
		}
	}
	verify := append(slices.Clone(c.again), "--root-hash-file=root.txt", "verify", "data.img", c.hash)
	run(verify...)
	run(append(slices.Clone(c.again), "dump", c.hash)...)
	c.damage(t, dir)
	// With error correction the two differ on purpose.
	run(slices.DeleteFunc(verify, func(word string) bool { return strings.HasPrefix(word, "--fec") })...)
	return b.String(), true
}

// runIn runs a program in a folder.
func runIn(t *testing.T, dir string, program []string, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	command := exec.Command(program[0], append(slices.Clone(program[1:]), arguments...)...)
	command.Dir = dir
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	if err := command.Run(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			t.Fatal(err)
		}
		code = exit.ExitCode()
	}
	return code, out.String(), said.String()
}

func (c peerCase) damage(t *testing.T, dir string) {
	t.Helper()
	name := filepath.Join(dir, c.damaged)
	made, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(made) > 0 {
		made[c.damageAt%len(made)] ^= 0x55
	}
	if err := os.WriteFile(name, made, 0o600); err != nil {
		t.Fatal(err)
	}
}
