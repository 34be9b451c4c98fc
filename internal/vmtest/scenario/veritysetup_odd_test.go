//go:build vm

package scenario

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOddCommandLines gives both programs several hundred command lines that nobody would
// type on purpose: options in any place and spelling, wrong numbers, names of what is no file. What they
// print and end with has to be the same, and after a format that succeeds the files.
func TestOddCommandLines(t *testing.T) {
	t.Parallel()
	theirs, ours := realVeritysetup(t, "tools-forky", "scripts/testbed/make-tools"), buildApplet(t)
	random := rand.New(rand.NewPCG(20261125, 4))
	content := make([]byte, 1<<20)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	exits := map[int]int{}
	all := sampleOf(400)
	for range all {
		size := pick(random, 0, 1, 511, 512, 513, 4095, 4096, 4097, 8192, 65536, 528384)
		format := oddFormat(random)
		run := func(program []string) (text string, code int) {
			dir := t.TempDir()
			for name, length := range map[string]int{"data.img": size, "short.img": 100, "empty.img": 0} {
				if err := os.WriteFile(filepath.Join(dir, name), content[:length], 0o600); err != nil {
					t.Fatal(err)
				}
			}
			code, stdout, stderr := runIn(t, dir, program, format...)
			text = fmt.Sprintf("exit %d\n%s%s", code, comparableText(stdout), comparableText(stderr))
			if code == 0 {
				for _, name := range []string{"hash.img", "fec.img", "root.txt"} {
					made, _ := os.ReadFile(filepath.Join(dir, name)) // not all are made
					text += fmt.Sprintf("%s: %d bytes, %x\n", name, len(made), made[:min(512, len(made))])
				}
			}
			return text, code
		}
		want, code := run(theirs)
		exits[code]++
		if got, _ := run(ours); got != want {
			t.Errorf("%d bytes of data, %q\ntheirs:\n%sours:\n%s", size, format, want, got)
		}
	}
	t.Logf("exit codes: %v", exits)
	if exits[0] < all/20 || exits[1] < all/4 || exits[4] < all/20 {
		t.Error("too little of the same kind for this to mean much")
	}
}

// comparableText leaves the texts of --help and --version out, which say whose they are.
func comparableText(text string) string {
	const version = "veritysetup 2.8.8 "
	if strings.HasPrefix(text, version) {
		return version
	}
	return text
}

// oddFormat is a command line. Where ours does better on purpose it is left alone: the golden tests have those.
func oddFormat(random *rand.Rand) []string {
	// Half of them have little that is odd.
	rarely := pick(random, 1, 6)
	words := [][]string{{"format"}, {pick(random, "data.img", "data.img", "data.img", "missing", "empty.img", ".", "", "/dev/zero", "short.img")},
		{pick(random, "hash.img", "hash.img", "hash.img", "./hash.img", "empty.img", ".", "/dev/null", "", "no/x")}}
	if rarely > 1 {
		words[1], words[2] = []string{"data.img"}, []string{"hash.img"}
	}
	switch random.IntN(25 * rarely) {
	case 0:
		words = words[:random.IntN(3)]
	case 1:
		words = append(words, []string{"more"}, []string{"words"})
	case 2:
		words[0] = []string{pick(random, "Format", "nosuch", "create", "remove", "verify", "dump", "status", "")}
		if words[0][0] != "verify" && words[0][0] != "dump" && words[0][0] != "nosuch" {
			words = words[:1]
		}
	}
	const numbers = "0 1 2 3 512 1024 4096 8192 -1 -512 +4096 0x1000 010000 1K 4k 1M abc 18446744073709551615 18446744073709551616 " +
		"4294967296 4294967295 524288 1048576 256 768 12abc 1.5 1e3 + - --5"
	number := func() string {
		return pick(random, append(strings.Fields(numbers), "", " 4096", "4096 ", "\t12", "4096\n")...)
	}
	const uuid = "8f3c1d2e-0b4a-4c5d-9e6f-7a8b9c0d1e2f"
	given := map[string]bool{}
	add := func(name, short, value string) {
		given[name] = true
		option := []string{"--" + name + "=" + value}
		switch kind := random.IntN(6); {
		case kind == 0:
			option = []string{"--" + name, value}
		case kind == 1 && short != "":
			option = []string{"-" + short, value}
		case kind == 2 && short != "" && value != "":
			option = []string{pick(random, "-"+short+value, "-"+short+"="+value)}
		}
		words = slices.Insert(words, random.IntN(len(words)+1), option)
	}
	for _, name := range []string{"data-block-size", "hash-block-size", "data-blocks", "hash-offset", "fec-offset", "fec-roots", "format"} {
		if random.IntN(7*rarely) == 0 {
			add(name, "", number())
		}
	}
	if random.IntN(3) == 0 {
		add("salt", "s", pick(random, "-", "", "ab", "AB", "a", "abc", "zz", "0x12", " ab", "ab ", "--", "-a", strings.Repeat("fF", 256), strings.Repeat("0", 511)))
	}
	if random.IntN(4) == 0 {
		add("uuid", "", pick(random, strings.ToUpper(uuid), "", "x", strings.ReplaceAll(uuid, "-", ""), uuid[1:], uuid+"0", " "+uuid, uuid+" ", "{"+uuid+"}",
			strings.Repeat("0", 8)+"-0000-0000-0000-"+strings.Repeat("0", 12), uuid[:35]+"g", uuid+"\n"))
	}
	if random.IntN(4) == 0 {
		add("hash", "h", pick(random, "SHA256", "Sha1", "sha_256", "null", "", "x", " sha256", "crc32", "RSA-SHA256", "sha256"+strings.Repeat("0", 40), "hmac(sha256)", "blake2b"))
	}
	if random.IntN(6) == 0 {
		add("fec-device", "", pick(random, "fec.img", "fec.img", "data.img", "/dev/null", "", "no/fec.img"))
	}
	if random.IntN(8*rarely) == 0 {
		odd := pick(random, "--ignore-corruption", "--restart-on-corruption", "--shared", "--deferred", "--cancel-deferred", "--root-hash-signature=x", "--nosuch", "-x", "-",
			"---", "--=", "--hash-block", "--uui=1", "-V", "--version", "--help", "-?", "--usage", "--format1", "--verbos", "-vV", "-v?", "-vh", "-v", "-vv", "--verbose=1",
			"--no-superblock", "--no-superblock=1", "--data-blocks", "--error-as-corruption", "--check-at-most-once", "--debug=1")
		words = slices.Insert(words, random.IntN(len(words)+1), []string{odd})
	}
	var line []string
	for _, word := range words {
		line = append(line, word...)
	}
	for name, value := range map[string]string{"uuid": uuid, "salt": "0102", "root-hash-file": "root.txt"} {
		if !given[name] {
			line = slices.Insert(line, 0, "--"+name+"="+value)
		}
	}
	return line
}

// TestOlderVeritysetup: what veritysetup 2.6.1 of Debian 12 makes is good for us, and what we make for it.
func TestOlderVeritysetup(t *testing.T) {
	t.Parallel()
	theirs, ours := realVeritysetup(t, "tools-bookworm", "scripts/testbed/make-older-veritysetup"), buildApplet(t)
	random := rand.New(rand.NewPCG(20261125, 5))
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	succeeded, all := 0, sampleOf(60)
	for range all {
		c := choosePeerCase(random)
		made := map[bool][]string{}
		dirs := map[bool]string{}
		for who, program := range map[bool][]string{false: theirs, true: ours} {
			dir := t.TempDir()
			dirs[who] = dir
			if err := os.WriteFile(filepath.Join(dir, "data.img"), content[:c.size], 0o600); err != nil {
				t.Fatal(err)
			}
			code, _, stderr := runIn(t, dir, program, append(slices.Clone(c.options), "--root-hash-file=root.txt", "format", "data.img", c.hash)...)
			made[who] = append(made[who], fmt.Sprint(code), stderr)
			for _, name := range []string{"data.img", "hash.img", "fec.img", "root.txt"} {
				b, _ := os.ReadFile(filepath.Join(dir, name)) // not all are made
				if code == 0 {
					made[who] = append(made[who], string(b))
				}
			}
		}
		if !slices.Equal(made[false], made[true]) {
			t.Errorf("%d bytes of data, %q: they make %.200q, we %.200q", c.size, c.options, made[false], made[true])
			continue
		}
		if made[true][0] != "0" {
			continue
		}
		succeeded++
		verify := append(slices.Clone(c.again), "--root-hash-file=root.txt", "verify", "data.img", c.hash)
		for who, program := range map[bool][]string{true: theirs, false: ours} {
			if code, stdout, stderr := runIn(t, dirs[who], program, verify...); code != 0 || stdout+stderr != "" {
				t.Errorf("%q: %d, %s%s", verify, code, stdout, stderr)
			}
		}
	}
	if succeeded < all*5/12 {
		t.Errorf("only %d formats succeeded", succeeded)
	}
}
