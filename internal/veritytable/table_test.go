package veritytable

import (
	"encoding/hex"
	"strings"
	"testing"
)

const (
	sampleRoot  = "2b6ab583a75045386ea81f899cf633757d02cddb1b8a3240f8dee8642f60c947"
	sampleWords = "1 259:2 259:3 4096 4096 256 1 sha256 " + sampleRoot + " "
)

func sampleTable() Table {
	root, _ := hex.DecodeString(sampleRoot)
	return Table{Superblock: sample(), DataDevice: "259:2", HashDevice: "259:3", StartBlock: 1, RootHash: root}
}

func TestLine(t *testing.T) {
	table := sampleTable()
	if got, want := table.Line(), sampleWords+"deadbeef"; got != want {
		t.Errorf("Line() = %q, want %q", got, want)
	}
	table.Salt = nil
	if got, want := table.Line(), sampleWords+"-"; got != want {
		t.Errorf("without salt: %q, want %q", got, want)
	}
	table.HashType, table.HashBlockSize, table.StartBlock = 0, 512, 8
	if got := table.Line(); !strings.HasPrefix(got, "0 259:2 259:3 4096 512 256 8 sha256 ") {
		t.Errorf("other numbers: %q", got)
	}
}

func TestSectors(t *testing.T) {
	for _, test := range []struct {
		size   uint32
		blocks uint64
		want   uint64
	}{{4096, 256, 2048}, {512, 1025, 1025}, {4096, 1, 8}, {4096, 1<<51 - 1, (1<<51 - 1) * 8}} {
		table := Table{Superblock: Superblock{DataBlockSize: test.size, DataBlocks: test.blocks}}
		if got := table.Sectors(); got != test.want {
			t.Errorf("%d blocks of %d: %d sectors, want %d", test.blocks, test.size, got, test.want)
		}
	}
}

func TestDeviceUUID(t *testing.T) {
	uuid := sample().UUID
	if got, want := DeviceUUID(uuid, "usr"), "CRYPT-VERITY-8f3c1d2e0b4a4c5d9e6f7a8b9c0d1e2f-usr"; got != want {
		t.Errorf("DeviceUUID = %q, want %q", got, want)
	}
	if got := DeviceUUID(uuid, strings.Repeat("n", 127)); len(got) != 128 {
		t.Errorf("long name gives %d bytes, want 128", len(got))
	}
	if got, want := BareDeviceUUID("usr"), "CRYPT-VERITY-usr"; got != want {
		t.Errorf("BareDeviceUUID = %q, want %q", got, want)
	}
	for uuid, want := range map[string]bool{
		DeviceUUID(uuid, "usr"): true, BareDeviceUUID("x"): true,
		"": false, "CRYPT-VERITY": false, "CRYPT-LUKS2-x": false, "CRYPT-VERITYX-x": false, "crypt-verity-x": false,
	} {
		if got := IsDeviceUUID(uuid); got != want {
			t.Errorf("IsDeviceUUID(%q) = %v", uuid, got)
		}
	}
}

func TestParseRootHash(t *testing.T) {
	const good = "b62d6a25ad0e4cb89f7c0686647bc9d765ad3405454c53eb3d02e3100d27f6a4"
	for _, text := range []string{good, strings.ToUpper(good)} {
		hash, err := ParseRootHash(text, "sha256")
		if err != nil || hex.EncodeToString(hash) != good {
			t.Errorf("ParseRootHash(%q) = %x, %v", text, hash, err)
		}
	}
	if hash, err := ParseRootHash(good[:40], "SHA1"); err != nil || len(hash) != 20 {
		t.Errorf("sha1: %x, %v", hash, err)
	}
	for name, test := range map[string]struct{ text, algorithm, want string }{
		"empty":     {"", "sha256", "is empty"},
		"odd":       {good[:63], "sha256", "has 63 hex digits, sha256 needs 64"},
		"short":     {good[:40], "sha256", "has 40 hex digits"},
		"long":      {good + "00", "SHA256", "has 66 hex digits, sha256 needs 64"},
		"not hex":   {"g" + good[1:], "sha256", `character 1, "g", is not a hex digit`},
		"space":     {good + "\n", "sha256", `character 65, "\n", is not a hex digit`},
		"algorithm": {good, "sm3", `algorithm "sm3" is not supported`},
		"umlaut":    {good[:62] + "ü", "sha256", `character 63, "\xc3"`},
	} {
		t.Run(name, func(t *testing.T) {
			hash, err := ParseRootHash(test.text, test.algorithm)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %x, error %v; want an error with %q", hash, err, test.want)
			} else if len(err.Error()) > 80 {
				t.Errorf("error has %d characters: %v", len(err.Error()), err)
			}
		})
	}
}

func FuzzParseRootHash(f *testing.F) {
	f.Add("b62d6a25ad0e4cb89f7c0686647bc9d765ad3405454c53eb3d02e3100d27f6a4", "sha256")
	f.Add("", "sha512")
	f.Add("zz", "")
	f.Fuzz(func(t *testing.T, text, algorithm string) {
		hash, err := ParseRootHash(text, algorithm)
		if err != nil {
			return
		}
		if size, ok := DigestSize(algorithm); !ok || len(hash) != size {
			t.Errorf("%d bytes for %q", len(hash), algorithm)
		}
		if !strings.EqualFold(hex.EncodeToString(hash), text) {
			t.Errorf("%q gives %x", text, hash)
		}
	})
}
