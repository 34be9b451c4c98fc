package toolbox

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTextTools(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"f": "one\ntwo\nthree\nfour\n", "g": "no end"})
	runSteps(t, dir, []step{
		{line: "cat -n g -", stdin: "in\n", out: "     1\tno end\n     2\tin\n"},
		{line: "cat f gone", code: 1, out: "one\ntwo\nthree\nfour\n", err: "gone: no such file or directory"},
		{line: "head -2 f", out: "one\ntwo\n"}, {line: "head -n 1 f g", out: "==> f <==\none\n\n==> g <==\nno end\n"}, {line: "head -c 3 f", out: "one"},
		{line: "tail -n 2 f", out: "three\nfour\n"}, {line: "tail -n +3 f", out: "three\nfour\n"}, {line: "tail -c 5 f", out: "four\n"}, {line: "tail -n x f", code: 1, err: "is no number"},
		{line: "wc -l f", out: "4 f\n"}, {line: "wc f g", out: "4 4 19 f\n0 2  6 g\n4 6 25 total\n"}, {line: "wc -w", stdin: "a b  c", out: "3\n"},
		{line: "base64 g", out: "bm8gZW5k\n"}, {line: "base64 -w 3", stdin: "abc", out: "YWJ\nj\n"}, {line: "base64 -d", stdin: "bm8g\nZW5k\n", out: "no end"},
		{line: "base64 -d", stdin: "bm8*", code: 1, out: "", err: "invalid input"}, {line: "base64 -di", stdin: "bm8g*ZW5k\n", out: "no end"},
		{line: "shasum g", out: "13ff33991a6124d4af4858c89aa22fb0ce29b6a9  g\n"},
		{line: "sha256sum -c", stdin: "0000000000000000000000000000000000000000000000000000000000000000  g\n", code: 1, out: "g: FAILED\n", err: "1 of 1 files"},
		{line: "sha256sum -c", stdin: "nonsense\n", code: 1, err: "no line is a hash"}, {line: "shasum -a 3 g", code: 1, err: "one of 1 224 256 384 512"},
		{line: "xargs cat", stdin: "f g", out: "one\ntwo\nthree\nfour\nno end"}, {line: "xargs -n 1 wc -c", stdin: "f 'g'\n", out: "19 f\n6 g\n"},
		{line: "xargs -I {} head -c 2 {}", stdin: "f\n g\n", out: "onno"}, {line: "xargs -0 cat", stdin: "f\x00", out: "one\ntwo\nthree\nfour\n"},
		{line: "xargs cat", stdin: "'f", code: 1, err: "is not closed"}, {line: "xargs -r cat", stdin: ""}, {line: "xargs cat", stdin: "gone", code: 123, err: "gone: no such file"},
		{line: "xargs /no/such/program", stdin: "x", code: 127, err: "no such file"}, {line: "uname -x", code: 1, err: "usage"},
		{line: "sleep x", code: 1, err: "is no time"}, {line: "sleep 0.01"}, {line: "kill x", code: 1, err: "no number of a process"}, {line: "kill -NOPE 1", code: 1, err: "no signal NOPE"},
	})
	if got := run(t, dir, "", "sha256sum f g"); got.code != 0 {
		t.Error(got)
	} else if back := run(t, dir, got.out, "sha256sum -c"); back.code != 0 || back.out != "f: OK\ng: OK\n" {
		t.Errorf("%+v", back)
	}
	if got := run(t, dir, "", "uname -sr"); got.code != 0 || !strings.HasPrefix(got.out, "Linux ") {
		t.Errorf("%+v", got)
	}
}

func TestGrep(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"f": "alpha\nbeta gamma\nALPHA beta\n\ndelta+\n", "d/g": "gamma\n", "bin": "a\x00b\n"})
	runSteps(t, dir, []step{
		{line: "grep beta f", out: "beta gamma\nALPHA beta\n"}, {line: "grep -i alpha f", out: "alpha\nALPHA beta\n"}, {line: "grep -v a f", out: "\n"},
		{line: "grep -n ^$ f", out: "4:\n"}, {line: "grep -c a f", out: "4\n"}, {line: "grep -l gamma f d/g", out: "f\nd/g\n"}, {line: "grep -L gamma f bin", out: "bin\n"},
		{line: "grep -o [ab]e. f", out: "bet\nbet\n"}, {line: "grep delta+ f", out: "delta+\n"}, {line: "grep -E delta+$ f", code: 1}, {line: "grep -F a+ f", out: "delta+\n"},
		{line: "grep -w beta f", out: "beta gamma\nALPHA beta\n"}, {line: "grep -w bet f", code: 1}, {line: "grep -x alpha f", out: "alpha\n"},
		{line: "grep -r gamma", out: "d/g:gamma\nf:beta gamma\n"}, {line: "grep -q alpha f gone", err: "gone"}, {line: "grep x gone", code: 2, err: "gone: no such file"},
		{line: "grep nothing f", code: 1}, {line: "grep ( f", code: 1}, {line: "grep -E ( f", code: 2, err: "the expression"}, {line: "grep", code: 2, err: "usage"},
		{line: "grep -A 1 alpha f", out: "alpha\nbeta gamma\n"}, {line: "grep -B1 ALPHA f", out: "beta gamma\nALPHA beta\n"}, {line: "grep -m 1 beta f", out: "beta gamma\n"},
		{line: "grep -e alpha -e delta f", out: "alpha\ndelta+\n"}, {line: `grep \(al\|de\)[lp] f`, out: "alpha\ndelta+\n"}, {line: "grep b bin", out: "bin: binary file matches\n"},
		{line: "grep -hn gamma f d/g", out: "2:beta gamma\n1:gamma\n"}, {line: "grep a", stdin: "xay\n", out: "xay\n"}, {line: "egrep a|z", stdin: "z\n", out: "z\n"}, {line: "fgrep a.", stdin: "ab\na.\n", out: "a.\n"},
		{line: "grep -C1 -n delta f", out: "4-\n5:delta+\n"}, {line: `grep \<gam f`, out: "beta gamma\n"},
	})
	// Two places far from each other have a line between them.
	if got := run(t, dir, "1\nx\n3\n4\n5\nx\n", "grep -C 1 x"); got.out != "1\nx\n3\n--\n5\nx\n" {
		t.Errorf("%+v", got)
	}
}

func TestBasicExpressions(t *testing.T) {
	for basic, want := range map[string]string{`a*`: `a*`, `*a`: `\*a`, `\(a\)\{2\}`: `(a){2}`, `a+b?`: `a\+b\?`, `a\+b\?`: `a+b?`, `^*a`: `^\*a`, `a^b$c$`: `a\^b\$c$`,
		`[a(]`: `[a(]`, `[]a]*`: `[]a]*`, `\.`: `\.`, `[[:space:]]+`: `[[:space:]]\+`, `\(^a$\)`: `(^a$)`} {
		if got := basicToExtended(basic); got != want {
			t.Errorf("%s: %s, want %s", basic, got, want)
		}
	}
}

func FuzzBasicExpressions(f *testing.F) {
	f.Add(`\(a\|b*\)[^]x]$`)
	f.Fuzz(func(t *testing.T, pattern string) {
		// What is no expression is told by the library; nothing panics.
		_, _ = regexp.Compile(wordEdges(basicToExtended(pattern)))
	})
}

func TestTar(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"src/a": "one", "src/d/b": strings.Repeat("two", 1000), "out/": "", "out2/": ""})
	if err := os.Symlink("a", filepath.Join(dir, "src/l")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "src/a"), filepath.Join(dir, "src/z")); err != nil {
		t.Fatal(err)
	}
	runSteps(t, dir, []step{
		{line: "tar czf t.tgz src"}, {line: "tar tf t.tgz", out: "src/\nsrc/a\nsrc/d/\nsrc/d/b\nsrc/l\nsrc/z\n"},
		{line: "tar xf t.tgz -C out"}, {line: "cat out/src/a out/src/l out/src/z", out: "oneoneone"}, {line: "tar -x -f t.tgz -C out2 src/d"},
		{line: "find out2 -type f", out: "out2/src/d/b\n"}, {line: "tar xf t.tgz -C out gone", code: 2, err: "gone: it is not in the archive"},
		{line: "tar xOf t.tgz src/a", out: "one"}, {line: "tar xf t.tgz -C nowhere", code: 2, err: "nowhere: no such file"}, {line: "tar f t.tgz", code: 2, err: "one of c, t and x"},
		{line: "tar cxf x", code: 2, err: "only one of"}, {line: "tar cf x", code: 2, err: "name files"}, {line: "tar tf src/a", code: 2, err: "src/a"}, {line: "tar cf t.tar -C src a d"}, {line: "tar tf t.tar", out: "a\nd/\nd/b\n"},
	})
	if read(t, dir, "out/src/d/b") != strings.Repeat("two", 1000) {
		t.Error("it is not the same")
	}
}

// FuzzTar unpacks what somebody else has written: nothing leaves the directory.
func FuzzTar(f *testing.F) {
	dir := f.TempDir()
	write(f, dir, map[string]string{"a": "x", "up/b": "y"})
	if err := os.Symlink("../..", filepath.Join(dir, "l")); err != nil {
		f.Fatal(err)
	}
	got := run(f, dir, "", "tar c a l up")
	f.Add([]byte(got.out))
	f.Add([]byte(strings.ReplaceAll(got.out, "up/b", "l/bb")))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		write(t, dir, map[string]string{"in/here/": ""})
		_ = run(t, filepath.Join(dir, "in/here"), string(data), "tar x")
		for _, above := range []string{dir, filepath.Join(dir, "in")} {
			if names, err := readNames(above); err != nil || len(names) != 1 {
				t.Fatalf("%s: %q, %v", above, names, err)
			}
		}
	})
}

func TestTarStaysInside(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"src/l": "", "src/x": "evil", "in/": ""})
	archive := run(t, dir, "", "tar c src/x").out
	for _, name := range []string{"../x4", "/../x3"} {
		padded := name + strings.Repeat("\x00", 5)
		bad := strings.Replace(archive, "src/x"+strings.Repeat("\x00", len(padded)-5), padded, 1)
		sum := 0
		raw := []byte(bad)
		copy(raw[148:156], "        ")
		for _, b := range raw[:512] {
			sum += int(b)
		}
		copy(raw[148:], []byte(strings.Replace("000000\x00 ", "000000", octal6(sum), 1)))
		got := run(t, filepath.Join(dir, "in"), string(raw), "tar x")
		if got.code == 0 && name[0] == '.' || !strings.Contains(got.err, "outside") {
			t.Errorf("%s: %+v", name, got)
		}
		if names, _ := readNames(dir); len(names) != 2 {
			t.Errorf("%s: %q", name, names)
		}
	}
}

func octal6(n int) string {
	text := []byte("000000")
	for i := 5; i >= 0; i-- {
		text[i] = '0' + byte(n&7)
		n >>= 3
	}
	return string(text)
}

func TestGzip(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"f": strings.Repeat("text ", 1000), "bad.gz": "\x1f\x8b\x08\x00broken", "odd": "x"})
	runSteps(t, dir, []step{
		{line: "gzip f"}, {line: "ls", out: "bad.gz\nf.gz\nodd\n"}, {line: "gzip f.gz", code: 1, err: "ends in .gz already"}, {line: "gunzip -k f.gz"}, {line: "ls", out: "bad.gz\nf\nf.gz\nodd\n"},
		{line: "gunzip f.gz", code: 1, err: "file exists"}, {line: "gunzip odd", code: 1, err: "does not end in .gz"}, {line: "gzip -t f.gz"},
		// What fails leaves the original and nothing else.
		{line: "gunzip bad.gz", code: 1, err: "bad.gz"}, {line: "ls", out: "bad.gz\nf\nf.gz\nodd\n"}, {line: "gzip -t bad.gz", code: 1, err: "bad.gz"},
	})
	if read(t, dir, "f") != strings.Repeat("text ", 1000) {
		t.Error("it is not the same")
	}
	packed := run(t, dir, "hello", "gzip -9").out
	r, err := gzip.NewReader(bytes.NewReader([]byte(packed)))
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if got := run(t, dir, packed, "zcat"); got.out != "hello" || got.code != 0 {
		t.Errorf("%+v", got)
	}
}

func TestDD(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"in": "0123456789abcdef", "out": "XXXXXXXXXXXXXXXXXXXX"})
	runSteps(t, dir, []step{
		{line: "dd if=in bs=4 count=2 skip=1 status=none", out: "456789ab"},
		{line: "dd if=in of=out bs=4 count=1 seek=2 conv=notrunc status=none"}, {line: "cat out", out: "XXXXXXXX0123XXXXXXXX"},
		{line: "dd if=in of=new bs=5 status=noxfer", err: "3+1 records in\n3+1 records out"}, {line: "cat new", out: "0123456789abcdef"},
		{line: "dd if=in skip=10B count=3B status=none", out: "abc"}, {line: "dd bs=3 conv=sync status=none", stdin: "abcd", out: "abcd\x00\x00"},
		{line: "dd if=in ibs=4 obs=8 of=n2 status=noxfer", err: "4+0 records in\n2+0 records out"}, {line: "dd if=in of=new conv=excl", code: 1, err: "file exists"},
		{line: "dd if=gone", code: 1, err: "gone: no such file"}, {line: "dd of=gone conv=nocreat", code: 1, err: "gone: no such file"}, {line: "dd bs=0", code: 1, err: "from 1 byte"}, {line: "dd bs=1Q", code: 1, err: "usage"},
		{line: "dd foo=1", code: 1, err: "not known"}, {line: "dd x", code: 1, err: "NAME=VALUE"}, {line: "dd conv=nope", code: 1, err: "notrunc"}, {line: "dd skip=9223372036854775806", code: 1, err: "is no number of bytes"},
	})
	write(t, dir, map[string]string{"zero": strings.Repeat("\x00", 1<<20)})
	if got := run(t, dir, "", "dd if=zero of=sparse bs=64K conv=sparse status=none"); got.code != 0 || len(read(t, dir, "sparse")) != 1<<20 {
		t.Errorf("%+v", got)
	}
	if got := run(t, dir, "", "dd if=/dev/full of=x bs=1 count=1 status=none"); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if got := run(t, dir, "", "dd if=in of=/dev/full bs=4"); got.code != 1 || !strings.Contains(got.err, "no space left on device") || !strings.Contains(got.err, "1+0 records in") {
		t.Errorf("%+v", got)
	}
}

func FuzzDD(f *testing.F) {
	f.Add("if=a of=b bs=4k count=3 conv=notrunc,sync iflag=fullblock")
	f.Fuzz(func(t *testing.T, line string) {
		p, err := parseCopyPlan(strings.Split(line, " "))
		if err == nil && (p.inSize < 1 || p.outSize < 1 || p.skip < 0 || p.seek < 0 || p.count < 0) {
			t.Errorf("%q: %+v", line, p)
		}
	})
}
