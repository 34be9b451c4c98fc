//go:build guest

package apply

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRaisePriority: every thread is raised, and the one of restore, which becomes the next program, is not afterwards.
func TestRaisePriority(t *testing.T) {
	// More threads than one, in any case.
	blocked := make(chan struct{})
	for range 4 {
		go func() {
			var pipe [2]int
			if unix.Pipe(pipe[:]) == nil {
				<-blocked
			}
		}()
	}
	defer close(blocked)
	restore, err := RaisePriority()
	if err != nil {
		t.Fatal(err)
	}
	threads, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil || len(threads) < 2 {
		t.Fatalf("%q, %v", threads, err)
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			t.Fatal(err)
		}
		if nice := niceValue(t, string(stat)); nice != "-20" {
			t.Errorf("%s: nice value %s", thread, nice)
		}
	}
	restored := make(chan string)
	go func() {
		// The thread ends with the goroutine.
		err := restore()
		stat, readErr := os.ReadFile("/proc/thread-self/stat")
		if err != nil || readErr != nil {
			t.Errorf("%v, %v", err, readErr)
		}
		restored <- string(stat)
	}()
	if nice := niceValue(t, <-restored); nice != "0" {
		t.Errorf("the thread has the nice value %s afterwards", nice)
	}
}

// niceValue reads the field of /proc/PID/stat (proc_pid_stat(5): the 19th, the 17th after the name).
func niceValue(t *testing.T, stat string) string {
	t.Helper()
	_, fields, _ := strings.Cut(stat, ") ")
	values := strings.Fields(fields)
	if len(values) < 17 {
		t.Fatalf("stat %q", stat)
	}
	return values[16]
}
