package vmtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Config describes one machine. Kernel is needed.
type Config struct {
	// Kernel is a bzImage, Initrd an initramfs image (none when empty).
	Kernel, Initrd string

	// Arch is ARM64 for a machine of that kind, which is emulated whatever this one is, with a kernel image that is
	// not packed; empty for x86-64.
	Arch string

	// Append is the whole kernel command line. A serial console is only there
	// with console=ttyS0 (ttyAMA0 on arm64), and a panic ends the machine only with panic=-1.
	Append string

	Disks []Disk

	// Plugs are disks that come later.
	Plugs []Plug

	// MemoryMiB is the guest's memory, 2048 when 0. CPUs is 2 when 0.
	MemoryMiB, CPUs int

	// Timeout is how long the machine may run; 180 s when 0. The wait for a
	// slot does not count.
	Timeout time.Duration

	// Log gets the console as it is printed, and a line of ours where a boot is
	// tried again; none when nil.
	Log io.Writer

	// Reached is a text that the console has once the guest's init ran. A boot
	// that ends without it is tried once more, since an emulator may fail
	// before our code runs at all. No boot is tried again when empty.
	Reached string

	// Accelerator is found by trying when empty.
	Accelerator Accelerator

	// Dialog is what somebody types on the first serial port, one exchange after another.
	Dialog []Exchange

	// SecondConsole is a file for what a console of another kind prints (hvc0: Linux takes one serial port as a console, and no more);
	// there is none when empty.
	SecondConsole string

	// SecondDialog is what somebody types on that console.
	SecondDialog []Exchange

	// Network adds a virtio network device of QEMU's user network: it has 10.0.2.2 and fec0::2, which answer a ping, and leads nowhere else.
	Network bool

	// Until is a text on the console after which the machine is ended; empty for never.
	Until string

	// Counted makes a machine of one processor whose clock counts instructions, one a nanosecond: what a process in
	// it takes repeats. It is emulated, whatever Accelerator says, and wants CountedWords in Append. Disks would
	// spoil it.
	Counted bool
}

// CountedWords are for the command line of the kernel of a counted machine.
const CountedWords = "nokaslr random.trust_cpu=off tsc=reliable transparent_hugepage=never"

// Disk is a raw image attached to the guest. With Snapshot the guest's writes
// are thrown away at the end.
type Disk struct {
	Path     string
	Bus      Bus
	Snapshot bool

	// WriteLog is a file that gets a note of each write, in the format of package writelog; none when empty.
	WriteLog string
}

// End says how a machine came to its end.
type End string

// The ends of a machine.
const (
	// EndedByGuest: reset or powered off from inside.
	EndedByGuest End = "ended by the guest"
	// EndedByTimeout: killed when Config.Timeout was over.
	EndedByTimeout End = "killed after the timeout"
	// EndedAtText: killed after Config.Until was printed.
	EndedAtText End = "killed after the text it ran for"
)

// Run is what is known of a machine that ended.
type Run struct {
	// Console is all that the serial port printed, with plain line ends.
	Console string
	Lines   []Line

	End End

	// Wall is the time from QEMU's start to its end.
	Wall time.Duration

	Accelerator Accelerator

	// Discarded is the console of the boot that was tried again; empty when
	// there was none.
	Discarded string
}

// Find returns the first line that contains text.
func (r *Run) Find(text string) (Line, bool) {
	for _, line := range r.Lines {
		if strings.Contains(line.Text, text) {
			return line, true
		}
	}
	return Line{}, false
}

// Count returns how many lines contain text.
func (r *Run) Count(text string) int {
	count := 0
	for _, line := range r.Lines {
		if strings.Contains(line.Text, text) {
			count++
		}
	}
	return count
}

// Tail returns the last lines of the console, at most count of them.
func (r *Run) Tail(count int) string {
	var text strings.Builder
	for _, line := range r.Lines[max(0, len(r.Lines)-count):] {
		text.WriteString(line.Text)
		text.WriteByte('\n')
	}
	return text.String()
}

// Boot runs a machine until it ends or its time is over. A timeout is a result
// (Run.End), not an error. An error means that there was no run to judge: a
// missing file, QEMU failed, the context ended, or the guest's init was not
// reached in two boots; in the last case the Run is returned as well.
func Boot(ctx context.Context, c Config) (*Run, error) {
	if err := c.complete(ctx); err != nil {
		return nil, err
	}
	run, err := c.bootOnce(ctx)
	if err != nil || c.Reached == "" || strings.Contains(run.Console, c.Reached) {
		return run, err
	}
	if c.Log != nil {
		fmt.Fprintf(c.Log, "\nvmtest: the machine %s after %.1f s without %q on its console; trying once more\n",
			run.End, run.Wall.Seconds(), c.Reached)
	}
	again, err := c.bootOnce(ctx)
	if err != nil {
		return nil, err
	}
	again.Discarded = run.Console
	if !strings.Contains(again.Console, c.Reached) {
		return again, fmt.Errorf("boot: two boots ended without %q on the console; the last lines:\n%s",
			c.Reached, again.Tail(20))
	}
	return again, nil
}

func (c *Config) complete(ctx context.Context) error {
	files := []string{c.Kernel}
	if c.Initrd != "" {
		files = append(files, c.Initrd)
	}
	for _, disk := range c.Disks {
		files = append(files, disk.Path)
	}
	for _, plug := range c.Plugs {
		files = append(files, plug.Path)
	}
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("boot: %w", err)
		}
	}
	if c.MemoryMiB == 0 {
		c.MemoryMiB = 2048
	}
	if c.CPUs == 0 {
		c.CPUs = 2
	}
	if c.Timeout == 0 {
		c.Timeout = 180 * time.Second
	}
	if c.Counted {
		c.Accelerator, c.CPUs = TCG, 1
	}
	if c.Arch == ARM64 {
		c.Accelerator = TCG
	}
	if c.Accelerator == "" {
		found, _, err := FindAccelerator(ctx, c.Kernel)
		if err != nil {
			return err
		}
		c.Accelerator = found
	}
	return nil
}

func (c *Config) bootOnce(ctx context.Context) (*Run, error) {
	release, err := takeSlot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	limited, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()

	var overflow atomic.Bool
	serial := &console{copyTo: c.Log, full: func() { overflow.Store(true); cancel() }}
	complaints := &complaintWriter{stop: cancel}
	command := exec.CommandContext(limited, c.program(), commandLine(*c)...)
	if len(c.Dialog) > 0 {
		input, typed := io.Pipe()
		defer input.Close()
		serial.talk = newDialog(c.Dialog, typed)
		// QEMU's copy of the input ends with the machine, not the machine with the input.
		stdin, err := command.StdinPipe()
		if err != nil {
			return nil, fmt.Errorf("boot: %w", err)
		}
		go func() { _, _ = io.Copy(stdin, input) }()
	}
	var reached atomic.Bool
	if c.Until != "" {
		serial.until, serial.reached = c.Until, func() { reached.Store(true); cancel() }
	}
	var plugs *plugger
	if len(c.Plugs) > 0 {
		if plugs, err = newPlugger(c.Plugs); err != nil {
			return nil, err
		}
		serial.plugs = plugs
		command.ExtraFiles = []*os.File{plugs.machine}
		plugs.start(limited, cancel)
	}
	if len(c.SecondDialog) > 0 {
		machine, end, err := typeOnSecond(c.SecondDialog)
		if err != nil {
			return nil, err
		}
		defer end()
		command.ExtraFiles = append(command.ExtraFiles, machine)
	}
	command.Stdout, command.Stderr = serial, complaints
	// Without this a killed test would leave the machine running.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	serial.start = time.Now()
	err = runLocked(command)
	run := &Run{Wall: time.Since(serial.start), Accelerator: c.Accelerator, End: EndedByGuest}
	run.Console, run.Lines = serial.finish()
	timedOut := errors.Is(limited.Err(), context.DeadlineExceeded)
	if plugs != nil {
		cancel()
		if failed := plugs.close(); failed != nil {
			return nil, fmt.Errorf("boot: %w", failed)
		}
	}
	switch {
	case err == nil:
		return run, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("boot: %w", ctx.Err())
	case reached.Load():
		run.End = EndedAtText
		return run, nil
	case overflow.Load():
		return nil, fmt.Errorf("boot: the console printed more than %d MiB", consoleLimit>>20)
	case complaints.kvmFailed():
		return nil, fmt.Errorf("boot: KVM failed in the middle of the run (%s=tcg goes without it): %s",
			AcceleratorVariable, complaints.first())
	case timedOut:
		run.End = EndedByTimeout
		return run, nil
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("boot: %w (scripts/install-tools installs it)", err)
	}
	return nil, fmt.Errorf("boot: QEMU: %w: %s", err, complaints.first())
}

// runLocked keeps the thread that started the child until the child ended: the
// kernel sends Pdeathsig when the thread dies, not the process.
func runLocked(command *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return command.Run()
}

// complaintWriter keeps what QEMU says on standard error and ends a machine
// that KVM has paused.
type complaintWriter struct {
	text bytes.Buffer
	stop func()
}

func (w *complaintWriter) Write(b []byte) (int, error) {
	if w.text.Len() < 64<<10 {
		w.text.Write(b)
	}
	if w.kvmFailed() {
		w.stop()
	}
	return len(b), nil
}

func (w *complaintWriter) kvmFailed() bool { return bytes.Contains(w.text.Bytes(), []byte(kvmError)) }

// first returns the first line of the complaints.
func (w *complaintWriter) first() string {
	line, _, _ := strings.Cut(strings.TrimSpace(w.text.String()), "\n")
	return line
}
