package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// call runs a program once, looks for the answer in what it says, and prints what it took with all of its children:
// a line "took WHAT:COUNT PROGRAM CPU-NS WALL-NS RESIDENT-KIB". The first round is not printed.
func (p program) call(round int, what string, count int, answer string, arguments ...string) error {
	words := append(p.words, arguments...)
	// A file and no pipe: nobody else runs meanwhile.
	said, err := os.OpenFile("/tmp/said", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer said.Close()
	command := exec.Command(words[0], words[1:]...)
	command.Stdout, command.Stderr = said, said
	// The emulated machine has file systems on which direct I/O fails on Linux 6.12.
	command.Env = []string{"PATH=/usr/bin:/usr/sbin", "LC_ALL=C", "SYSTEMD_LOOP_DIRECT_IO=0", "SYSTEMD_NSPAWN_LOCK=0"}
	start := time.Now()
	err = command.Run()
	wall := time.Since(start)
	text, _ := os.ReadFile(said.Name())
	if err != nil || !bytes.Contains(text, []byte(answer)) {
		return fmt.Errorf("%s: %v, without %q: %s", strings.Join(words, " "), err, answer, text)
	}
	if round == 0 {
		return nil
	}
	usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return fmt.Errorf("the system does not tell what a process used")
	}
	cpu := command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	fmt.Printf("took %s:%d %s %d %d %d\n", strings.ReplaceAll(what, " ", "-"), count, p.name, cpu.Nanoseconds(), wall.Nanoseconds(), usage.Maxrss)
	return nil
}
