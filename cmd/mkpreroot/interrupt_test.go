package main

import (
	"bytes"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mainVariable makes a program of this test.
const mainVariable = "PREROOT_TEST_MKPREROOT"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestSignals: a build that is stopped says so in a line, leaves the earlier image, and ends as the signal would have it.
func TestSignals(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			folder, arguments := makeTree(t)
			place := t.TempDir()
			image, begun, compressor := filepath.Join(place, "image"), filepath.Join(folder, "begun"), filepath.Join(folder, "compressor")
			writeFile(t, image, "earlier image")
			// It takes nothing, so the build stands still.
			writeFile(t, compressor, "#!/bin/sh\n: >"+begun+"\nexec sleep 300\n")
			// Whoever runs this test may have it ignored, and the program would inherit that.
			heard := make(chan os.Signal, 1)
			ossignal.Notify(heard, signal)
			defer ossignal.Stop(heard)
			command := thisProgram(t, append([]string{"build", "--compress", compressor, "--quiet"}, append(arguments, "--output", image)...)...)
			command.Env = append(os.Environ(), mainVariable+"=1")
			var stderr bytes.Buffer
			command.Stderr = &stderr
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			for {
				if _, err := os.Stat(begun); err == nil {
					break
				}
				time.Sleep(time.Millisecond)
			}
			if err := command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			err := command.Wait()
			status, ok := command.ProcessState.Sys().(syscall.WaitStatus)
			if !ok || !status.Signaled() || status.Signal() != signal {
				t.Errorf("it ended with %v", err)
			}
			if text := stderr.String(); !strings.Contains(text, "write "+image+": stopped by signal: "+signal.String()) || strings.Count(text, "\n") != 1 {
				t.Errorf("stderr %q", text)
			}
			content, err := os.ReadFile(image)
			entries, _ := os.ReadDir(place)
			if err != nil || string(content) != "earlier image" || len(entries) != 1 {
				t.Errorf("left: %v, %q (%v)", entries, content, err)
			}
		})
	}
}

// thisProgram is the test binary with arguments, in the emulator that runs it: the kernel itself cannot start another architecture's program.
func thisProgram(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if emulator := os.Getenv("PREROOT_EMULATOR"); emulator != "" {
		return exec.Command(emulator, append([]string{path}, arguments...)...)
	}
	return exec.Command(path, arguments...)
}
