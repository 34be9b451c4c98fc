package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cost is what one call took.
type cost struct {
	cpu      time.Duration // user and system, children included
	resident int64         // bytes, the largest
}

// figures are the costs of all calls, by "WHAT:COUNT PROGRAM".
type figures map[string][]cost

// read takes the lines of mergetimes out of an output.
func (f figures) read(output string) error {
	for line := range strings.Lines(output) {
		words := strings.Fields(line)
		if len(words) != 6 || words[0] != "took" {
			continue
		}
		cpu, err1 := strconv.ParseInt(words[3], 10, 64)
		resident, err2 := strconv.ParseInt(words[5], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("read %q: %w", line, err)
		}
		key := words[1] + " " + words[2]
		f[key] = append(f[key], cost{time.Duration(cpu), resident << 10})
	}
	if len(f) == 0 {
		return errors.New("nothing was timed")
	}
	return nil
}

// median returns the middle, and by how much the calls differ, as a share of it. No calls: zero.
func (f figures) median(what, program string) (middle time.Duration, spread float64) {
	var all []time.Duration
	for _, c := range f[what+" "+program] {
		all = append(all, c.cpu)
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	middle = all[len(all)/2]
	if middle > 0 {
		spread = float64(all[len(all)-1]-all[0]) / float64(middle)
	}
	return middle, spread
}

// resident is the largest of all calls.
func (f figures) resident(what, program string) int64 {
	largest := int64(0)
	for _, c := range f[what+" "+program] {
		largest = max(largest, c.resident)
	}
	return largest
}

// row is a line of the table.
type row struct {
	what, text string
	// target is the largest ratio to the peer that will do, 0 for what is shown only.
	target float64
}

var rows = []row{
	{"start:0", "a call that does nothing (--version)", 0},
	{"dirs-merge:1", "merge of 1 directory", 0.2},
	{"dirs-merge:10", "merge of 10 directories", 0.2},
	{"dirs-merge:90", "merge of 90 directories", 0.2},
	{"images-merge:1", "merge of 1 signed image", 0.5},
	{"images-merge:10", "merge of 10 signed images", 0.5},
	{"dirs-refresh:1", "refresh without change, 1 directory", 0.2},
	{"dirs-refresh:10", "the same, 10 directories", 0.2},
	{"dirs-refresh:90", "the same, 90 directories", 0.2},
	{"images-refresh:1", "the same, 1 signed image", 0.2},
	{"images-refresh:10", "the same, 10 signed images", 0.2},
	{"dirs-unmerge:1", "unmerge of 1 directory", 0},
	{"dirs-unmerge:90", "unmerge of 90 directories", 0},
	{"images-unmerge:10", "unmerge of 10 signed images", 0},
}

// The targets that have no peer.
const (
	memoryTarget = 24 << 20
	// An extension among the last ones may cost so much of one among the first.
	growthTarget = 1.25
)

func (f figures) print(w io.Writer) {
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	fmt.Fprintf(w, "%-38s %9s %9s %9s %7s %7s %s\n", "CPU in ms (repeats differ by)", "kernel", "preroot", "systemd", "ratio", "target", "")
	for _, r := range rows {
		ours, ourSpread := f.median(r.what, "preroot")
		theirs, theirSpread := f.median(r.what, "systemd")
		if ours == 0 || theirs == 0 {
			continue
		}
		floor := ""
		if kernel, _ := f.median(r.what, "floor"); kernel > 0 {
			floor = fmt.Sprintf("%.2f", ms(kernel))
		}
		ratio := float64(ours) / float64(theirs)
		fmt.Fprintf(w, "%-38s %9s %9.2f %9.2f %7.3f %s  (%.1f %%, %.1f %%)\n",
			r.text, floor, ms(ours), ms(theirs), ratio, verdict(r.target, ratio), 100*ourSpread, 100*theirSpread)
	}
	f.printGrowth(w)
}

// verdict says whether a target is reached.
func verdict(target, value float64) string {
	if target == 0 {
		return fmt.Sprintf("%7s %-11s", "", "")
	}
	word := "reached"
	if value > target {
		word = "NOT REACHED"
	}
	return fmt.Sprintf("%7.2f %-11s", target, word)
}

// printGrowth compares what one more extension costs among few and among many.
func (f figures) printGrowth(w io.Writer) {
	step := func(from, to int) float64 {
		less, _ := f.median(fmt.Sprintf("dirs-merge:%d", from), "preroot")
		more, _ := f.median(fmt.Sprintf("dirs-merge:%d", to), "preroot")
		if less == 0 || more == 0 {
			return 0
		}
		return float64(more-less) / float64(to-from) / 1e3
	}
	first, last := step(10, 100), step(200, 400)
	if first > 0 && last > 0 {
		fmt.Fprintf(w, "growth: one more directory costs %.1f us of CPU from 10 to 100, %.1f from 100 to 200, %.1f from 200 to 400: ratio %.2f %s\n",
			first, step(100, 200), last, last/first, verdict(growthTarget, last/first))
	}
	if resident := f.resident("dirs-merge:400", "preroot"); resident > 0 {
		const mebibyte = 1 << 20
		fmt.Fprintf(w, "memory: at most %.1f MiB resident for 400 directories, pages of the program's file included: target %d MiB %s\n",
			float64(resident)/mebibyte, memoryTarget/mebibyte, verdictWord(resident <= memoryTarget))
	}
}

func verdictWord(reached bool) string {
	if reached {
		return "reached"
	}
	return "NOT REACHED"
}
