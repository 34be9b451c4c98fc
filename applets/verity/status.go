package verity

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/observe"
)

func runStatus(_ context.Context, s *session) error {
	dm, err := openDeviceMapper(exitParameters)
	if err != nil {
		return err
	}
	defer dm.Close()
	typed := s.operands[0]
	name, err := mappedName(dm, typed, exitParameters)
	if err != nil {
		return err
	}
	device, err := dm.Find(name)
	switch {
	case name == "" || errors.Is(err, unix.ENXIO):
		return s.tellInactive(typed)
	case err != nil:
		return err
	case !device.Active:
		return &failure{code: exitParameters, cause: errors.New("the device has no table")}
	}
	state, err := apply.ReadVerityState(dm, name)
	if errors.Is(err, apply.ErrNotVerity) {
		return s.tellForeign(typed, name, device, err)
	}
	if err != nil {
		return err
	}
	if s.json {
		err = s.printJSON(newStatusObject(name, state))
	} else {
		fmt.Fprint(s.stdout, activeLine(typed, device), statusText(state))
		if s.verbose && state.Status.HasCorrections {
			fmt.Fprintf(s.stdout, "  FEC repaired: %d [events]\n", state.Status.Corrections)
		}
	}
	if err == nil && s.check && state.Status.Corrupted {
		return fail(exitPermission, "Device "+typed+" is corrupted.")
	}
	return err
}

func (s *session) tellInactive(typed string) error {
	if s.json {
		return errors.Join(&failure{code: exitDevice}, s.printJSON(statusObject{Name: typed}))
	}
	fmt.Fprintf(s.stdout, "%s is inactive.\n", shownPath(typed))
	return &failure{code: exitDevice}
}

// tellForeign is for mapped devices that are something else.
func (s *session) tellForeign(typed, name string, device devmapper.Device, err error) error {
	if s.json {
		return errors.Join(&failure{code: exitParameters, cause: err}, s.printJSON(newDeviceObject(name, device)))
	}
	fmt.Fprint(s.stdout, activeLine(typed, device), "  type:        n/a\n")
	return &failure{code: exitParameters, cause: err}
}

// shownPath is what a device is called in the output: a path that exists as it was typed.
func shownPath(typed string) string {
	if _, err := os.Stat(typed); err == nil && strings.Contains(typed, "/") {
		return typed
	}
	return "/dev/mapper/" + typed
}

func activeLine(typed string, device devmapper.Device) string {
	if device.OpenCount > 0 {
		return shownPath(typed) + " is active and is in use.\n"
	}
	return shownPath(typed) + " is active.\n"
}

// statusText is what the original prints of a verity device.
func statusText(state *apply.VerityState) string {
	t := state.Table
	var b strings.Builder
	line := func(label, format string, values ...any) {
		fmt.Fprintf(&b, "  %-13s"+format+"\n", append([]any{label + ":"}, values...)...)
	}
	sectors := func(label string, count uint64) {
		line(label, "%d [512-byte units] (%d [bytes])", count, count*sector)
	}
	device := func(label, number string) {
		line(label+" device", "%s", observe.DevicePath("/sys", number))
		if file := observe.LoopFile("/sys", number); file != "" {
			line(label+" loop", "%s", file)
		}
	}
	line("type", "VERITY")
	status := statusWord(state)
	if t.Options.SignatureKey != "" {
		status += " (with signature)"
	}
	line("status", "%s", status)
	line("hash type", "%d", t.HashType)
	line("data block", "%d [bytes]", t.DataBlockSize)
	line("hash block", "%d [bytes]", t.HashBlockSize)
	line("hash name", "%s", t.Algorithm)
	salt := hex.EncodeToString(t.Salt)
	if salt == "" {
		salt = "-"
	}
	line("salt", "%s", salt)
	device("data", t.DataDevice)
	sectors("size", state.Sectors)
	mode := "read/write"
	if state.ReadOnly {
		mode = "readonly"
	}
	line("mode", "%s", mode)
	device("hash", t.HashDevice)
	sectors("hash offset", t.StartBlock*uint64(t.HashBlockSize)/sector)
	if f := t.Options.FEC; f != nil {
		device("FEC", f.Device)
		sectors("FEC offset", f.Start*uint64(t.HashBlockSize)/sector)
		line("FEC roots", "%d", f.Roots)
	}
	line("root hash", "%x", t.RootHash)
	if flags := flagsText(t.Options.Flags()); flags != "" {
		line("flags", "%s", flags)
	}
	return b.String()
}

func statusWord(state *apply.VerityState) string {
	if state.Status.Corrupted {
		return "corrupted"
	}
	return "verified"
}

// flagsText separates the words by blanks, and ends in one where the original does: behind all but
// three words, of which it forgets to separate two from what follows.
func flagsText(words []string) string {
	if len(words) == 0 {
		return ""
	}
	text := strings.Join(words, " ")
	switch words[len(words)-1] {
	case "restart_on_error", "check_at_most_once", "try_verify_in_tasklet":
		return text
	}
	return text + " "
}
