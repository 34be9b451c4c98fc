package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// cost is what one run of a program took.
type cost struct {
	wall, cpu time.Duration
	resident  int64 // bytes, the largest
}

// time runs a job in turns and prints what came out.
func (b *bench) time(name string, j job) error {
	size := b.size
	var err error
	if j.sparse {
		size, err = b.makeHole()
	} else {
		err = b.makeData()
	}
	if err != nil {
		return err
	}
	if j.prepare != nil {
		if _, err := b.once([]string{b.ours, "veritysetup"}, j.prepare, []string{"hash.img"}); err != nil {
			return err
		}
	}
	var ours, theirs, limits []cost
	for range b.rounds {
		c, err := b.round([]string{b.ours, "veritysetup"}, j)
		if err != nil {
			return err
		}
		ours = append(ours, c)
		if !j.alone {
			if c, err = b.round(b.theirs, j); err != nil {
				return err
			}
			theirs = append(theirs, c)
		}
		if j.hashes {
			limit, err := measureLimit(size)
			if err != nil {
				return err
			}
			limits = append(limits, limit)
		}
	}
	b.print(name, size, median(ours), median(theirs), median(limits))
	return nil
}

func (b *bench) round(program []string, j job) (cost, error) {
	c, err := b.once(program, j.arguments, j.fresh)
	if err != nil || j.without == nil {
		return c, err
	}
	less, err := b.once(program, j.without, j.fresh)
	c.wall -= less.wall
	c.cpu -= less.cpu
	return c, err
}

// once runs a program with a job's arguments, in the directory.
func (b *bench) once(program, arguments, fresh []string) (cost, error) {
	for _, name := range fresh {
		if err := os.Remove(filepath.Join(b.directory, name)); err != nil && !os.IsNotExist(err) {
			return cost{}, err
		}
	}
	words := append(slices.Clone(program), arguments...)
	command := exec.Command(words[0], words[1:]...)
	command.Dir = b.directory
	var said bytes.Buffer
	command.Stderr = &said
	start := time.Now()
	err := command.Run()
	wall := time.Since(start)
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, said.Bytes())
	}
	usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}, fmt.Errorf("the system does not tell what a process used")
	}
	return cost{
		wall:     wall,
		cpu:      command.ProcessState.UserTime() + command.ProcessState.SystemTime(),
		resident: usage.Maxrss << 10,
	}, nil
}

// median takes the middle of each figure for itself.
func median(all []cost) cost {
	if len(all) == 0 {
		return cost{}
	}
	var wall, cpu []time.Duration
	var resident []int64
	for _, c := range all {
		wall, cpu, resident = append(wall, c.wall), append(cpu, c.cpu), append(resident, c.resident)
	}
	slices.Sort(wall)
	slices.Sort(cpu)
	slices.Sort(resident)
	middle := len(all) / 2
	// Memory is a limit, not an average: the largest counts.
	return cost{wall: wall[middle], cpu: cpu[middle], resident: resident[len(all)-1]}
}

func (b *bench) print(name string, size int64, ours, theirs, limit cost) {
	line := fmt.Sprintf("%-7s %6d MiB  preroot %7.3f s wall %7.3f s cpu %5.1f MiB",
		name, size>>20, ours.wall.Seconds(), ours.cpu.Seconds(), float64(ours.resident)/(1<<20))
	if theirs.wall > 0 {
		line += fmt.Sprintf("  veritysetup %7.3f s %7.3f s %5.1f MiB  ratio wall %.2f cpu %.2f",
			theirs.wall.Seconds(), theirs.cpu.Seconds(), float64(theirs.resident)/(1<<20),
			ours.wall.Seconds()/theirs.wall.Seconds(), ours.cpu.Seconds()/theirs.cpu.Seconds())
	}
	if limit.wall > 0 {
		line += fmt.Sprintf("  share of the limit %.2f", limit.wall.Seconds()/ours.wall.Seconds())
		// What no program with this hash code could do with less.
		line += fmt.Sprintf("  hashing alone %.3f s cpu", limit.cpu.Seconds())
		if theirs.cpu > 0 {
			line += fmt.Sprintf(", ratio %.2f", limit.cpu.Seconds()/theirs.cpu.Seconds())
		}
	}
	fmt.Println(line)
}
