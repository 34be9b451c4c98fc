//go:build vm

// Command demo boots the testbed's guest with preroot on the newest kernel,
// shows its console, and says what was proved. It exits with 1 when something
// was not. The folder with the guest is named by PREROOT_TESTBED; bin/preroot
// must have been built. scripts/demo does all that.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"github.com/preroot/preroot/internal/vmtest"
	"github.com/preroot/preroot/internal/vmtest/scenario"
	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "preroot-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	machine, err := scenario.Prepare(vmtest.Forky, dir)
	if err != nil {
		return err
	}
	image, err := os.Stat(machine.Initrd)
	if err != nil {
		return err
	}
	fmt.Printf("==> kernel %s, initramfs %d bytes; the guest's console:\n", machine.Kernel.Release, image.Size())
	guest, err := machine.Boot(ctx, scenario.Start{
		Append: scenario.RefreshWords(vmtest.Forky), Log: &inset{dim: isTerminal(os.Stdout)},
	})
	if err != nil {
		return err
	}
	report, err := scenario.Parse(guest.Console)
	if err != nil {
		return err
	}
	findings := scenario.Check(report, machine.Kernel.Release)
	fmt.Printf("\n==> what was proved (%s, %.1f s)\n", guest.Accelerator, guest.Wall.Seconds())
	for _, f := range findings {
		fmt.Println(f)
	}
	failed := len(scenario.Failed(findings))
	fmt.Printf("%d proved, %d failed\n", len(findings)-failed, failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d points were not proved", failed, len(findings))
	}
	return nil
}

// escapes are the terminal sequences that systemd and the firmware print: CSI
// ... letter, OSC ... end, and the short ones (ECMA-48).
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-_a-z])`)

// inset writes whole lines of a console to standard output, set off from our
// own: dimmed on a terminal, else indented. Escape sequences of the guest are
// left out, so that it cannot change the terminal's state.
type inset struct {
	dim     bool
	partial []byte
}

func (w *inset) Write(b []byte) (int, error) {
	w.partial = append(w.partial, b...)
	for {
		end := bytes.IndexByte(w.partial, '\n')
		if end < 0 {
			return len(b), nil
		}
		w.print(w.partial[:end])
		w.partial = w.partial[end+1:]
	}
}

func (w *inset) print(line []byte) {
	text := bytes.Map(func(r rune) rune {
		if (r < ' ' && r != '\t') || r == 0x7f {
			return -1
		}
		return r
	}, escapes.ReplaceAll(line, nil))
	if w.dim {
		fmt.Printf("\x1b[2m    %s\x1b[0m\n", text)
		return
	}
	fmt.Printf("    %s\n", text)
}

func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}
