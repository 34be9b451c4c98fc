package apply

import (
	"errors"
	"os"

	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
)

// VerityStorage is what a verity device is made of. FEC is nil without error correction.
type VerityStorage struct {
	Data, Hash, FEC *observe.Storage
}

// AttachVerity fills the numbers of the devices into the table of v. Image files get a read-only loop
// device each, data and hash tree in one file share one. release lets go of them, after which they stay as long as
// the verity device does; it may be called after an error too.
func AttachVerity(v *plan.Verity, s VerityStorage) (release func() error, err error) {
	var loops []*loopdev.Device
	release = func() error {
		var failed error
		for _, loop := range loops {
			failed = errors.Join(failed, loop.Close())
		}
		loops = nil
		return failed
	}
	attach := func(storage *observe.Storage, blockSize uint32) string {
		if storage.Number != "" || err != nil {
			return storage.Number
		}
		loop, failed := loopdev.Attach(storage.File, 0, 0, min(blockSize, uint32(os.Getpagesize())))
		if failed != nil {
			err = failed
			return ""
		}
		loops = append(loops, loop)
		return loop.Number()
	}
	t := &v.Table
	if s.Data.Is(s.Hash) {
		t.DataDevice = attach(s.Data, min(t.DataBlockSize, t.HashBlockSize))
		t.HashDevice = t.DataDevice
	} else {
		t.HashDevice = attach(s.Hash, t.HashBlockSize)
		t.DataDevice = attach(s.Data, t.DataBlockSize)
	}
	if s.FEC != nil && t.Options.FEC != nil {
		t.Options.FEC.Device = attach(s.FEC, t.DataBlockSize)
	}
	return release, err
}
