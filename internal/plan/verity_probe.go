package plan

import (
	"errors"
	"io"

	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/veritytable"
)

// Probe are data blocks that are read through a fresh device, since a table alone proves nothing:
// dm-verity finds damage, and a wrong root hash, at the first read.
type Probe struct {
	Blocks []uint64
	// Gently says that the blocks are read through a table without its panic and restart words first, and
	// the whole table loaded after that.
	Gently bool
}

// ProbeVerity decides which blocks to read, from what a look at them in user space has shown. The error
// is a reason not to open the device at all; warning is damage that the options allow, or that the
// kernel's error correction may mend.
//
// With skip nothing is read, and only a tree that does not belong to the root hash is an error. Where
// error correction could mend that the kernel has to prove it all the same.
func ProbeVerity(o *veritytable.Options, samples []observe.Sample, skip bool) (probe Probe, warning, err error) {
	deadly := o.OnCorruption == veritytable.Panic || o.OnCorruption == veritytable.Restart || o.OnError != veritytable.Fail
	for _, sample := range samples {
		mismatch, _ := errors.AsType[*hashtree.MismatchError](sample.Err)
		top := mismatch != nil && mismatch.TopLevel
		switch {
		case sample.Err == nil:
			if skip {
				continue
			}
		case errors.Is(sample.Err, io.ErrUnexpectedEOF):
			// The kernel refuses devices that are too small, and says which.
			continue
		case skip && !top:
			continue
		case o.FEC != nil:
			probe.Gently = deadly
			warning = sample.Err
		case mismatch != nil && !top && o.OnCorruption == veritytable.Ignore:
			warning = sample.Err
		default:
			return Probe{}, nil, sample.Err
		}
		probe.Blocks = append(probe.Blocks, sample.Block)
	}
	return probe, warning, nil
}
