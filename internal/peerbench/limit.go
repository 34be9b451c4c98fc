package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/preroot/preroot/internal/hashtree"
)

const blockSize = 4096

// measureLimit runs hashFromMemory in a process of its own: the kernel counts
// the memory of the one that starts a program as that program's at its start.
func measureLimit(size int64) (cost, error) {
	output, err := exec.Command("/proc/self/exe", "-limit", strconv.FormatInt(size, 10)).Output()
	if err != nil {
		return cost{}, fmt.Errorf("measure the limit: %w", err)
	}
	wall, cpu, _ := strings.Cut(strings.TrimSpace(string(output)), " ")
	var c cost
	if c.wall, err = time.ParseDuration(wall); err == nil {
		c.cpu, err = time.ParseDuration(cpu)
	}
	return c, err
}

// printLimit is that process.
func printLimit(size int64) {
	c := hashFromMemory(size)
	fmt.Fprintln(os.Stdout, c.wall, c.cpu)
}

// hashFromMemory returns how long all processors together take to hash size
// bytes, in salted blocks that lie in memory: no reads, no tree, no start of a process.
// It is the most that any program with this hash code could reach.
func hashFromMemory(size int64) cost {
	// Beyond the caches, as the data is.
	const buffer = 64 << 20
	workers := runtime.GOMAXPROCS(0)
	memory := make([]byte, buffer)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(memory)
	newHash, _ := hashtree.NewHash("sha256")
	salt := make([]byte, 32)
	blocks := size / blockSize

	var group sync.WaitGroup
	start, before := time.Now(), usedCPU()
	for worker := range workers {
		group.Go(func() {
			h := newHash()
			var digest []byte
			for block := int64(worker); block < blocks; block += int64(workers) {
				at := block * blockSize % buffer
				h.Reset()
				h.Write(salt)
				h.Write(memory[at : at+blockSize])
				digest = h.Sum(digest[:0])
			}
		})
	}
	group.Wait()
	return cost{wall: time.Since(start), cpu: usedCPU() - before}
}

// usedCPU is what this process has used so far, in user space and in the kernel.
func usedCPU() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails for bad arguments only
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
