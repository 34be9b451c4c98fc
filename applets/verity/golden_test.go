package verity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// golden is testdata/golden.json: what veritysetup 2.8.8 did with data that is
// generated. It was recorded once; the guest tests run the real program.
type golden struct {
	Cases []struct {
		ID           string
		Data         generated
		Prefill      map[string]generated
		Layout       string // "separate": data.img, "same": image.img
		Argv         []string
		FormatExit   int    `json:"format_exit"`
		FormatStdout string `json:"format_stdout"`
		FormatStderr string `json:"format_stderr"`
		RootHash     string `json:"root_hash"`
		Files        map[string]struct {
			Size   int64
			SHA256 string
		}
		Dump, Verify *goldenRun
	}
	Behaviour []struct {
		ID             string
		Prepare        []string
		Mutate         string
		Argv           []string
		Exit           int
		Stdout, Stderr string
		FilesAfter     []string `json:"files_after"`
	}
}

type goldenRun struct {
	Argv           []string
	Exit           int
	Stdout, Stderr string
}

type generated struct {
	Seed string
	Size int64
	Zero [][2]int64
}

func (g generated) bytes() []byte {
	var b []byte
	for i := uint64(0); int64(len(b)) < g.Size; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(g.Seed), i))
		b = append(b, sum[:]...)
	}
	b = b[:g.Size]
	for _, area := range g.Zero {
		clear(b[area[0] : area[0]+area[1]])
	}
	return b
}

func readGolden(t *testing.T) golden {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// outcome is what a call of the applet left.
type outcome struct {
	exit           int
	stdout, stderr string
}

// call runs the applet in the current folder.
func call(workers int, arguments ...string) outcome {
	var stdout, stderr bytes.Buffer
	s := &session{stdout: &stdout, stderr: &stderr, workers: workers}
	exit := s.run(context.Background(), append([]string{"veritysetup"}, arguments...))
	return outcome{exit, stdout.String(), stderr.String()}
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// missingHashes: Go has no implementation of these.
var missingHashes = []string{"hash-sm3", "hash-whirlpool"}

// laterInTheFile: the original fails to read what lies between the tree and the error
// correction area when the file does not reach that far yet. Ours makes it longer first.
var laterInTheFile = []string{"fec-on-hash", "fec-all-same-gap"}

func TestGoldenFormats(t *testing.T) {
	g := readGolden(t)
	if len(g.Cases) != 65 {
		t.Fatalf("%d cases", len(g.Cases))
	}
	counts := []int{1, 2, 7}
	if testing.Short() {
		counts = counts[1:2] // an emulated processor takes its time
	}
	for _, c := range g.Cases {
		for _, workers := range counts {
			t.Run(c.ID+"/"+strconv.Itoa(workers), func(t *testing.T) {
				t.Chdir(t.TempDir())
				image := "data.img"
				if c.Layout == "same" {
					image = "image.img"
				}
				writeFile(t, image, c.Data.bytes())
				for name, content := range c.Prefill {
					writeFile(t, name, content.bytes())
				}
				got := call(workers, append([]string{"--root-hash-file=root.txt"}, c.Argv...)...)
				if slices.Contains(missingHashes, c.ID) {
					want := "Hash algorithm " + strings.TrimPrefix(c.ID, "hash-") + " not supported.\n"
					if got != (outcome{1, "", want}) {
						t.Errorf("got %+v", got)
					}
					return
				}
				if slices.Contains(laterInTheFile, c.ID) {
					checkGap(t, got, c.Argv, image)
					return
				}
				if want := (outcome{c.FormatExit, c.FormatStdout, c.FormatStderr}); got != want {
					t.Errorf("format: got  %+v\nwant %+v", got, want)
				}
				for name, want := range c.Files {
					content := readFile(t, name)
					sum := sha256.Sum256(content)
					if int64(len(content)) != want.Size || hex.EncodeToString(sum[:]) != want.SHA256 {
						t.Errorf("%s: %d bytes, want %d, or other content", name, len(content), want.Size)
					}
				}
				if c.FormatExit == 0 && string(readFile(t, "root.txt")) != c.RootHash {
					t.Errorf("root hash file: %q", readFile(t, "root.txt"))
				}
				for what, run := range map[string]*goldenRun{"dump": c.Dump, "verify": c.Verify} {
					if run == nil {
						continue
					}
					if got, want := call(workers, run.Argv...), (outcome{run.Exit, run.Stdout, run.Stderr}); got != want {
						t.Errorf("%s: got  %+v\nwant %+v", what, got, want)
					}
				}
			})
		}
	}
}

// checkGap formats again with a file that was long enough from the start, as the
// original can: the result must be the same.
func checkGap(t *testing.T, got outcome, argv []string, image string) {
	t.Helper()
	if got.exit != 0 || got.stderr != "" {
		t.Fatalf("got %+v", got)
	}
	target := argv[len(argv)-1]
	first := readFile(t, target)
	long := make([]byte, len(first))
	if target == image {
		// The data, and nothing of what the first format wrote.
		offset := int64(1 << 20)
		copy(long, first[:offset])
	}
	writeFile(t, target, long)
	if again := call(1, append([]string{"--root-hash-file=root.txt"}, argv...)...); again != got {
		t.Errorf("again: %+v", again)
	}
	if !bytes.Equal(first, readFile(t, target)) {
		t.Error("the file has other content when it was long enough before")
	}
	var options []string
	for _, word := range argv {
		if strings.HasPrefix(word, "--fec") || strings.HasPrefix(word, "--hash-offset") {
			options = append(options, word)
		}
	}
	verify := append(options, "--root-hash-file=root.txt", "verify", argv[len(argv)-2], target)
	if verified := call(1, verify...); verified != (outcome{}) {
		t.Errorf("verify: %+v", verified)
	}
}

// better is where ours does another thing than the original, on purpose: docs say why.
var better = map[string]outcome{
	"verify-root-file-missing": {1, "", "Cannot read root hash file /nonexistent.\n"},
	"verify-blocks-zero": {1, "", "Unsupported number of VERITY data blocks 0.\n" +
		"Device hash.img is not a valid VERITY device.\n"},
	"verify-hash-short": {2, "", "Device hash.img is too short: it has 8192 bytes, and the block at byte 8192 is missing.\n" +
		"Verification failed at position 0.\nVerification of data area failed.\n"},
	"batch-mode":              {0, "", ""},
	"format-salt257":          {1, "", "Salt of 257 bytes is too long, at most 256.\n"},
	"format-fec-hash-overlap": {1, "", "Hash area overlaps with FEC area.\n"},
	"fec-verify-one-block-bad": {2, "", "Verification failed at position 20480.\nVerification of data area failed.\n" +
		"Found 4080 repairable errors with FEC device.\nThe data on disk does not verify; it does once corrected.\n"},
	"fec-verify-two-blocks-bad": {2, "", "Verification failed at position 20480.\nVerification of data area failed.\n" +
		"Found 2 bad blocks that the FEC device restores with the help of the hashes.\n" +
		"The data on disk does not verify; it does once corrected.\n"},
	"fec-verify-fec-bad": {0, "", "The data verifies, but FEC device fec.img is damaged.\n"},
}

func TestGoldenBehaviour(t *testing.T) {
	g := readGolden(t)
	if len(g.Behaviour) != 57 {
		t.Fatalf("%d cases", len(g.Behaviour))
	}
	data := generated{Seed: "verity-golden/errors", Size: 614400}.bytes()
	for _, b := range g.Behaviour {
		t.Run(b.ID, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writeFile(t, "data.img", data)
			if b.Prepare != nil {
				if prepared := call(2, b.Prepare...); prepared.exit != 0 {
					t.Fatalf("prepare: %+v", prepared)
				}
			}
			mutate(t, b.Mutate)
			before := listFiles(t)
			got := call(2, b.Argv...)
			if i := strings.Index(got.stderr, "Usage: "); i == 0 {
				last := strings.LastIndex(strings.TrimSuffix(got.stderr, "\n"), "\n")
				got.stderr = "<usage on stderr>" + got.stderr[last:]
			}
			want, deviates := better[b.ID]
			if !deviates {
				want = outcome{b.Exit, b.Stdout, b.Stderr}
			}
			// Long outputs were recorded in part.
			if start, cut := strings.CutSuffix(want.stdout, "..."); cut && strings.HasPrefix(got.stdout, start) {
				got.stdout = want.stdout
			}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			files := b.FilesAfter
			if got.exit != 0 && b.Prepare == nil {
				// The original leaves what it made.
				files = before
			}
			if left := listFiles(t); !slices.Equal(left, files) {
				t.Errorf("files %v, want %v", left, files)
			}
		})
	}
}

func listFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// overwrite puts bytes into a file.
func overwrite(t *testing.T, name string, offset int64, content []byte) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(content, offset); err != nil {
		t.Fatal(err)
	}
}

var overwritten = regexp.MustCompile(`^overwrite (\S+) at (\d+) with ff ff`)

// mutate does what the golden file describes in words.
func mutate(t *testing.T, what string) {
	t.Helper()
	if m := overwritten.FindStringSubmatch(what); m != nil {
		offset, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		overwrite(t, m[1], offset, []byte{0xff, 0xff})
		return
	}
	known := map[string]func(){
		"":                                      func() {},
		"nl.txt = root hash plus newline":       func() { writeFile(t, "nl.txt", append(readFile(t, "root.txt"), '\n')) },
		"hash.img byte 0 = x":                   func() { overwrite(t, "hash.img", 0, []byte("x")) },
		"superblock version = 2":                func() { overwrite(t, "hash.img", 8, []byte{2}) },
		"data block size = 768":                 func() { overwrite(t, "hash.img", 64, []byte{0, 3}) },
		"algorithm nosuchhash":                  func() { overwrite(t, "hash.img", 32, fmt.Appendf(nil, "%s\x00", "nosuchhash")) },
		"data blocks = 65535":                   func() { overwrite(t, "hash.img", 72, []byte{0xff, 0xff}) },
		"data blocks = 0":                       func() { overwrite(t, "hash.img", 72, make([]byte, 8)) },
		"e.img is empty":                        func() { writeFile(t, "e.img", nil) },
		"data.img block 5 zeroed":               func() { overwrite(t, "data.img", 5*4096, make([]byte, 4096)) },
		"hash.img truncated to 8192":            func() { truncate(t, "hash.img", 8192) },
		"hash.img truncated to 100":             func() { truncate(t, "hash.img", 100) },
		"fec.img first block zeroed, data fine": func() { overwrite(t, "fec.img", 0, make([]byte, 4096)) },
		"data.img blocks 5,6 zeroed (both in the same RS words)": func() { overwrite(t, "data.img", 5*4096, make([]byte, 8192)) },
	}
	change, ok := known[what]
	if !ok {
		t.Fatalf("unknown change %q", what)
	}
	change()
}

func truncate(t *testing.T, name string, size int64) {
	t.Helper()
	if err := os.Truncate(filepath.Clean(name), size); err != nil {
		t.Fatal(err)
	}
}
