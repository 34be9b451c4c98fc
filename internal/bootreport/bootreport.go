// Package bootreport is the record of one boot: what was found, what was
// decided and why, what was done, how long it took, and how it ended. PID 1
// fills it in, writes it as JSON for the real root, and renders it for people.
//
// The file is information only; nothing may depend on it.
package bootreport

import (
	"fmt"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/jsontext"
)

// Path is where the real root finds the report.
const Path = "/run/preroot/report.json"

// layoutVersion is that of the layout, which docs/report.md and docs/report.schema.json describe. A member that is added
// does not change it; one that is renamed, removed, or means something else does.
const layoutVersion = 1

// Report is the record. All times are on the kernel's monotonic clock, which
// starts with the kernel.
type Report struct {
	// Version counts changes of this layout that readers must know about.
	Version     int      `json:"version"`
	Profile     string   `json:"profile"`
	Versions    Versions `json:"versions"`
	Kernel      string   `json:"kernel"`
	CommandLine string   `json:"commandLine"`

	// StartedMS is when PID 1 began, EndedMS when it handed over, both in
	// milliseconds since the kernel began.
	StartedMS float64 `json:"startedMs"`
	EndedMS   float64 `json:"endedMs"`
	// UserMS and KernelMS are the processor time of PID 1 in its own code and in
	// the kernel on its behalf.
	UserMS   float64 `json:"userMs"`
	KernelMS float64 `json:"kernelMs"`

	Steps   []Step   `json:"steps"`
	Modules []Module `json:"modules"`
	// Devices are those that were chosen, in the order in which they were looked for.
	Devices []Device `json:"devices"`
	Usr     *Usr     `json:"usr,omitempty"`
	Root    *Root    `json:"root,omitempty"`
	// EarlyMounts are the entries of the root's fstab that were mounted, and the partition of the OEM.
	EarlyMounts []EarlyMount `json:"earlyMounts,omitempty"`
	// SecondStage is nil if the real root followed.
	SecondStage *SecondStage `json:"secondStage,omitempty"`
	// Rules are nil if there are none for this image.
	Rules  *Rules  `json:"rules,omitempty"`
	Merges []Merge `json:"merges"`
	// MountIDs are the unique mount ids of the final hierarchies.
	MountIDs map[string]uint64 `json:"mountIds"`
	Handover *Handover         `json:"handover,omitempty"`
	Warnings []string          `json:"warnings"`
	// Failure is the message the boot ended with; empty if it went well.
	Failure string `json:"failure,omitempty"`
	// FailureCode is its code (docs/failure.md), PreviousFailure how the boot before this one ended, if that was kept.
	FailureCode     string `json:"failureCode,omitempty"`
	PreviousFailure string `json:"previousFailure,omitempty"`
	// Shell says that somebody used a shell during this boot: what is true now need not be what was planned.
	Shell bool `json:"shell,omitempty"`
	// Resumed are the failures after which somebody had the boot go on.
	Resumed []Resume `json:"resumed,omitempty"`

	// kernelBefore is the processor time in the kernel when PID 1 began.
	kernelBefore time.Duration
}

// Step is one part of the boot.
type Step struct {
	Name       string  `json:"name"`
	StartMS    float64 `json:"startMs"`
	EndMS      float64 `json:"endMs"`
	DurationMS float64 `json:"durationMs"`
	// UserMS and KernelMS are the processor time of PID 1 meanwhile, with what its other threads did: modules are loaded
	// side by side with the steps.
	UserMS   float64 `json:"userMs"`
	KernelMS float64 `json:"kernelMs"`
	// Error is why it failed, or that the boot ended before it did.
	Error string `json:"error,omitempty"`
}

// Module is a kernel module that was loaded.
type Module struct {
	Name   string  `json:"name"`
	Reason string  `json:"reason"`
	LoadMS float64 `json:"loadMs"`
}

// Device is a block device that the boot took, and why this one.
type Device struct {
	// Use says what for.
	Use  string `json:"use"`
	Node string `json:"node"`
	// Disk is the kernel's name of the disk that it is a partition of; empty if it is a whole disk.
	Disk string `json:"disk,omitempty"`
	// Selector is what was looked for, in the words of the kernel command line.
	Selector string `json:"selector"`
	// Reason says where the selector comes from and, if it names more devices, why this one was taken.
	Reason string `json:"reason"`
	// Others counts further devices that the selector names.
	Others int `json:"others"`
}

// Verity is a file system under dm-verity.
type Verity struct {
	Data     string `json:"data"`
	Hash     string `json:"hash"`
	RootHash string `json:"rootHash"`
	// RootHashFrom says who gave the root hash; all trust begins there, or with the signature.
	RootHashFrom string `json:"rootHashFrom"`
	// Algorithm is the hash, in the kernel's words.
	Algorithm string `json:"algorithm"`
	UUID      string `json:"uuid"`
	// Signature says who has accepted the signature of the root hash, SignatureFrom where it was, and SignatureNote why
	// it was not accepted.
	Signature     string `json:"signature"`
	SignatureFrom string `json:"signatureFrom,omitempty"`
	SignatureNote string `json:"signatureNote,omitempty"`
}

// Usr is what /usr lies on. Without dm-verity there is at most Data of what Verity has, and nothing if it lies on the root.
type Usr struct {
	// Source is "verity", "device", "root" or "image"; empty if the boot ended before it was mounted.
	Source string `json:"source,omitempty"`
	// Verified says that something vouches for it.
	Verified      bool   `json:"verified"`
	Data          string `json:"data,omitempty"`
	Hash          string `json:"hash,omitempty"`
	RootHash      string `json:"rootHash,omitempty"`
	RootHashFrom  string `json:"rootHashFrom,omitempty"`
	Algorithm     string `json:"algorithm,omitempty"`
	UUID          string `json:"uuid,omitempty"`
	FileSystem    string `json:"fileSystem"`
	Signature     string `json:"signature"`
	SignatureFrom string `json:"signatureFrom,omitempty"`
	SignatureNote string `json:"signatureNote,omitempty"`
}

// Set takes over what is known of dm-verity.
func (u *Usr) Set(v Verity) {
	u.Data, u.Hash, u.RootHash, u.RootHashFrom, u.Algorithm, u.UUID = v.Data, v.Hash, v.RootHash, v.RootHashFrom, v.Algorithm, v.UUID
	u.Signature, u.SignatureFrom, u.SignatureNote = v.Signature, v.SignatureFrom, v.SignatureNote
}

// Root is the root file system.
type Root struct {
	Device     string `json:"device"`
	FileSystem string `json:"fileSystem"`
	// Volatile is the mode of systemd.volatile=; empty if nothing of the root is in memory.
	Volatile string `json:"volatile,omitempty"`
	// Verity is nil unless the root is under dm-verity.
	Verity *Verity `json:"verity,omitempty"`
}

// Merge is the outcome for one class of extensions.
type Merge struct {
	Class       string     `json:"class"`
	Mutable     string     `json:"mutable"`
	Decisions   []Decision `json:"decisions"`
	Hierarchies []string   `json:"hierarchies"`
	// Shadows are files of one extension that another one hides, in words.
	Shadows []string `json:"shadows,omitempty"`
	// BootRefresh says what the first start of systemd's service is to do, and why; empty where nothing was merged.
	BootRefresh string `json:"bootRefresh,omitempty"`
}

// Decision is what became of one extension.
type Decision struct {
	Name       string `json:"name"`
	Path       string `json:"path"`
	Accepted   bool   `json:"accepted"`
	Reason     string `json:"reason"`
	RootHash   string `json:"rootHash,omitempty"`
	Protection string `json:"protection"`
	Signature  string `json:"signature"`
	// SignatureNote says why a signature was not accepted.
	SignatureNote string `json:"signatureNote,omitempty"`
}

// Handover says how the root was switched and what the initramfs left behind.
type Handover struct {
	Way      string   `json:"way"`
	LeftOver []string `json:"leftOver"`
	Init     string   `json:"init"`
	// HelperMounts are mounts of the initramfs' that are still in the table.
	HelperMounts []string `json:"helperMounts"`
	// MemoryUsedKiB is MemTotal less MemAvailable just before init runs.
	MemoryUsedKiB int64 `json:"memoryUsedKiB"`
}

// New starts a record now.
func New(kernel, commandLine, profile string) *Report {
	_, before := processorTime()
	return &Report{
		Version: layoutVersion, Versions: readVersions(), Kernel: kernel, CommandLine: commandLine, Profile: profile, StartedMS: now(), kernelBefore: before,
		Steps: []Step{}, Modules: []Module{}, Devices: []Device{}, Merges: []Merge{}, Warnings: []string{}, MountIDs: map[string]uint64{},
	}
}

// now is CLOCK_MONOTONIC in milliseconds.
func now() float64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return milliseconds(time.Duration(t.Nano()))
}

func milliseconds(d time.Duration) float64 { return float64(d.Round(10*time.Microsecond)) / 1e6 }

// notEnded is the error of a step that was still running when the record was closed.
const notEnded = "the boot ended before this step did"

// Begin starts a step; the function returned ends it with its error.
func (r *Report) Begin(name string) (end func(error)) {
	at := len(r.Steps)
	user, kernel := processorTime()
	r.Steps = append(r.Steps, Step{Name: name, StartMS: now(), Error: notEnded})
	return func(err error) {
		step := &r.Steps[at]
		step.stop(user, kernel)
		step.Error = ""
		if err != nil {
			step.Error = err.Error()
		}
	}
}

// stop takes the time; user and kernel are the processor time at the start.
func (s *Step) stop(user, kernel time.Duration) {
	s.EndMS = now()
	s.DurationMS = round(s.EndMS - s.StartMS)
	userNow, kernelNow := processorTime()
	s.UserMS, s.KernelMS = milliseconds(userNow-user), milliseconds(kernelNow-kernel)
}

func round(ms float64) float64 { return float64(int64(ms*100+0.5)) / 100 }

// AddModule notes a loaded module.
func (r *Report) AddModule(name, reason string, took time.Duration) {
	r.Modules = append(r.Modules, Module{Name: name, Reason: reason, LoadMS: milliseconds(took)})
}

// End notes the end and the processor time used.
func (r *Report) End() {
	r.EndedMS = now()
	user, kernel := processorTime()
	r.UserMS, r.KernelMS = milliseconds(user), milliseconds(kernel-r.kernelBefore)
	for i := range r.Steps {
		if step := &r.Steps[i]; step.Error == notEnded && step.EndMS == 0 {
			step.EndMS, step.DurationMS = r.EndedMS, round(r.EndedMS-step.StartMS)
		}
	}
}

// processorTime is what this process has used so far. PID 1 was the kernel's
// own start before it became a program, so its time in the kernel does not
// begin at zero; its time in user space does.
func processorTime() (user, kernel time.Duration) {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0, 0
	}
	return time.Duration(usage.Utime.Nano()), time.Duration(usage.Stime.Nano())
}

// Write writes the report as JSON, replacing the file as a whole.
func (r *Report) Write(file string) error {
	text := jsontext.Encode("  ", r.fields)
	if err := os.MkdirAll(path.Dir(file), 0o755); err != nil {
		return err
	}
	temporary := file + ".new"
	if err := os.WriteFile(temporary, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, file)
}

// Read reads a report.
func Read(text []byte) (*Report, error) {
	var r Report
	if err := jsontext.Decode(text, r.fields); err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	if r.Version != layoutVersion {
		return nil, fmt.Errorf("read report: version %d is unknown", r.Version)
	}
	return &r, nil
}
