package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/terminal"
)

func runBuild(stop context.Context, arguments []string, stdout, stderr io.Writer) error {
	s, err := parseBuild(arguments, stdout)
	if err != nil {
		return err
	}
	s.Stop = stop
	if !s.quiet {
		s.Log, s.Progress = progressOn(stderr)
	}
	result, err := initramfs.Build(s.Options)
	if err != nil {
		return err
	}
	for _, warning := range result.Warnings {
		fmt.Fprintf(stderr, "mkpreroot: warning: %s\n", warning)
	}
	if s.quiet {
		return nil
	}
	return printResult(stdout, s.Output, result)
}

// parseBuild turns the command line, the file of --config and SOURCE_DATE_EPOCH into options.
func parseBuild(arguments []string, help io.Writer) (*buildSettings, error) {
	s, operands, err := parseBuildOptions("build", arguments, help, nil)
	if err != nil {
		return nil, err
	}
	if len(operands) > 0 {
		return nil, usageError{fmt.Sprintf("build: unexpected argument %q", operands[0])}
	}
	return s, s.finish()
}

// parseBuildOptions reads the options of build, and those that add puts in. What is left are operands.
func parseBuildOptions(command string, arguments []string, help io.Writer, add func(*flag.FlagSet)) (*buildSettings, []string, error) {
	s := &buildSettings{}
	config := ""
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&config, "config", "", "")
	for _, o := range buildOptions {
		switch {
		case o.text != nil:
			flags.StringVar(o.text(s), o.name, "", "")
		case o.many != nil:
			flags.Var(o.many(s), o.name, "")
		default:
			flags.BoolVar(o.flag(s), o.name, false, "")
		}
	}
	flags.BoolVar(&s.quiet, "q", false, "")
	if add != nil {
		add(flags)
	}
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			if help != nil {
				fmt.Fprint(help, buildUsage())
			}
			return nil, nil, err
		}
		return nil, nil, usageError{command + ": " + err.Error()}
	}
	if config != "" {
		if err := s.readConfig(config); err != nil {
			return nil, nil, err
		}
	}
	return s, flags.Args(), nil
}

// progressOn gives what shows a build on a terminal; nothing where nobody looks, as in a script.
func progressOn(stderr io.Writer) (log io.Writer, progress func(done, total int64)) {
	file, ok := stderr.(*os.File)
	if !ok {
		return nil, nil
	}
	if _, ok := terminal.Width(file); !ok {
		return nil, nil
	}
	shown := int64(-1)
	return file, func(done, total int64) {
		percent := min(done*100/max(total, 1), 100)
		if percent != shown {
			shown = percent
			// The end of the line is cleared, so that the next one starts on an empty one.
			fmt.Fprintf(file, "==> packing %3d %%\r", percent)
		}
		if done >= total && shown == 100 {
			fmt.Fprint(file, "\x1b[K")
		}
	}
}

// printResult lists what is in the image.
func printResult(w io.Writer, output string, r *initramfs.Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	var modules int64
	for _, m := range r.Modules {
		modules += m.Size
		fmt.Fprintf(table, "%d\t%s\t  %s\n", m.Size, m.Name, m.Reason)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, group := range []struct {
		title string
		names []string
	}{{"not in this kernel", r.Missing}, {"blacklisted", r.Blacklisted}, {"built in", r.BuiltIn}} {
		if len(group.names) > 0 {
			fmt.Fprintf(w, "%s:\n%s\n", group.title, wrap(slices.Sorted(slices.Values(group.names)), 76))
		}
	}
	_, err := fmt.Fprintf(w, "%s: kernel %s, %d modules of %d bytes, image %d bytes, %d unpacked\n",
		output, r.Release, len(r.Modules), modules, r.Size, r.RawSize)
	return err
}

// wrap breaks names into indented lines of at most width columns.
func wrap(names []string, width int) string {
	var b strings.Builder
	column := 0
	for _, name := range names {
		if column > 0 && column+1+len(name) > width {
			b.WriteByte('\n')
			column = 0
		}
		if column == 0 {
			b.WriteString(" ")
		}
		b.WriteString(" " + name)
		column += 1 + len(name)
	}
	return b.String()
}
