package verity

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/veritytable"
)

// refusal says why a device was not opened: in the original's words, with the kernel's own reason behind
// them. err stays in the chain.
func (o *opening) refusal(err error, mapping *plan.Verity) error {
	if probe, ok := errors.AsType[*apply.ProbeError](err); ok {
		return &failure{code: exitPermission, cause: err,
			lines: "Verity device detected corruption after activation, device " + o.name + " is removed: " + probe.Error() + "."}
	}
	refused, ok := errors.AsType[*devmapper.Error](err)
	switch {
	case !ok:
		return err
	case refused.Command == devmapper.CommandCreate && errors.Is(refused.Errno, unix.EBUSY):
		// Somebody else was faster.
		return &failure{code: exitBusy, lines: "Device " + o.name + " already exists.", cause: err}
	case refused.Command == devmapper.CommandCreate:
		return &failure{code: exitBusy, cause: err,
			lines: fmt.Sprintf("device-mapper: create ioctl on %s %s failed: %s", o.name, mapping.UUID, errnoText(refused.Errno))}
	case refused.Command != devmapper.CommandLoad:
		return &failure{code: exitBusy, lines: refused.Error(), cause: err}
	}
	lines := fmt.Sprintf("device-mapper: reload ioctl on %s (%s) failed: %s", o.name, refused.For.Number(), errnoText(refused.Errno))
	if refused.KernelLog != "" {
		lines += "\nKernel: " + refused.KernelLog + "."
	}
	version, loaded, _ := o.dm.TargetVersion("verity")
	if lacking := lackingSupport(&mapping.Table.Options, version, loaded, refused.KernelLog); lacking != "" {
		return &failure{code: exitParameters, lines: lines + "\n" + lacking, cause: err}
	}
	code := exitBusy
	if errors.Is(refused.Errno, unix.ENOKEY) {
		code = exitParameters
	}
	return &failure{code: code, lines: lines, cause: err}
}

// lackingSupport is what the original says about a kernel that does not know what was asked for: by the
// version of its target, and by what it complained about, since FEC and signatures can be left out of any
// version. It is empty if that is not the reason.
func lackingSupport(o *veritytable.Options, version devmapper.TargetVersion, loaded bool, kernelLog string) string {
	if !loaded {
		return "Kernel does not support dm-verity mapping."
	}
	// The versions of the target that came with the words; where the number was not raised, that of the
	// next one, which tells less, but nothing wrong.
	const corruption = "Requested dm-verity data corruption handling options are not supported."
	for _, feature := range []struct {
		wanted       bool
		major, minor uint32
		words        []string
		text         string
	}{
		{o.OnCorruption != veritytable.Fail, 1, 2, []string{"ignore_corruption", "restart_on_corruption", "panic_on_corruption"}, corruption},
		{o.OnCorruption == veritytable.Panic, 1, 7, nil, corruption},
		{o.OnError != veritytable.Fail, 1, 10, []string{"restart_on_error", "panic_on_error"}, corruption},
		{o.IgnoreZeroBlocks, 1, 3, []string{"ignore_zero_blocks"}, corruption},
		{o.CheckAtMostOnce, 1, 4, []string{"check_at_most_once"}, corruption},
		{o.TryVerifyInTasklet, 1, 9, []string{"try_verify_in_tasklet"}, "Requested dm-verity tasklets option is not supported."},
		{o.FEC != nil, 1, 3, []string{"use_fec_from_device"}, "Requested dm-verity FEC options are not supported."},
		{o.SignatureKey != "", 1, 5, []string{"root_hash_sig_key_desc"}, "Kernel does not support dm-verity signature option."},
	} {
		if !feature.wanted {
			continue
		}
		if !version.AtLeast(feature.major, feature.minor) || isUnrecognized(kernelLog, feature.words...) {
			return feature.text
		}
	}
	return ""
}

// isUnrecognized reports whether the kernel complained about one of the words.
func isUnrecognized(kernelLog string, words ...string) bool {
	_, word, found := strings.Cut(kernelLog, "Unrecognized verity feature request: ")
	for _, known := range words {
		if found && word == known {
			return true
		}
	}
	return false
}

// lacksWord reports whether a table was refused because of a word.
func lacksWord(err error, word string) bool {
	refused, ok := errors.AsType[*devmapper.Error](err)
	return ok && refused.Command == devmapper.CommandLoad && isUnrecognized(refused.KernelLog, word)
}

// errnoText is the C library's text of an error number, which starts with a capital.
func errnoText(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):]
}
