package boot

import (
	"errors"
	"fmt"
	"time"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/failurescreen"
	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/veritytable"
)

// The steps of the boot, as the report names them.
const (
	stepAPI        = "mount /proc, /sys, /dev and /run"
	stepSettings   = "read command line and settings"
	stepDevices    = "find devices"
	stepUsr        = "open /usr"
	stepRoot       = "look at the root"
	stepStage      = "look for a second stage"
	stepEnter      = "enter the second stage"
	stepStub       = "pass on what systemd-stub brought"
	stepMount      = "mount root and /usr"
	stepEtc        = "apply rules for /etc"
	stepExtensions = "merge extensions"
	stepHandOver   = "hand over"
)

// stepCodes are the codes of steps whose error says nothing closer: a plain one, and one for a refusal by plan.
var stepCodes = []struct {
	step           string
	plain, refused *failurescreen.Code
}{
	{stepAPI, &failurescreen.APIMount, &failurescreen.APIMount},
	{stepSettings, &failurescreen.Settings, &failurescreen.CommandLine},
	{stepDevices, &failurescreen.DeviceSearch, &failurescreen.DeviceRefused},
	{stepUsr, &failurescreen.UsrOpen, &failurescreen.UsrOpen},
	{stepRoot, &failurescreen.RootMount, &failurescreen.RootCheck},
	{stepStage, &failurescreen.UsrOpen, &failurescreen.CommandLine},
	{stepEnter, &failurescreen.HandOver, &failurescreen.HandOver},
	{stepStub, &failurescreen.HandOver, &failurescreen.HandOver},
	{stepMount, &failurescreen.RootMount, &failurescreen.RootCheck},
	{stepEtc, &failurescreen.EtcRules, &failurescreen.EtcRules},
	{stepExtensions, &failurescreen.ExtensionMerge, &failurescreen.ExtensionMerge},
	{stepHandOver, &failurescreen.HandOver, &failurescreen.HandOver},
}

// missingError says that a device did not appear.
type missingError struct {
	what  string
	limit time.Duration
	// present lists what there is.
	present string
	// ofRoot says that it is all that is missing: a second stage may know more.
	ofRoot bool
}

func (e *missingError) Error() string { return e.refusal().Error() }

func (e *missingError) refusal() *plan.Refusal {
	return &plan.Refusal{Reason: fmt.Sprintf("no partition %s appeared within %v", e.what, e.limit), Advice: e.present}
}

func (e *missingError) Unwrap() error {
	if e.ofRoot {
		return e.refusal()
	}
	return nil
}

// earlierError is one that stops the boot later than it was found: first a second stage was looked for.
type earlierError struct {
	step string
	err  error
}

func (e *earlierError) Error() string { return e.err.Error() }
func (e *earlierError) Unwrap() error { return e.err }

// failureCode returns the code of what went wrong in a step: what the error is counts more than where it happened.
func failureCode(step string, err error) failurescreen.Code {
	if earlier, ok := errors.AsType[*earlierError](err); ok {
		step = earlier.step
	}
	if is[*bugError](err) {
		return failurescreen.Bug
	}
	if is[*tooLongError](err) {
		return failurescreen.TooLong
	}
	if is[*deniedError](err) {
		return failurescreen.Passphrase
	}
	if mismatch, ok := errors.AsType[*hashtree.MismatchError](err); ok {
		if mismatch.TopLevel {
			return failurescreen.UsrHash
		}
		return failurescreen.UsrDamaged
	}
	plainCode, refusedCode := codesOf(step)
	switch {
	case is[*missingError](err):
		return failurescreen.DeviceMissing
	case is[*apply.RefusedError](err) && step == stepUsr:
		return failurescreen.UsrSignature
	case is[*veritytable.FieldError](err) && step == stepUsr:
		return failurescreen.UsrSuperblock
	case is[*plan.RequiredError](err):
		return failurescreen.ExtensionRequired
	case plainCode.Name == "":
		return failurescreen.Unknown
	case is[*plan.Refusal](err):
		return refusedCode
	default:
		return plainCode
	}
}

// codesOf returns those of a step; nothing for one that is not known.
func codesOf(step string) (plain, refused failurescreen.Code) {
	for _, codes := range stepCodes {
		if codes.step == step {
			return *codes.plain, *codes.refused
		}
	}
	return plain, refused
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
