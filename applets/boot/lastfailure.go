package boot

import (
	"os"
	"strings"
	"time"

	"github.com/preroot/preroot/internal/bootlog"
)

// keepTime bounds the firmware's work on a variable.
const keepTime = 5 * time.Second

// keep keeps the cause over the restart, if the machine can.
func (b *boot) keep(record string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		defer b.catch(&err)
		if where, err := b.last.Keep(record); err == nil {
			b.kept.Store(true)
			b.log.Printf(bootlog.Notice, "the cause is kept in the %s", where)
		}
	}()
	select {
	case <-done:
	case <-time.After(keepTime):
	}
}

// startReadingLast looks at what the boot before this one left, beside the boot: a firmware may take its time.
func (b *boot) startReadingLast() {
	const module = "efivarfs"
	_, err := os.Stat("/sys/firmware/efi")
	wanted := err == nil && b.index.IsLoadable(module)
	if wanted {
		b.reasons[module] = "keeps the cause of a failed boot"
	}
	b.lastRead = make(chan struct{})
	go b.guarded(func() {
		defer close(b.lastRead)
		if wanted {
			_ = b.loader.Load(module)
		}
		b.readLast()
	})()
}

// readLast reads how the boot before this one failed, for the report.
func (b *boot) readLast() {
	record, err := b.last.Read()
	if err != nil {
		b.warn("%v", err)
	}
	if record == "" {
		return
	}
	b.record(func() { b.report.PreviousFailure = record })
	b.log.Printf(bootlog.Notice, "previous failure: %s", strings.ReplaceAll(record, "\n", "; "))
}

// forgetLast removes what was kept of an earlier failure, now that a boot goes well. The report has it.
func (b *boot) forgetLast() {
	// execve(2) would wait for that thread as well, and with the deadline gone.
	<-b.lastRead
	var previous string
	b.record(func() { previous = b.report.PreviousFailure })
	if previous == "" && !b.kept.Load() {
		return
	}
	if err := b.last.Forget(); err != nil {
		b.warn("%v", err)
	}
}
