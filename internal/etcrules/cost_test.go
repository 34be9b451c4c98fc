//go:build hostroot

package etcrules

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkOldEtc removes a full old /etc of 2,000 files, and for comparison only reads that and the reference once: names, what stat tells, content. The
// ratios are those of the medians, of the time that passed and of processor time.
func BenchmarkOldEtc(b *testing.B) {
	shipped := tree{}
	for i := range 2000 {
		shipped.add(fmt.Sprintf("/etc/directory%d/sub%d/file%d", i%40, i%7, i), entry{kind: 'f', content: fmt.Sprintf("%0*d", 200+i, i)})
	}
	var cleanup, read, cleanupCPU, readCPU []time.Duration
	for b.Loop() {
		b.StopTimer()
		top := newRoot(b, scenario(shipped, shipped))
		settings := flatcarLike
		settings.ResetFlag, settings.Tmpfiles, settings.Accounts = "", nil, ""
		readTree(b, top+"/etc") // both in the page cache
		readTree(b, top+settings.Reference)
		start, used := time.Now(), processorTime(b)
		readTree(b, top+"/etc")
		readTree(b, top+settings.Reference)
		read, readCPU = append(read, time.Since(start)), append(readCPU, processorTime(b)-used)
		b.StartTimer()
		start, used = time.Now(), processorTime(b)
		done := runRules(b, top, settings, false)
		cleanup, cleanupCPU = append(cleanup, time.Since(start)), append(cleanupCPU, processorTime(b)-used)
		b.StopTimer()
		if done.Count("R7", Remove) < 2000 {
			b.Fatalf("removed %d", done.Count("R7", Remove))
		}
		if err := os.RemoveAll(filepath.Dir(top)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(median(read).Microseconds())/1000, "read-ms")
	b.ReportMetric(float64(median(cleanup).Microseconds())/1000, "cleanup-ms")
	b.ReportMetric(float64(median(cleanup))/float64(median(read)), "ratio")
	b.ReportMetric(float64(median(cleanupCPU))/float64(median(readCPU)), "cpu-ratio")
}

// processorTime is what this process has used: on a machine that does other things, too, it tells more than the clock.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func median(times []time.Duration) time.Duration {
	for i := range times { // few of them
		for j := i + 1; j < len(times); j++ {
			if times[j] < times[i] {
				times[i], times[j] = times[j], times[i]
			}
		}
	}
	return times[len(times)/2]
}

// readTree reads a tree once, as plainly and as quickly as can be: by names in open directories.
func readTree(b *testing.B, top string) {
	d, err := openDirectory(unix.AT_FDCWD, top, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer d.close()
	readDirectory(b, d, make([]byte, 64<<10))
}

func readDirectory(b *testing.B, d *directory, buffer []byte) {
	names, err := d.names()
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range names {
		f, err := d.stat(name)
		if err != nil {
			b.Fatal(err)
		}
		if f.isDirectory() {
			below, err := d.open(name)
			if err != nil {
				b.Fatal(err)
			}
			readDirectory(b, below, buffer)
			below.close()
			continue
		}
		fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := readFull(fd, buffer); err != nil || int64(n) != f.size {
			b.Fatal(n, err)
		}
		unix.Close(fd)
	}
}
