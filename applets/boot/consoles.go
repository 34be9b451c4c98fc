package boot

import (
	"time"

	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/console"
)

// consoles is how a failure reaches people; tests have their own.
type consoles struct {
	// sys is where sysfs is mounted.
	sys    string
	active func() []string
	write  func(name, text string) error
	// watch sends whenever consoles came or went.
	watch func() <-chan struct{}
	// settle waits until the kernel has written what it was given before.
	settle func()
	// level is up to which priority the kernel's records reach the consoles; restoreLevel sets it.
	level        func() int
	restoreLevel func(int)
}

func machineConsoles() consoles {
	return consoles{
		sys:    console.Machine.Sys,
		active: console.Machine.Active,
		write:  func(name, text string) error { return console.Machine.Write(name, text, consoleTime) },
		watch:  watchConsoles,
		settle: func() {
			time.Sleep(printTime)
			bootlog.HideOnConsoles()
		},
		level:        bootlog.ConsoleLevel,
		restoreLevel: bootlog.SetConsoleLevel,
	}
}

// watchConsoles tells of changes as the kernel does. It ends with the machine.
func watchConsoles() <-chan struct{} {
	changes := make(chan struct{}, 1)
	watch, err := console.Machine.NewWatch()
	if err != nil {
		return changes
	}
	go func() {
		for {
			changed, err := watch.Wait(time.Hour)
			if err != nil {
				return
			}
			if changed {
				changes <- struct{}{}
			}
		}
	}()
	return changes
}
