package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/initramfs/contents"
)

const listUsage = `Usage: mkpreroot list [--why] FILE

List what an initramfs holds, ours or another's: archives one after another, plain
or packed with gzip, xz, zstd, lz4, lzma or bzip2, with microcode in front.

  --why                 list only what is there for a reason, with the reason: from
                        FILE.manifest.json, or for modules from the image itself
  -h, --help            print this
`

func runList(arguments []string, stdout io.Writer) error {
	why := false
	file, err := parseOperand("list", listUsage, arguments, stdout, func(flags *flag.FlagSet) { flags.BoolVar(&why, "why", false, "") })
	if err != nil {
		return err
	}
	image, size, err := openImage(file)
	if err != nil {
		return err
	}
	defer image.Close()
	w := bufio.NewWriter(stdout)
	if why {
		err = listReasons(w, file, image, size)
	} else {
		err = listEntries(w, image, size)
	}
	// What was read before an error is worth seeing.
	if flushing := w.Flush(); err == nil {
		err = flushing
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", file, err)
	}
	return nil
}

// parseOperand reads the options of a command that wants one file.
func parseOperand(command, usage string, arguments []string, help io.Writer, add func(*flag.FlagSet)) (string, error) {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	add(flags)
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(help, usage)
			return "", err
		}
		return "", usageError{command + ": " + err.Error()}
	}
	return oneOperand(command, flags.Args())
}

func oneOperand(command string, operands []string) (string, error) {
	if len(operands) != 1 {
		return "", usageError{fmt.Sprintf("%s: it wants one file", command)}
	}
	return operands[0], nil
}

func openImage(file string) (*os.File, int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, fmt.Errorf("read image: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", file)
	}
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("read image: %w", err)
	}
	return f, info.Size(), nil
}

// listEntries writes a line for each entry, as "ls -l" has it, and at the end one for each part.
func listEntries(w io.Writer, image io.ReaderAt, size int64) error {
	parts, err := contents.Walk(image, size, func(e contents.Entry, _ io.Reader) error {
		amount := fmt.Sprint(e.Size)
		switch e.Mode & 0o170000 {
		case 0o020000, 0o060000:
			amount = fmt.Sprintf("%d,%d", e.DeviceMajor, e.DeviceMinor)
		}
		target := ""
		if e.Target != "" {
			target = " -> " + printable(e.Target)
		}
		_, err := fmt.Fprintf(w, "%s %3d:%-3d %9s %s %s%s\n", modeText(e.Mode), e.UID, e.GID, amount,
			time.Unix(int64(e.ModifiedAt), 0).UTC().Format("2006-01-02 15:04"), printable(e.Name), target)
		return err
	})
	for i, p := range parts {
		fmt.Fprintf(w, "part %d: %s, byte %d, %d bytes, %d unpacked, %d entries\n", i+1, p.Compression, p.Offset, p.Size, p.Unpacked, p.Entries)
	}
	return err
}

// modeText writes a mode as "ls -l" does.
func modeText(mode uint32) string {
	kinds := map[uint32]byte{0o010000: 'p', 0o020000: 'c', 0o040000: 'd', 0o060000: 'b', 0o100000: '-', 0o120000: 'l', 0o140000: 's'}
	kind, known := kinds[mode&0o170000]
	if !known {
		kind = '?'
	}
	text := []byte{kind}
	for i, c := range "rwxrwxrwx" {
		if mode&(0o400>>i) == 0 {
			c = '-'
		}
		text = append(text, byte(c))
	}
	for _, special := range []struct {
		bit       uint32
		at        int
		set, bare byte
	}{{0o4000, 3, 's', 'S'}, {0o2000, 6, 's', 'S'}, {0o1000, 9, 't', 'T'}} {
		if mode&special.bit == 0 {
			continue
		}
		if text[special.at] == 'x' {
			text[special.at] = special.set
		} else {
			text[special.at] = special.bare
		}
	}
	return string(text)
}

// printable keeps what an archive calls a name from reaching the terminal as commands.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' || (r >= 0x80 && r < 0xa0) }) {
		return fmt.Sprintf("%q", name)
	}
	return name
}

// listReasons writes what the manifest says, else what the image itself has for its modules.
func listReasons(w io.Writer, file string, image io.ReaderAt, size int64) error {
	m, err := initramfs.ReadManifest(file + initramfs.ManifestSuffix)
	if err == nil {
		for _, f := range m.Files {
			if f.Reason != "" && !strings.HasPrefix(f.Mode, "40") {
				fmt.Fprintf(w, "%s: %s\n", printable(f.Path), f.Reason)
			}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	found := false
	_, err = contents.Walk(image, size, func(e contents.Entry, content io.Reader) error {
		if !initramfs.IsReasons(e.Name) {
			return nil
		}
		found = true
		lines := bufio.NewScanner(content)
		for lines.Scan() {
			fmt.Fprintln(w, printable(lines.Text()))
		}
		return lines.Err()
	})
	if err == nil && !found {
		return fmt.Errorf("it has no reasons in it, and there is no %s", path.Base(file)+initramfs.ManifestSuffix)
	}
	return err
}
