package plan

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/veritytable"
)

func veritySuperblock(algorithm string) *veritytable.Superblock {
	return &veritytable.Superblock{
		HashType: 1, UUID: [16]byte{0x0c, 15: 0xff}, Algorithm: algorithm,
		DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 8, Salt: []byte{0xaa, 0xbb},
	}
}

func TestPlanVerity(t *testing.T) {
	s := veritySuperblock("sha256")
	geometry, err := s.Geometry(0)
	if err != nil {
		t.Fatal(err)
	}
	seen := &observe.Verity{Superblock: s, Geometry: geometry}
	data, hash := blockdev.Device{Number: "254:1", Size: 8 * 4096}, blockdev.Device{Number: "254:2", Size: 1 << 20}
	v, err := PlanVerity(planLine(t, wholeLine).Usr.Volume, seen, data, hash, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "1 254:1 254:2 4096 4096 8 1 sha256 " + testHash + " aabb 2 panic_on_corruption panic_on_error"
	if got := v.Table.Line(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if v.Name != "usr" || v.UUID != "CRYPT-VERITY-0c0000000000000000000000000000ff-usr" || v.Table.Sectors() != 64 || !v.AcceptExisting {
		t.Errorf("%+v", v)
	}
	for _, rootHash := range []string{testHash + testHash, "", strings.Repeat("zz", 32)} {
		if _, err := PlanVerity(&Volume{RootHash: rootHash, HashWord: "usrhash="}, seen, data, hash, nil); err == nil || !strings.HasPrefix(err.Error(), "usrhash=: ") {
			t.Errorf("%q: %v", rootHash, err)
		}
	}
}

// TestPlanVerityOptions: what the command line says arrives in the table.
func TestPlanVerityOptions(t *testing.T) {
	data, hash := blockdev.Device{Number: "254:1", Size: 8 * 4096}, blockdev.Device{Number: "254:2", Size: 1 << 20}
	parity := blockdev.Device{Number: "254:3", Size: 1 << 20}
	for options, want := range map[string]string{
		"":                      "2 panic_on_corruption panic_on_error",
		"restart-on-corruption": "2 restart_on_corruption restart_on_error",
		"use-tasklets,panic-on-corruption,check-at-most-once,ignore-zero-blocks": "5 panic_on_corruption panic_on_error ignore_zero_blocks check_at_most_once try_verify_in_tasklet",
		"fec-device=PARTLABEL=fec,fec-roots=4,fec-offset=8192":                   "10 panic_on_corruption panic_on_error use_fec_from_device 254:3 fec_start 2 fec_blocks 263 fec_roots 4",
	} {
		usr := planLine(t, wholeLine+" systemd.verity_usr_options="+options).Usr.Volume
		s := veritySuperblock("sha256")
		geometry, err := s.Geometry(usr.Options.HashOffset)
		if err != nil {
			t.Fatal(err)
		}
		v, err := PlanVerity(usr, &observe.Verity{Superblock: s, Geometry: geometry}, data, hash, &parity)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Table.Line(); got != "1 254:1 254:2 4096 4096 8 1 sha256 "+testHash+" aabb "+want {
			t.Errorf("%s: %s", options, got)
		}
	}
	usr := planLine(t, wholeLine+" systemd.verity_usr_options=fec-device=PARTLABEL=fec,fec-offset=512").Usr.Volume
	s := veritySuperblock("sha256")
	geometry, err := s.Geometry(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := PlanVerity(usr, &observe.Verity{Superblock: s, Geometry: geometry}, data, hash, &parity); err == nil || !strings.Contains(err.Error(), "512 is not a multiple of the block size") {
		t.Errorf("%v", err)
	}
}

func TestSignatureKey(t *testing.T) {
	s := veritySuperblock("sha256")
	if got := SignatureKey(s, "usr"); got != "cryptsetup:0c000000-0000-0000-0000-0000000000ff-usr" {
		t.Error(got)
	}
	if s.Bare = true; SignatureKey(s, "usr") != "cryptsetup:usr" {
		t.Error(SignatureKey(s, "usr"))
	}
}

func TestPlanImageVerity(t *testing.T) {
	for _, c := range []struct{ algorithm, rootHash, name string }{
		{"sha256", testHash, "loop12-" + testHash + "-verity"},
		{"sha512", testHash + strings.Repeat("11", 32), "loop12-" + testHash + "-verity"},
	} {
		root, err := hex.DecodeString(c.rootHash)
		if err != nil {
			t.Fatal(err)
		}
		v, err := PlanImageVerity(root, veritySuperblock(c.algorithm), "7:12", "7:1")
		if err != nil {
			t.Fatal(err)
		}
		// A bad extension must fail by itself, not end the machine: no words behind the salt.
		if got, want := v.Table.Line(), "1 7:12 7:1 4096 4096 8 1 "+c.algorithm+" "+c.rootHash+" aabb"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if v.AcceptExisting || len(v.Probe.Blocks) != 3 {
			t.Errorf("%+v", v)
		}
		if v.Name != c.name || v.UUID != "CRYPT-VERITY-0c0000000000000000000000000000ff-"+c.name {
			t.Errorf("%s, %s", v.Name, v.UUID)
		}
		// A machine has at most 2^20 loop devices.
		long, err := PlanImageVerity(root, veritySuperblock(c.algorithm), "7:1048575", "7:1")
		if err != nil {
			t.Fatal(err)
		}
		// linux/dm-ioctl.h: DM_NAME_LEN 128, DM_UUID_LEN 129, both with a NUL byte.
		if len(long.Name) > 127 || len(long.UUID) > 128 {
			t.Errorf("%d bytes of name, %d of UUID", len(long.Name), len(long.UUID))
		}
	}
}

func TestPlanImageVerityRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		rootHash string
		change   func(*veritytable.Superblock)
	}{
		"no root hash":          {"", func(*veritytable.Superblock) {}},
		"root hash too short":   {testHash[:32], func(*veritytable.Superblock) {}},
		"root hash too long":    {testHash + "00", func(*veritytable.Superblock) {}},
		"unknown algorithm":     {testHash, func(s *veritytable.Superblock) { s.Algorithm = "rot13" }},
		"too many blocks":       {testHash, func(s *veritytable.Superblock) { s.DataBlocks = 1 << 62 }},
		"no hash of this size":  {testHash, func(s *veritytable.Superblock) { s.Algorithm = "sha512" }},
		"hash block of nothing": {testHash, func(s *veritytable.Superblock) { s.HashBlockSize = 0 }},
	} {
		root, err := hex.DecodeString(c.rootHash)
		if err != nil {
			t.Fatal(err)
		}
		s := veritySuperblock("sha256")
		c.change(s)
		if v, err := PlanImageVerity(root, s, "7:0", "7:1"); err == nil {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
