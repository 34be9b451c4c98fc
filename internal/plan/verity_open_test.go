package plan

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/fec"
	"github.com/preroot/preroot/internal/veritytable"
)

func testRequest(t *testing.T) VerityRequest {
	t.Helper()
	root, err := hex.DecodeString(testHash)
	if err != nil {
		t.Fatal(err)
	}
	s := veritySuperblock("sha256")
	s.DataBlocks = 256
	return VerityRequest{Name: "v1", Superblock: s, RootHash: root, DataSize: 1 << 20}
}

// correction is the layout of error correction for a request.
func correction(t *testing.T, r *VerityRequest, roots uint32, offset, hashEnd int64) *fec.Layout {
	t.Helper()
	geometry, err := r.Superblock.Geometry(r.HashOffset)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := fec.Compute(r.Superblock, geometry, roots, offset, hashEnd)
	if err != nil {
		t.Fatal(err)
	}
	return &layout
}

func TestPlanVerityOpen(t *testing.T) {
	const start = "1   4096 4096 256 1 sha256 " + testHash + " aabb" // the devices come later
	for name, test := range map[string]struct {
		change     func(r *VerityRequest)
		line, uuid string
	}{
		"plain":       {func(*VerityRequest) {}, start, "CRYPT-VERITY-0c0000000000000000000000000000ff-v1"},
		"larger data": {func(r *VerityRequest) { r.DataSize = 1 << 40 }, start, ""},
		"offset":      {func(r *VerityRequest) { r.HashOffset = 1 << 20 }, strings.Replace(start, " 256 1 ", " 256 257 ", 1), ""},
		"bare": {func(r *VerityRequest) { r.Superblock.Bare = true },
			strings.Replace(start, " 256 1 ", " 256 0 ", 1), "CRYPT-VERITY-v1"},
		"options": {func(r *VerityRequest) {
			r.Options = veritytable.Options{CheckAtMostOnce: true, OnCorruption: veritytable.Restart}
		},
			start + " 2 restart_on_corruption check_at_most_once", ""},
		"signature": {func(r *VerityRequest) { r.Signature = []byte{1} },
			start + " 2 root_hash_sig_key_desc cryptsetup:0c000000-0000-0000-0000-0000000000ff-v1", ""},
		"signature without superblock": {func(r *VerityRequest) { r.Signature, r.Superblock.Bare = []byte{1}, true },
			strings.Replace(start, " 256 1 ", " 256 0 ", 1) + " 2 root_hash_sig_key_desc cryptsetup:v1", ""},
		// As veritysetup 2.8.8 has it: tables of captures.
		"correction beside": {func(r *VerityRequest) { r.FEC = correction(t, r, 4, 0, 16384) },
			start + " 8 use_fec_from_device  fec_start 0 fec_blocks 259 fec_roots 4", ""},
		"correction, larger hash device": {func(r *VerityRequest) { r.FEC = correction(t, r, 2, 0, 301000) },
			start + " 8 use_fec_from_device  fec_start 0 fec_blocks 328 fec_roots 2", ""},
		"correction behind the tree": {func(r *VerityRequest) {
			r.HashOffset = 1 << 20
			r.FEC = correction(t, r, 2, 1064960, 1064960)
		}, strings.Replace(start, " 256 1 ", " 256 257 ", 1) + " 8 use_fec_from_device  fec_start 260 fec_blocks 259 fec_roots 2", ""},
		"correction of a single block": {func(r *VerityRequest) {
			r.Superblock.DataBlocks = 1
			r.FEC = correction(t, r, 2, 0, 4096)
		}, strings.Replace(start, " 256 1 ", " 1 1 ", 1) + " 8 use_fec_from_device  fec_start 0 fec_blocks 1 fec_roots 2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := testRequest(t)
			test.change(&r)
			v, err := PlanVerityOpen(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := v.Table.Line(); got != test.line {
				t.Errorf("%q, want %q", got, test.line)
			}
			if test.uuid != "" && v.UUID != test.uuid || v.Name != "v1" || v.AcceptExisting || len(v.Probe.Blocks) != 0 {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestPlanVerityOpenRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(r *VerityRequest)
		want   error
	}{
		"small data":       {func(r *VerityRequest) { r.DataSize-- }, ErrDataTooSmall},
		"no data":          {func(r *VerityRequest) { r.DataSize = 0 }, ErrDataTooSmall},
		"short root hash":  {func(r *VerityRequest) { r.RootHash = r.RootHash[1:] }, nil},
		"absurd offset":    {func(r *VerityRequest) { r.HashOffset = 1<<63 - 512 }, nil},
		"absurd algorithm": {func(r *VerityRequest) { r.Superblock.Algorithm = "md17" }, nil},
	} {
		r := testRequest(t)
		test.change(&r)
		if v, err := PlanVerityOpen(r); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}
