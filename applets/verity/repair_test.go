package verity

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// protected makes a folder with data.img, hash.img, fec.img and root.txt, and goes there. It
// returns the arguments that verify it and the content of the files.
func protected(t *testing.T, roots string) (verify []string, good map[string][]byte) {
	t.Helper()
	t.Chdir(t.TempDir())
	data := generated{Seed: "repair", Size: 3 << 20}.bytes()
	writeFile(t, "data.img", data)
	options := []string{"--fec-device=fec.img", "--fec-roots=" + roots, "--root-hash-file=root.txt"}
	if made := call(2, append(options, "--salt=ab", "format", "data.img", "hash.img")...); made.exit != 0 {
		t.Fatalf("format: %+v", made)
	}
	good = map[string][]byte{}
	for _, name := range []string{"data.img", "hash.img", "fec.img"} {
		good[name] = readFile(t, name)
	}
	return append(options, "verify", "data.img", "hash.img"), good
}

func wantFiles(t *testing.T, good map[string][]byte) {
	t.Helper()
	for name, content := range good {
		if !bytes.Equal(readFile(t, name), content) {
			t.Errorf("%s has other content", name)
		}
	}
}

func TestRepairInPlace(t *testing.T) {
	// 768 data blocks; on the hash device the superblock, the top, 6 leaves.
	for name, damage := range map[string]func(t *testing.T){
		"data block": func(t *testing.T) { overwrite(t, "data.img", 5*4096+3, []byte("damage")) },
		"two in a column": func(t *testing.T) {
			overwrite(t, "data.img", 0, make([]byte, 4096))
			overwrite(t, "data.img", 4*4096, make([]byte, 4096))
		},
		"first and last": func(t *testing.T) {
			overwrite(t, "data.img", 0, []byte{1, 2})
			overwrite(t, "data.img", 3<<20-2, []byte{1, 2})
		},
		"leaf": func(t *testing.T) { overwrite(t, "hash.img", 3*4096, make([]byte, 4096)) },
		"top":  func(t *testing.T) { overwrite(t, "hash.img", 4096, make([]byte, 4096)) },
		"top, a leaf and data": func(t *testing.T) {
			overwrite(t, "hash.img", 4096+32, []byte("damage"))
			overwrite(t, "hash.img", 2*4096+64, []byte("damage"))
			overwrite(t, "data.img", 700*4096, []byte("damage"))
		},
		"data and FEC": func(t *testing.T) {
			overwrite(t, "data.img", 9*4096, []byte("damage"))
			overwrite(t, "fec.img", 100, []byte("damage"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			verify, good := protected(t, "4")
			damage(t)
			damaged := map[string][]byte{}
			for name := range good {
				damaged[name] = readFile(t, name)
			}
			got := call(2, verify...)
			if got.exit != exitPermission || !strings.Contains(got.stderr, "it does once corrected") {
				t.Fatalf("verify: %+v", got)
			}
			wantFiles(t, damaged)

			got = call(2, append([]string{"--repair"}, verify...)...)
			if got.exit != 0 {
				t.Fatalf("repair: %+v", got)
			}
			wantFiles(t, map[string][]byte{"data.img": good["data.img"], "hash.img": good["hash.img"]})
			// What is left may be the parity, which a second repair makes anew.
			if got := call(2, append([]string{"--repair"}, verify...)...); got.exit != 0 {
				t.Errorf("second repair: %+v", got)
			}
			wantFiles(t, good)
			if got := call(2, verify...); got != (outcome{}) {
				t.Errorf("verify at the end: %+v", got)
			}
		})
	}
}

func TestRepairIntoACopy(t *testing.T) {
	verify, good := protected(t, "2")
	overwrite(t, "data.img", 100*4096, make([]byte, 4096))
	damaged := readFile(t, "data.img")
	if got := call(2, append([]string{"--repair-to=copy.img"}, verify...)...); got.exit != 0 {
		t.Fatalf("got %+v", got)
	}
	wantFiles(t, map[string][]byte{"copy.img": good["data.img"], "data.img": damaged, "hash.img": good["hash.img"]})
	// It overwrites nothing.
	got := call(2, append([]string{"--repair-to=copy.img"}, verify...)...)
	if got.exit == 0 || !strings.Contains(got.stderr, "Cannot create file copy.img") {
		t.Errorf("over a file: %+v", got)
	}
	wantFiles(t, map[string][]byte{"copy.img": good["data.img"]})
}

func TestWhatCannotBeRepairedStays(t *testing.T) {
	verify, _ := protected(t, "2")
	// Four blocks of one column, two roots.
	for block := range int64(4) {
		overwrite(t, "data.img", block*4*4096, []byte("damage"))
	}
	before := map[string][]byte{"data.img": readFile(t, "data.img"), "hash.img": readFile(t, "hash.img"), "fec.img": readFile(t, "fec.img")}
	for _, option := range []string{"--repair", "--repair-to=copy.img"} {
		got := call(2, append([]string{option}, verify...)...)
		if got.exit != exitPermission || !strings.HasSuffix(got.stderr, "Errors cannot be repaired with FEC device.\n") {
			t.Errorf("%s: %+v", option, got)
		}
	}
	wantFiles(t, before)
	if _, err := os.Stat("copy.img"); err == nil {
		t.Error("a copy was made")
	}
	// A wrong root hash is nothing to repair.
	got := call(2, "--fec-device=fec.img", "--repair", "verify", "data.img", "hash.img", strings.Repeat("0", 64))
	if got.exit != exitPermission {
		t.Errorf("wrong root hash: %+v", got)
	}
	wantFiles(t, before)
}

// TestShortParity: good data is good whatever its parity is, which is told.
func TestShortParity(t *testing.T) {
	verify, good := protected(t, "2")
	for _, size := range []int64{0, 100, int64(len(good["fec.img"])) - 1} {
		truncate(t, "fec.img", size)
		if got := call(2, verify...); got != (outcome{0, "", "The data verifies, but FEC device fec.img is damaged.\n"}) {
			t.Errorf("%d bytes: %+v", size, got)
		}
	}
	if got := call(2, append([]string{"--repair"}, verify...)...); got.exit != 0 {
		t.Errorf("%+v", got)
	}
	wantFiles(t, good)
}

func TestBadBlocksAreListed(t *testing.T) {
	verify, _ := protected(t, "2")
	verify = append(verify, "--max-bad=2")
	verify[0] = "--debug" // no error correction
	verify[1] = "--hash-offset=0"
	for _, block := range []int64{9, 3, 500} {
		overwrite(t, "data.img", block*4096, []byte("damage"))
	}
	got := call(2, verify...)
	want := "bad: data block 3, bytes 12288 to 16383: does not match its digest\n" +
		"bad: data block 9, bytes 36864 to 40959: does not match its digest\n" +
		"bad: and 1 more\n" +
		"Verification failed at position 12288.\nVerification of data area failed.\n"
	if got.exit != exitPermission || got.stderr != want {
		t.Errorf("got %+v", got)
	}
}

func TestVerifyJSON(t *testing.T) {
	verify, _ := protected(t, "2")
	var object verifyObject
	read := func(got outcome, exit int) {
		t.Helper()
		object = verifyObject{}
		if err := json.Unmarshal([]byte(got.stdout), &object); err != nil || got.exit != exit {
			t.Fatalf("%v: %+v", err, got)
		}
	}
	read(call(2, append([]string{"--json"}, verify...)...), 0)
	if !object.Verified || !object.RootMatches || !object.Complete || object.BadBlocks != 0 || object.RootHash != string(readFile(t, "root.txt")) {
		t.Errorf("%+v", object)
	}
	overwrite(t, "data.img", 9*4096, []byte("damage"))
	read(call(2, append([]string{"--json"}, verify...)...), exitPermission)
	if object.Verified || object.BadBlocks != 1 || !object.Repairable || object.Repaired ||
		len(object.Bad) != 1 || object.Bad[0] != (badObject{"mismatch", "data", -1, 9, 36864, 4096, ""}) {
		t.Errorf("%+v", object)
	}
	truncate(t, "data.img", 1<<20)
	read(call(2, append([]string{"--json"}, verify...)...), exitPermission)
	if object.Complete || object.Bad[len(object.Bad)-1].Kind != "unreadable" || object.Bad[len(object.Bad)-1].Error == "" {
		t.Errorf("%+v", object)
	}
}

func TestDumpJSON(t *testing.T) {
	protected(t, "2")
	got := call(1, "--json", "--fec-device=fec.img", "dump", "hash.img")
	var object treeObject
	if err := json.Unmarshal([]byte(got.stdout), &object); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	uuid := object.UUID
	object.UUID = ""
	want := treeObject{Device: "hash.img", HashType: 1, Algorithm: "sha256", DataBlocks: 768, DataBlockSize: 4096,
		HashBlocks: 7, HashBlockSize: 4096, TreeOffset: 4096, Levels: 2, Salt: "ab"}
	if object.FEC == nil || *object.FEC != (fecObject{"fec.img", 0, 2, 8}) || len(uuid) != 36 {
		t.Errorf("%+v, %+v", object, object.FEC)
	}
	if object.FEC = nil; object != want {
		t.Errorf("%+v", object)
	}
}
