package verity

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/devmapper/devmappertest"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/veritytable"
)

// refusing is an opening on a kernel whose verity target has a version; none if it is zero.
func refusing(version devmapper.TargetVersion) *opening {
	kernel := &devmappertest.Kernel{Targets: map[string]devmapper.TargetVersion{"linear": {1, 5, 0}}}
	if version != (devmapper.TargetVersion{}) {
		kernel.Targets["verity"] = version
	}
	return &opening{session: &session{stderr: &bytes.Buffer{}}, dm: devmapper.With(kernel), name: "v1"}
}

func refusedTable(errno unix.Errno, log string) error {
	return fmt.Errorf("open verity device v1: %w", &devmapper.Error{
		Command: devmapper.CommandLoad, Device: "v1", For: devmapper.Device{Major: 254, Minor: 3}, Errno: errno, KernelLog: log,
	})
}

// TestRefusal has the original's words and exit codes: captures of veritysetup 2.8.8 on Linux 6.12 and 7.2.
func TestRefusal(t *testing.T) {
	now := devmapper.TargetVersion{1, 13, 0}
	const unrecognized = "verity: Unrecognized verity feature request: "
	for name, test := range map[string]struct {
		version devmapper.TargetVersion
		options veritytable.Options
		err     error
		lines   string
		code    int
	}{
		"too small": {now, veritytable.Options{}, refusedTable(unix.E2BIG, "verity: Hash device is too small"),
			"device-mapper: reload ioctl on v1 (254:3) failed: Argument list too long\nKernel: verity: Hash device is too small.", exitBusy},
		"no reason": {now, veritytable.Options{}, refusedTable(unix.EINVAL, ""), "device-mapper: reload ioctl on v1 (254:3) failed: Invalid argument", exitBusy},
		"no key": {now, veritytable.Options{SignatureKey: "k"}, refusedTable(unix.ENOKEY, ""),
			"device-mapper: reload ioctl on v1 (254:3) failed: Required key not available", exitParameters},
		"bad signature": {now, veritytable.Options{SignatureKey: "k"}, refusedTable(unix.EBADMSG, ""),
			"device-mapper: reload ioctl on v1 (254:3) failed: Bad message", exitBusy},
		"no module": {devmapper.TargetVersion{}, veritytable.Options{}, refusedTable(unix.EINVAL, ""),
			"device-mapper: reload ioctl on v1 (254:3) failed: Invalid argument\nKernel does not support dm-verity mapping.", exitParameters},
		"old, panic": {devmapper.TargetVersion{1, 6, 0}, veritytable.Options{OnCorruption: veritytable.Panic}, refusedTable(unix.EINVAL, ""),
			"\nRequested dm-verity data corruption handling options are not supported.", exitParameters},
		"old, ignore": {devmapper.TargetVersion{1, 6, 0}, veritytable.Options{OnCorruption: veritytable.Ignore}, refusedTable(unix.EINVAL, ""),
			"Invalid argument", exitBusy},
		"old, panic on error": {devmapper.TargetVersion{1, 9, 0}, veritytable.Options{OnCorruption: veritytable.Panic, OnError: veritytable.Panic},
			refusedTable(unix.EINVAL, ""), "data corruption handling options are not supported.", exitParameters},
		"version does not tell": {devmapper.TargetVersion{1, 10, 0}, veritytable.Options{OnCorruption: veritytable.Panic, OnError: veritytable.Panic},
			refusedTable(unix.EINVAL, unrecognized+"panic_on_error"), "data corruption handling options are not supported.", exitParameters},
		"old, once": {devmapper.TargetVersion{1, 3, 0}, veritytable.Options{CheckAtMostOnce: true}, refusedTable(unix.EINVAL, ""),
			"data corruption handling options are not supported.", exitParameters},
		"old, zero blocks": {devmapper.TargetVersion{1, 2, 0}, veritytable.Options{IgnoreZeroBlocks: true}, refusedTable(unix.EINVAL, ""),
			"data corruption handling options are not supported.", exitParameters},
		"old, tasklets": {devmapper.TargetVersion{1, 8, 0}, veritytable.Options{TryVerifyInTasklet: true}, refusedTable(unix.EINVAL, ""),
			"Requested dm-verity tasklets option is not supported.", exitParameters},
		"old, correction": {devmapper.TargetVersion{1, 2, 0}, veritytable.Options{FEC: &veritytable.FEC{}}, refusedTable(unix.EINVAL, ""),
			"Requested dm-verity FEC options are not supported.", exitParameters},
		"built without correction": {now, veritytable.Options{FEC: &veritytable.FEC{}}, refusedTable(unix.EINVAL, unrecognized+"use_fec_from_device"),
			"Requested dm-verity FEC options are not supported.", exitParameters},
		"built without signatures": {now, veritytable.Options{SignatureKey: "k"}, refusedTable(unix.EINVAL, unrecognized+"root_hash_sig_key_desc"),
			"Kernel does not support dm-verity signature option.", exitParameters},
		"another word": {now, veritytable.Options{SignatureKey: "k"}, refusedTable(unix.EINVAL, unrecognized+"fec_roots"), unrecognized + "fec_roots.", exitBusy},
		"exists": {now, veritytable.Options{}, &devmapper.Error{Command: devmapper.CommandCreate, Device: "v1", Errno: unix.EBUSY},
			"Device v1 already exists.", exitBusy},
		"create": {now, veritytable.Options{}, &devmapper.Error{Command: devmapper.CommandCreate, Device: "v1", Errno: unix.ENOMEM},
			"device-mapper: create ioctl on v1 CRYPT-VERITY-v1 failed: Cannot allocate memory", exitBusy},
		"resume": {now, veritytable.Options{}, &devmapper.Error{Command: devmapper.CommandResume, Device: "v1", Errno: unix.EIO},
			`activate device "v1": input/output error`, exitBusy},
		"probe": {now, veritytable.Options{}, &apply.ProbeError{Name: "v1", Err: errors.New("read data block 0: input/output error"), KernelLog: "7:0: metadata block 1 is corrupted"},
			"device v1 is removed: read data block 0: input/output error (7:0: metadata block 1 is corrupted).", exitPermission},
	} {
		t.Run(name, func(t *testing.T) {
			o := refusing(test.version)
			err := o.refusal(test.err, &plan.Verity{UUID: "CRYPT-VERITY-v1", Table: veritytable.Table{Options: test.options}})
			f, ok := errors.AsType[*failure](err)
			if !ok || f.code != test.code || !strings.Contains(f.lines, test.lines) || !errors.Is(err, test.err) {
				t.Errorf("%#v, want %d and %q", err, test.code, test.lines)
			}
		})
	}
	other := errors.New("something else")
	if err := refusing(now).refusal(other, &plan.Verity{}); !errors.Is(err, other) {
		t.Error(err)
	}
}

func TestOnlyTheTaskletWordMayGo(t *testing.T) {
	for log, want := range map[string]bool{
		"verity: Unrecognized verity feature request: try_verify_in_tasklet": true,
		"verity: Unrecognized verity feature request: panic_on_error":        false,
		"verity: Unrecognized verity feature request":                        false,
		"verity: try_verify_in_tasklet":                                      false,
		"":                                                                   false,
	} {
		if got := lacksWord(refusedTable(unix.EINVAL, log), "try_verify_in_tasklet"); got != want {
			t.Errorf("%q: %v", log, got)
		}
	}
	if lacksWord(errors.New("Unrecognized verity feature request: try_verify_in_tasklet"), "try_verify_in_tasklet") {
		t.Error("not from the kernel")
	}
}

func TestCheckNewName(t *testing.T) {
	for name, want := range map[string]string{
		"usr": "", "a b": "", strings.Repeat("n", 127): "", strings.Repeat(" ", 31): "",
		"a/b": "Name must not contain '/' character.", "/": "Name must not contain '/' character.",
		strings.Repeat("n", 128): "Name is too long.", strings.Repeat(" ", 32): "Name is too long.",
		"": "Cannot use device , name is invalid or still in use.", "..": "Cannot use device .., name is invalid or still in use.",
		"control": "Cannot use device control, name is invalid or still in use.",
	} {
		err := checkNewName(name)
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTableOptions(t *testing.T) {
	for line, want := range map[string]string{
		"":                      "",
		"--ignore-corruption":   "ignore_corruption",
		"--panic-on-corruption": "panic_on_corruption",
		"--restart-on-corruption --error-as-corruption":            "restart_on_corruption restart_on_error",
		"--panic-on-corruption --error-as-corruption":              "panic_on_corruption panic_on_error",
		"--use-tasklets --check-at-most-once --ignore-zero-blocks": "ignore_zero_blocks check_at_most_once try_verify_in_tasklet",
	} {
		s := &session{}
		if _, err := parse(append(strings.Fields(line), "open", "data", "v", "hash"), &s.options); err != nil {
			t.Fatal(err)
		}
		o := s.tableOptions()
		if got := strings.Join(o.Flags(), " "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
