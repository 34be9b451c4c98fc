// Command mergetimes runs bin/preroot and the real systemd-confext in turns, on the same extensions, and prints what
// each call took. It works on the /etc of the system that it runs in, which is a machine made for it, or a
// root directory of its own (-root).
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

func main() {
	b := bench{}
	root := flag.String("root", "", "a `directory` that becomes the root, in a mount namespace of its own")
	flag.IntVar(&b.rounds, "rounds", 5, "`times` that each call is made, after one that does not count")
	flag.StringVar(&b.images, "images", "", "a `directory` with signed images to be merged")
	only := flag.String("only", "", "the `program` to run alone, preroot or systemd")
	sets := flag.String("sets", "dirs:1", "what is merged, `KIND:COUNT,...`; kinds are dirs and images")
	flag.Parse()
	if *only != "" {
		programs = slices.DeleteFunc(programs, func(p program) bool { return p.name != *only })
	}
	err := enter(*root)
	if err == nil {
		err = b.run(strings.Split(*sets, ","))
	}
	if err != nil {
		fmt.Println("mergetimes:", err)
		os.Exit(1)
	}
}

// program is one of the two.
type program struct {
	name string
	// words start it, under the name that it is known by.
	words []string
	// limit is how many directories it can merge.
	limit int
}

// The programs, where the machine has them.
var programs = []program{
	{"preroot", []string{ourLink}, 1 << 20},
	// All of its layers have to fit into one page.
	{"systemd", []string{"/usr/bin/systemd-confext"}, 90},
}

const (
	ourBinary = "/guest/preroot"
	ourLink   = "/guest/ours/systemd-confext"
)

type bench struct {
	rounds int
	images string
}

func (b *bench) run(sets []string) error {
	if err := furnish(); err != nil {
		return err
	}
	for _, p := range programs {
		if err := b.start(p); err != nil {
			return err
		}
	}
	for _, set := range sets {
		if set == "" {
			continue
		}
		kind, text, _ := strings.Cut(set, ":")
		count, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("read %q: %w", set, err)
		}
		if err := b.set(kind, count); err != nil {
			return fmt.Errorf("%s: %w", set, err)
		}
	}
	return nil
}

// start times a call that does nothing: what it takes is in all other figures.
func (b *bench) start(p program) error {
	return b.times(func(round int) error { return p.call(round, "start", 0, "", "--version") })
}

// set times all calls on one set of extensions, the two programs in turns. Each of them finds what it merged itself.
func (b *bench) set(kind string, count int) error {
	take, err := b.provide(kind, count)
	if err != nil {
		return err
	}
	err = b.times(func(round int) error {
		for _, p := range programs {
			if count > p.limit {
				continue
			}
			for _, call := range []struct{ word, answer string }{
				{"merge", "Merged extensions into '/etc'."},
				{"refresh", "Skipping extension refresh because no change was found"},
				{"unmerge", "Unmerged '/etc'."},
			} {
				if err := p.call(round, kind+" "+call.word, count, call.answer, call.word); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := b.times(func(round int) error { return runFloor(round, kind, count) }); err != nil {
		return err
	}
	return take()
}

// times makes a call once to warm everything up, and then as often as it counts.
func (b *bench) times(call func(round int) error) error {
	for round := range b.rounds + 1 {
		if err := call(round); err != nil {
			return err
		}
	}
	return nil
}
