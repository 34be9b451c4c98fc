//go:build guest

package verity

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/devmapper"
)

// damaged is an image of 600 blocks with three levels: with hash blocks of 512 bytes and sha256, 16
// digests fit a block, so that there are 38 leaf blocks, 3 above them, and the top block. On the hash device
// the top is block 1, the next level from 2 on, the leaves from 5 on.
func damaged(t *testing.T, options ...string) tree {
	t.Helper()
	return format(t, 600*512, append([]string{"--data-block-size=512", "--hash-block-size=512", "--salt=01"}, options...)...)
}

// TestOpenMeetsDamage damages one thing after another. What is not read when a device is opened - block 77, its
// leaf - is for the kernel to find later.
func TestOpenMeetsDamage(t *testing.T) {
	good := damaged(t)
	for name, test := range map[string]struct {
		file string
		at   int64
		want string // on stderr; "" for a device that opens
	}{
		"superblock, magic":       {"hash", 0, "is not a valid VERITY device."},
		"superblock, version":     {"hash", 8, "Unsupported VERITY version"},
		"superblock, hash type":   {"hash", 12, "Unsupported VERITY hash type"},
		"superblock, algorithm":   {"hash", 33, "Hash algorithm"},
		"superblock, block size":  {"hash", 64, "Unsupported VERITY block size."},
		"superblock, data blocks": {"hash", 73, "Device " + good.path("data") + " is too small."},
		"superblock, salt":        {"hash", 88, "the top hash block does not match the root hash"},
		"superblock, salt size":   {"hash", 81, "VERITY header corrupted."},
		"superblock, UUID":        {"hash", 16, ""},
		"top level":               {"hash", 512 + 5, "the top hash block does not match the root hash"},
		"next level":              {"hash", 2*512 + 5, "hash block 2 (level 1) does not match its parent (byte 1024)"},
		"next level, last block":  {"hash", 4*512 + 5, "hash block 4 (level 1) does not match its parent (byte 2048)"},
		"first leaf":              {"hash", 5*512 + 5, "hash block 5 (level 0) does not match its parent (byte 2560)"},
		"last leaf":               {"hash", 42*512 + 5, "hash block 42 (level 0) does not match its parent (byte 21504)"},
		"another leaf":            {"hash", 9*512 + 5, ""},
		"first data block":        {"data", 17, "data block 0 does not match the hash tree (byte 0)"},
		"middle data block":       {"data", 300 * 512, "data block 300 does not match the hash tree (byte 153600)"},
		"last data block":         {"data", 599*512 + 511, "data block 599 does not match the hash tree (byte 306688)"},
		"another data block":      {"data", 77 * 512, ""},
	} {
		t.Run(name, func(t *testing.T) {
			good.damage(t, test.file, test.at)
			defer good.damage(t, test.file, test.at) // the byte's bits are turned back
			closeAtEnd(t, "damaged")
			arguments := []string{"open", "--panic-on-corruption", good.path("data"), "damaged", good.path("hash"), good.root}
			a := ours(t, arguments...)
			if test.want != "" {
				if !strings.Contains(a.stderr, test.want) || a.code == 0 || a.stdout != "" {
					t.Errorf("%+v, want %q", a, test.want)
				}
				if code := exitCodeFor(test.want); a.code != code {
					t.Errorf("exit code %d, want %d", a.code, code)
				}
			} else {
				a.want(t, "open")
				ours(t, "close", "damaged").want(t, "close")
			}
			wantNothingLeft(t)
		})
	}
}

// exitCodeFor: what does not verify is 2, what cannot be used is 1.
func exitCodeFor(message string) int {
	if strings.Contains(message, "does not match") {
		return exitPermission
	}
	return exitParameters
}

// TestOpenNeverTakesAWrongRootHash tries every way to open with one.
func TestOpenNeverTakesAWrongRootHash(t *testing.T) {
	i := damaged(t, "--fec-device=@fec")
	single := format(t, 4096, "--fec-device=@fec")
	wrong := strings.Repeat("00", 32)
	for _, options := range []string{
		"", "--no-probe", "--panic-on-corruption", "--restart-on-corruption --error-as-corruption", "--ignore-corruption",
		"--ignore-corruption --no-probe", "--check-at-most-once --ignore-zero-blocks",
		"--fec-device=@fec", "--fec-device=@fec --no-probe", "--fec-device=@fec --panic-on-corruption --error-as-corruption",
		"--fec-device=@fec --restart-on-corruption --no-probe",
	} {
		for _, image := range []tree{i, single} {
			arguments := append([]string{"open"}, strings.Fields(strings.ReplaceAll(options, "@", image.folder+"/"))...)
			a := ours(t, append(arguments, image.path("data"), "wrong", image.path("hash"), wrong)...)
			if a.code != exitPermission || !strings.Contains(a.stderr, "does not match the root hash (") || a.stdout != "" {
				t.Errorf("%s: %+v", options, a)
			}
			wantNothingLeft(t)
		}
	}
}

// TestOpenWithoutLooking skips what is read otherwise, but for the root hash.
func TestOpenWithoutLooking(t *testing.T) {
	i := damaged(t)
	i.damage(t, "data", 0)
	closeAtEnd(t, "unread")
	ours(t, "open", "--no-probe", "--panic-on-corruption", i.path("data"), "unread", i.path("hash"), i.root).want(t, "open")
	ours(t, "close", "unread").want(t, "close")
	// Damage that does not matter is told all the same.
	a := ours(t, "open", "--ignore-corruption", i.path("data"), "unread", i.path("hash"), i.root)
	if a.code != 0 || !strings.HasPrefix(a.stderr, "WARNING: data block 0 does not match the hash tree (byte 0).\n") ||
		!strings.HasSuffix(a.stderr, "Verity device detected corruption after activation.\n") {
		t.Errorf("%+v", a)
	}
	if own, other := ours(t, "status", "unread"), theirs(t, "status", "unread"); own != other || !strings.Contains(own.stdout, "corrupted") {
		t.Errorf("ours %+v\ntheirs %+v", own, other)
	}
	if a := ours(t, "status", "--check", "unread"); a.code != exitPermission || a.stderr != "Device unread is corrupted.\n" {
		t.Errorf("%+v", a)
	}
	theirs(t, "close", "unread").want(t, "close")
	wantNothingLeft(t)
}

// TestTheKernelCorrects damages what is read at the start, and has the kernel mend it.
func TestTheKernelCorrects(t *testing.T) {
	for name, test := range map[string]struct {
		file      string
		at        int64
		options   string
		corrupted bool // Linux says so of hash blocks that it corrected
	}{
		"top block":         {"hash", 4096 + 5, "", true},
		"leaf":              {"hash", 2*4096 + 5, "", true},
		"first data block":  {"data", 100, "", false},
		"with panic":        {"data", 100, "--panic-on-corruption --error-as-corruption", false},
		"superblock's tail": {"hash", 400, "", false},
		"parity":            {"fec", 100, "--restart-on-corruption", false},
	} {
		t.Run(name, func(t *testing.T) {
			i := format(t, 200*4096, "--salt=01", "--fec-device=@fec", "--fec-roots=4")
			content, err := os.ReadFile(i.path("data"))
			if err != nil {
				t.Fatal(err)
			}
			i.damage(t, test.file, test.at)
			closeAtEnd(t, "mended")
			arguments := append([]string{"open", "--fec-device=" + i.path("fec"), "--fec-roots=4"}, strings.Fields(test.options)...)
			a := ours(t, append(arguments, i.path("data"), "mended", i.path("hash"), i.root)...)
			const message = "Verity device detected corruption after activation.\n"
			if a.code != 0 || a.stdout != "" || strings.HasSuffix(a.stderr, message) != test.corrupted {
				t.Fatalf("%+v", a)
			}
			if read, err := os.ReadFile("/dev/mapper/mended"); err != nil || !bytes.Equal(read, content) {
				t.Errorf("%d bytes, %v", len(read), err)
			}
			dm := deviceMapper(t)
			if target, err := dm.Table("mended"); err != nil || strings.Contains(target.Parameters, "_on_corruption") != (test.options != "") {
				t.Errorf("%+v, %v", target, err)
			}
			if status := theirs(t, "status", "mended").stdout; strings.Contains(status, "corrupted") != test.corrupted {
				t.Errorf("%s", status)
			}
			wantCorrections(t, dm, a.stderr != "")
			ours(t, "close", "mended").want(t, "close")
		})
	}
	wantNothingLeft(t)
}

// wantCorrections looks at the count of newer kernels.
func wantCorrections(t *testing.T, dm *devmapper.Control, want bool) {
	t.Helper()
	status, err := dm.Status("mended")
	if err != nil {
		t.Fatal(err)
	}
	shown := ours(t, "status", "--json", "mended").stdout
	_, count, counts := strings.Cut(status, " ")
	if counts != strings.Contains(shown, `"corrections"`) || counts && want != (count != "0") || counts && !strings.Contains(shown, `"corrections": `+count) {
		t.Errorf("status %q, %s", status, shown)
	}
}

// TestOpenMeetsWhatTheKernelCannotCorrect tries what the kernel would panic for: the words are not there yet
// when it is read. That is so of hash blocks even if they can be corrected.
func TestOpenMeetsWhatTheKernelCannotCorrect(t *testing.T) {
	for name, test := range map[string]struct {
		file string
		at   int64
		want string
	}{
		"data":           {"data", 0, "is removed: read data block 0: "},
		"corrected leaf": {"hash", 2*4096 + 5, "is removed: the kernel found it corrupted ("},
	} {
		i := format(t, 200*4096, "--salt=01", "--fec-device=@fec")
		i.damage(t, test.file, test.at)
		if test.file == "data" {
			if err := os.WriteFile(i.path("fec"), make([]byte, 2*4096), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a := ours(t, "open", "--panic-on-corruption", "--fec-device="+i.path("fec"), i.path("data"), "broken", i.path("hash"), i.root)
		if a.code != exitPermission || !strings.Contains(a.stderr, test.want) {
			t.Errorf("%s: %+v", name, a)
		}
		wantNothingLeft(t)
	}
}
