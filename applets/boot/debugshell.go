package boot

import (
	"time"

	"github.com/preroot/preroot/internal/bootlog"
)

const (
	// againTime is waited for before a shell is opened again that was left.
	againTime = time.Second
	// endTime bounds the end of the shell.
	endTime = 10 * time.Second
)

// startDebugShell opens a shell beside the boot, on the terminal that the kernel command line names, for as long as the initramfs
// lasts. Without one nothing happens.
func (b *boot) startDebugShell() {
	if !hasShell || b.debugTerminal == "" || b.program.Shell == nil || b.endDebugShell != nil {
		return
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	b.endDebugShell = func() {
		close(stop)
		select {
		case <-ended:
		case <-time.After(endTime):
			b.warn("the shell on %s does not end", b.debugTerminal)
		}
	}
	b.log.Printf(bootlog.Notice, "a shell is open on %s", b.debugTerminal)
	go b.guarded(func() {
		defer close(ended)
		for {
			_, err := b.offer(Offer{
				Terminal: b.debugTerminal, Stop: stop, NotResumable: "the boot goes on by itself",
				Greeting: "The boot goes on beside this shell, which ends with it.\n",
			})
			select {
			case <-stop:
				return
			default:
			}
			if err != nil {
				b.warn("shell on %s: %v", b.debugTerminal, err)
				return
			}
			time.Sleep(againTime)
		}
	})()
}

// stopDebugShell ends it: nobody may use the initramfs any more.
func (b *boot) stopDebugShell() {
	if b.endDebugShell != nil {
		b.endDebugShell()
		b.endDebugShell = nil
	}
}
