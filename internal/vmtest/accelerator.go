package vmtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Accelerator is a value of QEMU's -accel option.
type Accelerator string

// The two accelerators this harness uses.
const (
	KVM Accelerator = "kvm"
	TCG Accelerator = "tcg"
)

// AcceleratorVariable names the environment variable that decides instead of
// the trial: "kvm" or "tcg".
const AcceleratorVariable = "PREROOT_ACCEL"

// probeLimit bounds the trial: a kernel on working KVM is through in about a
// second, and a KVM that stops in the middle stays silent for ever.
const probeLimit = 15 * time.Second

// probeAnswer is what a kernel without initramfs and root says at the end of
// its start. Only a guest that executed the whole of it gets that far.
const probeAnswer = "Unable to mount root fs"

var probed struct {
	sync.Mutex
	done        bool
	accelerator Accelerator
	reason      string
}

// FindAccelerator says which accelerator works on this machine and why, by
// booting the given kernel under KVM up to the point where it misses a root
// file system. That /dev/kvm opens proves nothing: nested KVM may run the
// firmware and then fail in the kernel. PREROOT_ACCEL decides without a trial.
// The answer is found once a process, with the first kernel that is asked for.
func FindAccelerator(ctx context.Context, kernel string) (Accelerator, string, error) {
	switch value := os.Getenv(AcceleratorVariable); value {
	case "":
	case string(KVM), string(TCG):
		return Accelerator(value), AcceleratorVariable + " says so", nil
	default:
		return "", "", fmt.Errorf("read %s: %q is neither kvm nor tcg", AcceleratorVariable, value)
	}
	probed.Lock()
	defer probed.Unlock()
	if !probed.done {
		reason := tryKVM(ctx, kernel)
		if ctx.Err() != nil {
			return "", "", fmt.Errorf("try KVM: %w", ctx.Err())
		}
		probed.done = true
		probed.accelerator, probed.reason = TCG, reason
		if reason == "" {
			probed.accelerator, probed.reason = KVM, "a kernel ran on it"
		}
	}
	return probed.accelerator, probed.reason, nil
}

// tryKVM returns an empty text when a kernel ran on KVM, else why not.
func tryKVM(ctx context.Context, kernel string) string {
	device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return err.Error()
	}
	device.Close()
	return runProbe(ctx, kernel)
}

func runProbe(ctx context.Context, kernel string) string {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	arguments := commandLine(Config{
		Kernel: kernel, Append: "console=ttyS0 panic=-1", MemoryMiB: 256, CPUs: 1, Accelerator: KVM,
	})
	command := exec.CommandContext(ctx, qemuProgram, arguments...)
	output := &probeOutput{stop: cancel}
	command.Stdout, command.Stderr = output, output
	err := command.Run()
	return output.verdict(err)
}

// probeOutput collects what the trial prints and ends it at the first word
// that decides.
type probeOutput struct {
	text bytes.Buffer
	stop func()
}

func (o *probeOutput) Write(b []byte) (int, error) {
	o.text.Write(b)
	if bytes.Contains(o.text.Bytes(), []byte(probeAnswer)) || bytes.Contains(o.text.Bytes(), []byte(kvmError)) {
		o.stop()
	}
	return len(b), nil
}

func (o *probeOutput) verdict(err error) string {
	text := o.text.String()
	if strings.Contains(text, probeAnswer) {
		return ""
	}
	if strings.Contains(text, kvmError) {
		return "/dev/kvm opens, but the kernel stops with \"" + kvmError + "\""
	}
	if err != nil {
		return fmt.Sprintf("/dev/kvm opens, but no kernel ran on it: %v: %s", err, lastLine(text))
	}
	return "/dev/kvm opens, but the kernel ended early: " + lastLine(text)
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
