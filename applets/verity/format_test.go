package verity

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/veritytable"
)

// workplace makes a folder with data.img of 150 blocks and 100 bytes, and goes there.
func workplace(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	writeFile(t, "data.img", generated{Seed: "format", Size: 150*4096 + 100}.bytes())
}

func TestNothingIsLeftOfAFailedFormat(t *testing.T) {
	for name, test := range map[string]struct {
		arguments []string
		exit      int
		message   string
	}{
		"too many data blocks": {[]string{"--data-blocks=151"}, 1, "Input/output error while creating hash area.\n"},
		"huge data blocks":     {[]string{"--data-blocks=-1"}, 1, "Device offset overflow.\n"},
		"huge hash offset":     {[]string{"--hash-offset=9223372036854775296"}, 1, "Hash area overflow.\n"},
		"salt":                 {[]string{"--salt=" + strings.Repeat("00", 257)}, 1, "Salt of 257 bytes is too long, at most 256.\n"},
		"odd salt":             {[]string{"--salt=123"}, 1, "Invalid salt string specified.\n"},
		"uuid":                 {[]string{"--uuid=8f3c1d2e0b4a4c5d9e6f7a8b9c0d1e2f"}, 1, "Wrong VERITY UUID format provided on device hash.img.\n"},
		"FEC offset":           {[]string{"--fec-device=fec.img", "--fec-offset=100"}, 1, "Unsupported VERITY FEC offset.\n"},
		"FEC over data":        {[]string{"--fec-device=data.img"}, 1, "Data area overlaps with FEC area.\n"},
		"FEC over the tree":    {[]string{"--fec-device=hash.img", "--fec-offset=8192"}, 1, "Hash area overlaps with FEC area.\n"},
		"FEC over superblock":  {[]string{"--fec-device=./hash.img"}, 1, "Hash area overlaps with FEC area.\n"},
		"FEC folder":           {[]string{"--fec-device=no/fec.img"}, 1, "Cannot create FEC image no/fec.img for writing.\n"},
		"root hash file":       {[]string{"--root-hash-file=no/root.txt"}, 1, "Cannot create root hash file no/root.txt for writing.\n"},
		"no FEC device":        {[]string{"--fec-device=/dev/full"}, 3, "Device /dev/full is not compatible.\n"},
		"FEC without a name":   {[]string{"--fec-device="}, 1, "Cannot create FEC image  for writing.\n"},
		"no root hash file":    {[]string{"--root-hash-file="}, 1, "Cannot create root hash file  for writing.\n"},
		// What the original finds first: the combinations are from runs of it.
		"hash before FEC device": {[]string{"--fec-device=/dev/null", "--hash=null"}, 1, "Hash algorithm null not supported.\n"},
		"FEC file before sizes":  {[]string{"--fec-device=", "--data-block-size=1048576"}, 1, "Cannot create FEC image  for writing.\n"},
		"FEC device before data": {[]string{"--fec-device=/dev/null", "--data-blocks=8192"}, 3, "Device /dev/null is not compatible.\n"},
		"data before FEC sizes":  {[]string{"--fec-device=fec.img", "--data-blocks=247", "--hash-block-size=1024"}, 1, "Input/output error while creating hash area.\n"},
		"overlap before data":    {[]string{"--fec-device=hash.img", "--data-blocks=314"}, 1, "Hash area overlaps with FEC area.\n"},
		"FEC sizes, not overlap": {[]string{"--fec-device=hash.img", "--data-block-size=1024"}, 1, "Block sizes must match for FEC.\nBlock sizes must match for FEC.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			workplace(t)
			got := call(2, append(test.arguments, "format", "data.img", "hash.img")...)
			if got != (outcome{test.exit, "", test.message}) {
				t.Errorf("got %+v", got)
			}
			if left := listFiles(t); !slices.Equal(left, []string{"data.img"}) {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// TestOrderOfFindings: what the original says first when several things are wrong, from runs of it.
func TestOrderOfFindings(t *testing.T) {
	const badSalt = "--salt=0x12"
	for _, test := range []struct {
		arguments []string
		want      outcome
	}{
		{[]string{badSalt, "format", "data.img", "no/hash.img"}, outcome{1, "", "Cannot create hash image no/hash.img for writing.\n"}},
		{[]string{badSalt, "format", "data.img", ""}, outcome{1, "", "Cannot create hash image  for writing.\n"}},
		{[]string{badSalt, "--fec-device=", "format", "data.img", "."}, outcome{1, "", "Cannot create FEC image  for writing.\n"}},
		{[]string{badSalt, "format", "data.img", "/dev/null"}, outcome{4, "", "Device /dev/null is not compatible.\n"}},
		{[]string{badSalt, "format", "missing", "hash.img"}, outcome{1, "", "Invalid salt string specified.\n"}},
		{[]string{"format", "missing", "/dev/null"}, outcome{4, "", "Device /dev/null is not compatible.\n"}},
		{[]string{"--root-hash-file=x", "verify", "small", "data.img"}, outcome{1, "", "Header detected but device small is too small.\n"}},
		{[]string{"--root-hash-file=x", "verify", "small", "small"}, outcome{1, "", "Device small is not a valid VERITY device.\n"}},
		{[]string{"--root-hash-file=x", "verify", "./small", "small"}, outcome{1, "", "Header detected but device ./small is too small.\n"}},
		{[]string{"--fec-device=.", "--root-hash-file=x", "verify", "data.img", "data.img"}, outcome{1, "", "Device data.img is not a valid VERITY device.\n"}},
		{[]string{"--fec-device=", "dump", "hash.good"}, outcome{4, "", "Device  does not exist or access denied.\nDevice hash.good is not a valid VERITY device.\n"}},
	} {
		workplace(t)
		writeFile(t, "small", make([]byte, 511))
		if got := call(1, "format", "data.img", "hash.good"); got.exit != 0 {
			t.Fatalf("%+v", got)
		}
		if got := call(1, test.arguments...); got != test.want {
			t.Errorf("%q: %+v, want %+v", test.arguments, got, test.want)
		}
	}
}

// TestRootHashIntoADevice: only a file is cut to the digits.
func TestRootHashIntoADevice(t *testing.T) {
	workplace(t)
	if got := call(1, "--root-hash-file=/dev/null", "format", "data.img", "hash.img"); got.exit != 0 || got.stderr != "" {
		t.Errorf("%+v", got)
	}
}

func TestOverlapsOfOneFile(t *testing.T) {
	for name, test := range map[string]struct {
		arguments []string
		message   string
	}{
		"no offset":  {nil, "Data area overlaps with hash area.\n"},
		"in data":    {[]string{"--hash-offset=610304"}, "Data area overlaps with hash area.\n"},
		"all blocks": {[]string{"--hash-offset=8192"}, "Data area overlaps with hash area.\n"},
	} {
		workplace(t)
		before := readFile(t, "data.img")
		if got := call(1, append(test.arguments, "format", "data.img", "./data.img")...); got != (outcome{1, "", test.message}) {
			t.Errorf("%s: %+v", name, got)
		}
		if !bytes.Equal(before, readFile(t, "data.img")) {
			t.Errorf("%s: the data was changed", name)
		}
	}
}

// TestInterruptedFormat: what was there of an older tree must not pass for a whole one.
func TestInterruptedFormat(t *testing.T) {
	workplace(t)
	if got := call(1, "format", "data.img", "hash.img"); got.exit != 0 {
		t.Fatalf("%+v", got)
	}
	size := len(readFile(t, "hash.img"))
	for _, existing := range []bool{true, false} {
		if !existing {
			if err := os.Remove("hash.img"); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(&failure{code: 130, lines: "Interrupted (interrupt)."})
		var stdout, stderr bytes.Buffer
		s := &session{stdout: &stdout, stderr: &stderr, workers: 2}
		exit := s.run(ctx, []string{"verity", "--fec-device=fec.img", "--root-hash-file=root.txt", "format", "data.img", "hash.img"})
		if exit != 130 || stdout.Len() > 0 || stderr.String() != "Interrupted (interrupt).\n" {
			t.Errorf("exit %d, %q, %q", exit, &stdout, &stderr)
		}
		want := []string{"data.img"}
		if existing {
			want = append(want, "hash.img")
		}
		if left := listFiles(t); !slices.Equal(left, want) {
			t.Errorf("left: %v", left)
		}
		if existing {
			content := readFile(t, "hash.img")
			if _, err := veritytable.ParseSuperblock(content); err == nil || len(content) != size {
				t.Errorf("%d bytes, and the old superblock is there", len(content))
			}
		}
	}
}

func TestFilesAreForTheirOwner(t *testing.T) {
	workplace(t)
	if got := call(1, "--fec-device=fec.img", "--root-hash-file=root.txt", "format", "data.img", "hash.img"); got.exit != 0 {
		t.Fatalf("%+v", got)
	}
	for _, name := range []string{"hash.img", "fec.img", "root.txt"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if digits := readFile(t, "root.txt"); len(digits) != 64 {
		t.Errorf("root hash file %q", digits)
	}
}

func TestRandomSaltAndUUID(t *testing.T) {
	workplace(t)
	seen := map[string]bool{}
	for range 3 {
		if got := call(1, "format", "data.img", "hash.img"); got.exit != 0 {
			t.Fatalf("%+v", got)
		}
		s, err := veritytable.ParseSuperblock(readFile(t, "hash.img"))
		if err != nil || len(s.Salt) != 32 || s.UUID[6]>>4 != 4 || s.UUID[8]>>6 != 2 {
			t.Fatalf("%+v, %v", s, err)
		}
		seen[string(s.Salt)], seen[string(s.UUID[:])] = true, true
	}
	if len(seen) != 6 {
		t.Errorf("%d different salts and UUIDs, want 6", len(seen))
	}
}

// TestWarnings: a person hears of what scripts do not expect.
func TestWarnings(t *testing.T) {
	workplace(t)
	for _, test := range []struct {
		option, want string
	}{
		{"--data-blocks=0", "the last 100 bytes of data.img fill no data block and are not covered"},
		{"--hash-offset=4608", "hash offset 4608 is not a multiple of the hash block size, the tree starts at byte 4096"},
	} {
		arguments := []string{"--no-superblock", test.option, "format", "data.img", "hash.img"}
		if got := call(1, arguments...); got.exit != 0 || got.stderr != "" {
			t.Errorf("quiet: %+v", got)
		}
		if got := call(1, append([]string{"--debug"}, arguments...)...); got.exit != 0 || !strings.Contains(got.stderr, test.want) {
			t.Errorf("verbose: %+v", got)
		}
	}
}

func TestVerifyNeverWrites(t *testing.T) {
	workplace(t)
	made := call(1, "--root-hash-file=root.txt", "format", "data.img", "hash.img")
	if made.exit != 0 {
		t.Fatalf("%+v", made)
	}
	for _, size := range []int64{100, 512, 5000, 8192, 12288} {
		truncate(t, "hash.img", size)
		if got := call(1, "--root-hash-file=root.txt", "verify", "data.img", "hash.img"); got.exit == 0 {
			t.Errorf("%d bytes of the tree verify", size)
		}
		if now := len(readFile(t, "hash.img")); int64(now) != size {
			t.Errorf("it has %d bytes now, not %d", now, size)
		}
		if got := call(1, "--root-hash-file=root.txt", "format", "data.img", "hash.img"); got.exit != 0 {
			t.Fatalf("%+v", got)
		}
	}
}
