package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has used since it began.
type usage struct {
	// cpu is the time of all its threads on processors, switches how often they were switched.
	cpu      time.Duration
	switches int
	threads  int
}

// watch says what PID 1 uses between two times, in seconds from now.
func watch(word string) error {
	begin, end, err := parseTimes(word)
	if err := ready(); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	time.Sleep(begin)
	before, err := readUsage("/proc/1")
	if err != nil {
		return err
	}
	time.Sleep(end - begin)
	after, err := readUsage("/proc/1")
	if err != nil {
		return err
	}
	say("watched %.0f s: cpu=%d us switches=%d threads=%d before: cpu=%d us switches=%d threads=%d", (end - begin).Seconds(),
		(after.cpu - before.cpu).Microseconds(), after.switches-before.switches, after.threads, before.cpu.Microseconds(), before.switches, before.threads)
	return nil
}

func parseTimes(word string) (begin, end time.Duration, err error) {
	first, second, _ := strings.Cut(word, ",")
	from, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return 0, 0, fmt.Errorf("read times %q: %w", word, err)
	}
	to, err := strconv.ParseUint(second, 10, 16)
	if err != nil {
		return 0, 0, fmt.Errorf("read times %q: %w", word, err)
	}
	if to <= from {
		return 0, 0, fmt.Errorf("read times %q: the second must be later", word)
	}
	return time.Duration(from) * time.Second, time.Duration(to) * time.Second, nil
}

// readUsage adds up the threads of a process.
func readUsage(process string) (u usage, err error) {
	threads, err := filepath.Glob(filepath.Join(process, "task/*"))
	// A pattern that makes no sense is the only error there is.
	if err != nil || len(threads) == 0 {
		return u, fmt.Errorf("no threads below %s", process)
	}
	for _, thread := range threads {
		status, err := os.ReadFile(filepath.Join(thread, "status"))
		if err != nil {
			return u, err
		}
		count, err := switches(string(status))
		if err != nil {
			return u, err
		}
		// Nanoseconds on a processor, waiting for one, and how often.
		times, err := os.ReadFile(filepath.Join(thread, "schedstat"))
		if err != nil {
			return u, err
		}
		first, _, _ := strings.Cut(string(times), " ")
		cpu, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(cpu)
		u.switches += count
		u.threads++
	}
	return u, nil
}

// switches reads how often a thread gave its processor away, and how often it lost it (proc_pid_status(5)).
func switches(status string) (count int, err error) {
	found := 0
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		if key != "voluntary_ctxt_switches" && key != "nonvoluntary_ctxt_switches" {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil {
			return 0, err
		}
		count += n
		found++
	}
	if found != 2 {
		return 0, fmt.Errorf("%d counts of switches in a status, want 2", found)
	}
	return count, nil
}
