package plan

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/veritytable"
)

func TestProbeVerity(t *testing.T) {
	var (
		good  error
		top   error = &hashtree.MismatchError{TopLevel: true, Level: 1}
		leaf  error = fmt.Errorf("path: %w", &hashtree.MismatchError{Level: 0, Block: 3})
		data  error = &hashtree.MismatchError{Level: -1}
		short error = fmt.Errorf("read: %w", io.ErrUnexpectedEOF)
		disk        = errors.New("input/output error")
	)
	plain := veritytable.Options{}
	deadly := veritytable.Options{OnCorruption: veritytable.Panic, OnError: veritytable.Panic}
	ignore := veritytable.Options{OnCorruption: veritytable.Ignore}
	corrected := veritytable.Options{FEC: &veritytable.FEC{}}
	both := veritytable.Options{FEC: &veritytable.FEC{}, OnCorruption: veritytable.Restart}
	onError := veritytable.Options{FEC: &veritytable.FEC{}, OnError: veritytable.Panic}
	for name, test := range map[string]struct {
		options veritytable.Options
		skip    bool
		samples []error // of the blocks 0, 1, 2
		blocks  []uint64
		gently  bool
		warning error
		err     error
	}{
		"good":                       {plain, false, []error{good, good, good}, []uint64{0, 1, 2}, false, nil, nil},
		"good, panic":                {deadly, false, []error{good, good, good}, []uint64{0, 1, 2}, false, nil, nil},
		"good, skipped":              {deadly, true, []error{good, good, good}, nil, false, nil, nil},
		"wrong root hash":            {plain, false, []error{top, top, top}, nil, false, nil, top},
		"wrong root hash, skipped":   {plain, true, []error{top, top, top}, nil, false, nil, top},
		"wrong root hash, panic":     {deadly, false, []error{top, top, top}, nil, false, nil, top},
		"wrong root hash, ignored":   {ignore, false, []error{top, top, top}, nil, false, nil, top},
		"wrong root hash, corrected": {corrected, false, []error{top, top, top}, []uint64{0, 1, 2}, false, top, nil},
		"and skipped":                {corrected, true, []error{top, top, top}, []uint64{0, 1, 2}, false, top, nil},
		"and with restart":           {both, false, []error{top, top, top}, []uint64{0, 1, 2}, true, top, nil},
		"and skipped with restart":   {both, true, []error{top, top, top}, []uint64{0, 1, 2}, true, top, nil},
		"damaged leaf":               {plain, false, []error{good, leaf, good}, nil, false, nil, leaf},
		"damaged leaf, panic":        {deadly, false, []error{good, leaf, good}, nil, false, nil, leaf},
		"damaged leaf, skipped":      {deadly, true, []error{good, leaf, good}, nil, false, nil, nil},
		"damaged leaf, ignored":      {ignore, false, []error{good, leaf, good}, []uint64{0, 1, 2}, false, leaf, nil},
		"damaged leaf, corrected":    {corrected, false, []error{good, leaf, good}, []uint64{0, 1, 2}, false, leaf, nil},
		"and panic on errors":        {onError, false, []error{good, leaf, good}, []uint64{0, 1, 2}, true, leaf, nil},
		"damaged data":               {deadly, false, []error{data, good, good}, nil, false, nil, data},
		"first damage counts":        {plain, false, []error{good, data, leaf}, nil, false, nil, data},
		"unreadable":                 {plain, false, []error{good, good, disk}, nil, false, nil, disk},
		"unreadable, ignored":        {ignore, false, []error{good, good, disk}, nil, false, nil, disk},
		"unreadable, corrected":      {corrected, false, []error{good, good, disk}, []uint64{0, 1, 2}, false, disk, nil},
		"unreadable, skipped":        {plain, true, []error{good, good, disk}, nil, false, nil, nil},
		"short":                      {deadly, false, []error{good, good, short}, []uint64{0, 1}, false, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var samples []observe.Sample
			for i, err := range test.samples {
				samples = append(samples, observe.Sample{Block: uint64(i), Err: err})
			}
			probe, warning, err := ProbeVerity(&test.options, samples, test.skip)
			if !slices.Equal(probe.Blocks, test.blocks) || probe.Gently != test.gently || warning != test.warning || err != test.err {
				t.Errorf("%+v, warning %v, error %v", probe, warning, err)
			}
		})
	}
}
