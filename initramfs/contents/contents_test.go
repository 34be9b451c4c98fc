package contents

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The files in testdata were packed by GNU cpio, gzip, xz, zstd, lz4 and bzip2 from the two trees below.
const (
	mainTree = `100644 big 70000
40755 bin 0
100755 bin/hello 6 hello
120777 bin/link 5 -> hello
40755 dev 0
20644 dev/console 0 5:1
`
	earlyTree = `40755 kernel 0
40755 kernel/x86 0
40755 kernel/x86/microcode 0
100644 kernel/x86/microcode/GenuineIntel.bin 9 microcode
`
)

// listOf writes what an image holds, a line for an entry.
func listOf(image []byte) (string, []Part, error) {
	var b strings.Builder
	parts, err := Walk(bytes.NewReader(image), int64(len(image)), func(e Entry, content io.Reader) error {
		fmt.Fprintf(&b, "%o %s %d", e.Mode, e.Name, e.Size)
		switch e.Mode & modeType {
		case modeLink:
			fmt.Fprintf(&b, " -> %s", e.Target)
		case 0o020000:
			fmt.Fprintf(&b, " %d:%d", e.DeviceMajor, e.DeviceMinor)
		case modeFile:
			text, err := io.ReadAll(content)
			if err != nil {
				return err
			}
			if e.Size < 100 {
				fmt.Fprintf(&b, " %s", bytes.TrimSpace(text))
			} else if want := bytes.Repeat([]byte("x"), 70000); !bytes.Equal(text, want) {
				return fmt.Errorf("%s has the wrong content: %x", e.Name, sha256.Sum256(text))
			}
		}
		b.WriteByte('\n')
		return nil
	})
	return b.String(), parts, err
}

func image(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name+".img"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestWalk(t *testing.T) {
	for _, test := range []struct {
		name, list string
		parts      string
	}{
		{"gzip", mainTree, "gzip@0:6"},
		{"xz", mainTree, "xz@0:6"},
		{"xz-crc64-blocks", mainTree, "xz@0:6"},
		{"xz-sha256", mainTree, "xz@0:6"},
		{"zstd", mainTree, "zstd@0:6"},
		{"lz4", mainTree, "lz4@0:6"},
		{"bzip2", mainTree, "bzip2@0:6"},
		{"lzma", mainTree, "lzma@0:6"},
		{"microcode-zstd", earlyTree + mainTree, "none@0:4 zstd@1024:6"},
		{"many", earlyTree + earlyTree + mainTree + earlyTree + earlyTree, "none@0:4 gzip@1024:4 xz@1188:6 zstd@1488:4 lz4@1650:4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			content := image(t, test.name)
			got, parts, err := listOf(content)
			if err != nil {
				t.Fatal(err)
			}
			if got != test.list {
				t.Errorf("it holds\n%swant\n%s", got, test.list)
			}
			var words []string
			for i, p := range parts {
				words = append(words, fmt.Sprintf("%s@%d:%d", p.Compression, p.Offset, p.Entries))
				end := int64(len(content))
				if i+1 < len(parts) {
					end = parts[i+1].Offset
				}
				if zeros := bytes.Trim(content[p.Offset+p.Size:end], "\x00"); len(zeros) > 0 {
					t.Errorf("part %d has %d bytes, then come %q", i, p.Size, zeros)
				}
			}
			if list := strings.Join(words, " "); list != test.parts {
				t.Errorf("parts %q, want %q", list, test.parts)
			}
		})
	}
}

// TestPlainArchivesInARow: two archives without a compression are two parts, and one that lacks its end mark ends where
// the next part begins.
func TestPlainArchivesInARow(t *testing.T) {
	early := image(t, "microcode-zstd")[:1024]
	got, parts, err := listOf(append(bytes.Clone(early), early...))
	if err != nil || got != earlyTree+earlyTree || len(parts) != 2 || parts[1].Offset != 1024 {
		t.Errorf("%q, %+v, %v", got, parts, err)
	}
	end := bytes.Index(early, []byte(trailer)) - headerSize
	got, parts, err = listOf(append(bytes.Clone(early[:end]), image(t, "zstd")...))
	if err != nil || got != earlyTree+mainTree || len(parts) != 2 || parts[0].Size != int64(end) {
		t.Errorf("%q, %+v, %v", got, parts, err)
	}
}

// header gives an entry's head.
func header(name string, mode, size, nameLength int) string {
	return fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, nameLength, 0, name)
}

func TestWalkRefuses(t *testing.T) {
	zstdImage, gzipImage, xzImage := image(t, "zstd"), image(t, "gzip"), image(t, "xz")
	change := func(content []byte, at int, b byte) string {
		content = bytes.Clone(content)
		content[at] ^= b
		return string(content)
	}
	for _, test := range []struct{ name, content, want string }{
		{"empty", "", "nothing but zeros"},
		{"zeros", "\x00\x00\x00", "nothing but zeros"},
		{"a program", "\x7fELF\x02\x01\x01", `it is no initramfs: it begins with "\x7fELF\x02\x01"`},
		{"the old cpio", "070707000000", "it is no initramfs"},
		{"one byte", "0", "it is no initramfs"},
		{"half a header", "0707010000", "part 1 (cpio at byte 0): it ends too early"},
		{"no number", header("x", modeFile, 0, 2)[:6] + "0000000g" + header("x", modeFile, 0, 2)[14:], `"0000000g" is no number`},
		{"no name", header("", modeFile, 0, 0), "a name of 0 bytes"},
		{"empty name", header("", modeFile, 0, 1) + "\x00", "an empty name"},
		{"long name", header("", modeFile, 0, 4097), "a name of 4097 bytes"},
		{"huge name", header("x", modeFile, 0, 0xffffffff), "a name of 4294967295 bytes"},
		{"name that ends", header("x", modeFile, 0, 4096), "ends too early"},
		{"content that ends", header("x", modeFile, 0xffffffff, 2) + "abc", "ends too early"},
		{"empty link", header("x", modeLink, 0, 2) + "\x00", `"x" is a link with a target of 0 bytes`},
		{"long link", header("x", modeLink, 4096, 2) + "\x00", "a target of 4096 bytes"},
		{"no multiple of 4", "\x00" + header("x", modeFile, 0, 2), "byte 1, which is no multiple of 4"},
		{"junk behind", string(gzipImage) + "junk", "is behind part 1 and begins neither"},
		{"lz4 frame", string(image(t, "lz4-frame")), "which no kernel unpacks"},
		{"lzo", "\x89LZO\x00\r\n", "lzo is not read here"},
		{"zstd cut", string(zstdImage[:len(zstdImage)-5]), "part 1 (zstd at byte 0): it ends too early"},
		{"zstd changed", change(zstdImage, 60, 1), "part 1 (zstd at byte 0): "},
		{"zstd window", "\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00", "part 1 (zstd at byte 0): window size exceeded"},
		{"gzip cut", string(gzipImage[:len(gzipImage)-3]), "ends too early"},
		{"gzip checksum", change(gzipImage, len(gzipImage)-6, 1), "part 1 (gzip at byte 0): gzip: invalid checksum"},
		{"xz cut", string(xzImage[:len(xzImage)-3]), "ends too early"},
		{"xz header", change(xzImage, 7, 1), "the stream's header is damaged"},
		{"xz block header", change(xzImage, 14, 1), "a block's header is damaged"},
		{"xz checksum", change(xzImage, len(xzImage)-24, 1), "part 1 (xz at byte 0): "},
		{"xz end", change(xzImage, len(xzImage)-1, 1), "does not end with YZ"},
		{"junk in a stream", gzipOf("070701"), "ends too early"},
		{"more in a stream", gzipOf(header(trailer, 0, 0, 11) + "\x00\x00\x00junk"), "ends too early"},
		{"more header in a stream", gzipOf(header(trailer, 0, 0, 11) + strings.Repeat("junk", 40)), "no cpio header"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := listOf([]byte(test.content))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
		})
	}
}

// TestHugeDictionaryIsRefused asks for 4 GiB.
func TestHugeDictionaryIsRefused(t *testing.T) {
	if _, err := dictionaryOf([]byte{0, 0x21, 1, 40}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		size byte
		want uint64
	}{{0, 4096}, {1, 6144}, {22, 8 << 20}, {28, 64 << 20}, {30, maxWindow}, {40, 1<<32 - 1}} {
		if got, err := dictionaryOf([]byte{0, 0x21, 1, test.size}); err != nil || got != test.want {
			t.Errorf("%d: %d, %v", test.size, got, err)
		}
	}
	if bound("dictionary", maxWindow) != nil || bound("dictionary", maxWindow+1) == nil {
		t.Error("the bound is not where it ought to be")
	}
}

func TestErrorsOfTheCallerComeBack(t *testing.T) {
	content := image(t, "gzip")
	own := errors.New("own")
	_, err := Walk(bytes.NewReader(content), int64(len(content)), func(Entry, io.Reader) error { return own })
	if err != own {
		t.Errorf("got %v", err)
	}
}
