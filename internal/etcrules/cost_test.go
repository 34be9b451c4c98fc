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
// last of the figures is the ratio, of the medians.
func BenchmarkOldEtc(b *testing.B) {
	shipped := tree{}
	for i := range 2000 {
		shipped.add(fmt.Sprintf("/etc/directory%d/sub%d/file%d", i%40, i%7, i), entry{kind: 'f', content: fmt.Sprintf("%0*d", 200+i, i)})
	}
	var cleanup, read []time.Duration
	for b.Loop() {
		b.StopTimer()
		top := newRoot(b, scenario(shipped, shipped))
		settings := flatcarLike
		settings.ResetFlag, settings.Tmpfiles, settings.Accounts = "", nil, ""
		readTree(b, top+"/etc") // both in the page cache
		readTree(b, top+settings.Reference)
		start := time.Now()
		readTree(b, top+"/etc")
		readTree(b, top+settings.Reference)
		read = append(read, time.Since(start))
		b.StartTimer()
		start = time.Now()
		done := runRules(b, top, settings, false)
		cleanup = append(cleanup, time.Since(start))
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
