package verity

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/veritytable"
)

// mappedState is a device on numbers that no machine has.
func mappedState(t *testing.T, options string) *apply.VerityState {
	t.Helper()
	table, err := veritytable.ParseTable("1 4095:1 4095:2 4096 1024 256 1 sha256 " + strings.Repeat("ab", 32) + " 0102" + options)
	if err != nil {
		t.Fatal(err)
	}
	return &apply.VerityState{Device: devmapper.Device{Major: 254, Minor: 3, UUID: "CRYPT-VERITY-x", ReadOnly: true}, Sectors: 2048, Table: table}
}

const plainStatus = `  type:        VERITY
  status:      verified
  hash type:   1
  data block:  4096 [bytes]
  hash block:  1024 [bytes]
  hash name:   sha256
  salt:        0102
  data device: 4095:1
  size:        2048 [512-byte units] (1048576 [bytes])
  mode:        readonly
  hash device: 4095:2
  hash offset: 2 [512-byte units] (1024 [bytes])
  root hash:   abababababababababababababababababababababababababababababababab
`

func TestStatusText(t *testing.T) {
	state := mappedState(t, "")
	if got := statusText(state); got != plainStatus {
		t.Errorf("%s", got)
	}
	state = mappedState(t, " 10 use_fec_from_device 4095:3 fec_blocks 300 fec_start 2 fec_roots 4 root_hash_sig_key_desc k")
	state.Status.Corrupted, state.ReadOnly, state.Table.Salt = true, false, nil
	want := strings.NewReplacer("verified", "corrupted (with signature)", "0102", "-", "readonly", "read/write", "  root hash", `  FEC device:  4095:3
  FEC offset:  4 [512-byte units] (2048 [bytes])
  FEC roots:   4
  root hash`).Replace(plainStatus)
	if got := statusText(state); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	state = mappedState(t, " 1 panic_on_corruption")
	if got := statusText(state); got != plainStatus+"  flags:       panic_on_corruption \n" {
		t.Errorf("%s", got)
	}
}

// TestFlagsText: a blank at the end is the original's, which scripts may compare with.
func TestFlagsText(t *testing.T) {
	for words, want := range map[string]string{
		"":                                         "",
		"ignore_corruption":                        "ignore_corruption ",
		"panic_on_corruption panic_on_error":       "panic_on_corruption panic_on_error ",
		"restart_on_corruption restart_on_error":   "restart_on_corruption restart_on_error",
		"restart_on_error ignore_zero_blocks":      "restart_on_error ignore_zero_blocks ",
		"check_at_most_once":                       "check_at_most_once",
		"check_at_most_once try_verify_in_tasklet": "check_at_most_once try_verify_in_tasklet",
		"ignore_zero_blocks try_verify_in_tasklet": "ignore_zero_blocks try_verify_in_tasklet",
	} {
		if got := flagsText(strings.Fields(words)); got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
}

// TestStatusObjects has the members that docs/verity-json.md promises.
func TestStatusObjects(t *testing.T) {
	keys := func(object any) []string {
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		var names []string
		for depth, name := 0, true; ; {
			token, err := decoder.Token()
			if err != nil {
				return names
			}
			switch token {
			case json.Delim('{'), json.Delim('['):
				depth++
				name = true
			case json.Delim('}'), json.Delim(']'):
				depth--
				name = true
			default:
				if text, ok := token.(string); ok && name && depth == 1 {
					names = append(names, text)
					name = false
				} else {
					name = true
				}
			}
		}
	}
	inactive := []string{"name", "active"}
	foreign := append(inactive, "number", "uuid", "openCount", "readOnly", "deferredRemoval")
	if got := keys(statusObject{Name: "x"}); !reflect.DeepEqual(got, inactive) {
		t.Errorf("%q", got)
	}
	state := mappedState(t, " 9 use_fec_from_device 4095:3 fec_blocks 300 fec_start 2 fec_roots 4 ignore_zero_blocks")
	if got := keys(newDeviceObject("x", state.Device)); !reflect.DeepEqual(got, foreign) {
		t.Errorf("%q", got)
	}
	state.Status = veritytable.Status{HasCorrections: true, Corrections: 7}
	object := newStatusObject("x", state)
	if *object.FEC.Corrections != 7 || object.FEC.Offset != 2048 || object.FEC.CoveredBlocks != 300 || object.TreeOffset != 1024 ||
		!reflect.DeepEqual(object.Flags, []string{"ignore_zero_blocks"}) || object.Data != (storageObject{Device: "4095:1", Number: "4095:1"}) {
		t.Errorf("%+v, %+v", object.mappingObject, object.FEC)
	}
	state.Status.HasCorrections = false
	if newStatusObject("x", state).FEC.Corrections != nil || newStatusObject("x", mappedState(t, "")).FEC != nil {
		t.Error("what is not known is told")
	}
}

func TestUsersLine(t *testing.T) {
	for want, users := range map[string]observe.DeviceUsers{
		"Device v is held open by a program.\n":                                    {},
		"Device v is used by /dev/mapper/w.\n":                                     {Devices: []string{"/dev/mapper/w"}},
		"Device v is used by /dev/mapper/w, /dev/dm-1, and mounted on /a, /b?c.\n": {Devices: []string{"/dev/mapper/w", "/dev/dm-1"}, Mounts: []string{"/a", "/b\nc"}},
	} {
		if got := usersLine("v", users); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
