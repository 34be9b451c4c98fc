// Command peerbench times bin/preroot's verity applet beside the real
// veritysetup: the same jobs on the same files, in turns, in one run.
//
// For every job it prints the median of wall clock, CPU time (user and system)
// and the largest resident set of both, and the ratio of ours to theirs. Beside it
// stands how much of the machine's limit the applet reaches: all processors
// hashing the same kind of blocks from memory, with the same code, at the same time, and what CPU time that alone takes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	b := bench{}
	flag.StringVar(&b.ours, "ours", "bin/preroot", "the `program` to time")
	theirs := flag.String("theirs", "veritysetup", "the `command` of the real veritysetup, words separated by spaces")
	flag.StringVar(&b.directory, "dir", "", "a `directory` with room for the files; it is made and removed")
	flag.Int64Var(&b.size, "size", 1<<30, "`bytes` of data")
	flag.IntVar(&b.rounds, "rounds", 5, "`times` that each job is run")
	jobs := flag.String("jobs", "format,verify", "which `jobs`: format, verify, fec2, fec24, sparse")
	limit := flag.Int64("limit", 0, "only hash so many `bytes` from memory and print how long that took")
	flag.Parse()
	if *limit > 0 {
		printLimit(*limit)
		return
	}
	b.theirs = strings.Fields(*theirs)
	if err := b.run(strings.Split(*jobs, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "peerbench:", err)
		os.Exit(1)
	}
}

// bench is one series: all jobs on one data file.
type bench struct {
	ours      string
	theirs    []string
	directory string
	size      int64
	rounds    int
}

func (b *bench) run(jobs []string) error {
	if b.directory == "" || b.rounds < 1 || b.size < 1<<20 {
		return fmt.Errorf("need -dir, -rounds of at least 1 and -size of at least 1 MiB")
	}
	ours, err := filepath.Abs(b.ours)
	if err != nil {
		return err
	}
	b.ours = ours
	if err := os.Mkdir(b.directory, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(b.directory)
	for _, name := range jobs {
		job, ok := jobTable[name]
		if !ok {
			return fmt.Errorf("no job is called %q", name)
		}
		if err := b.time(name, job); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
