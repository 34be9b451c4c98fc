package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/preroot/preroot/initramfs"
)

const buildUsage = `Usage: mkpreroot build --kernel DIR --output FILE [OPTION]...

  --kernel DIR        kernel tree: DIR/lib/modules/RELEASE with modules.dep
  --output FILE       image to write; replaced only when complete
  --release NAME      which release, when DIR has several
  --profile NAME      full (default): with a shell, which preroot.conf must allow; sealed: no shell is in it
  --init BIN          program for /init (default: that of the profile, beside mkpreroot)
  --conf FILE         settings, become /etc/preroot.conf
  --module NAME       one more module; may be repeated
  --no-default-modules
                      only the modules of --module (and what they need)
  --include SRC:DST   one more file or directory; may be repeated
  --compress KIND     zstd (default), gzip or none
  --zstd PROGRAM      compress with this zstd(1), level 19: about 12 %% smaller,
                      and the bytes depend on its version
  -q, --quiet         print errors only

The default modules (built-in ones are left out):
%s
SOURCE_DATE_EPOCH sets the time of all files (default 0).
`

// list is an option that may be repeated.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func runBuild(arguments []string, stdout, stderr io.Writer) error {
	o, quiet, err := parseBuild(arguments, stdout)
	if err != nil {
		return err
	}
	if !quiet {
		o.Log = stderr
	}
	result, err := initramfs.Build(*o)
	if err != nil {
		return err
	}
	if quiet {
		return nil
	}
	return printResult(stdout, o.Output, result)
}

// parseBuild turns the command line and SOURCE_DATE_EPOCH into options.
func parseBuild(arguments []string, help io.Writer) (o *initramfs.Options, quiet bool, err error) {
	o = &initramfs.Options{}
	var modules, includes list
	var noDefaults bool
	var profile string
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.KernelTree, "kernel", "", "")
	flags.StringVar(&o.Output, "output", "", "")
	flags.StringVar(&o.Release, "release", "", "")
	flags.StringVar(&o.Init, "init", "", "")
	flags.StringVar(&o.Conf, "conf", "", "")
	flags.StringVar(&profile, "profile", "full", "")
	flags.StringVar(&o.Compression, "compress", initramfs.CompressionZstd, "")
	flags.StringVar(&o.ZstdProgram, "zstd", "", "")
	flags.Var(&modules, "module", "")
	flags.Var(&includes, "include", "")
	flags.BoolVar(&noDefaults, "no-default-modules", false, "")
	flags.BoolVar(&quiet, "q", false, "")
	flags.BoolVar(&quiet, "quiet", false, "")
	if err := flags.Parse(arguments); err != nil {
		if err == flag.ErrHelp {
			fmt.Fprintf(help, buildUsage, wrap(initramfs.DefaultModules, 74))
			return nil, false, err
		}
		return nil, false, usageError{"build: " + err.Error()}
	}
	if flags.NArg() > 0 {
		return nil, false, usageError{fmt.Sprintf("build: unexpected argument %q", flags.Arg(0))}
	}
	for _, needed := range []struct{ name, value string }{{"kernel", o.KernelTree}, {"output", o.Output}} {
		if needed.value == "" {
			return nil, false, usageError{fmt.Sprintf("build: --%s is needed", needed.name)}
		}
	}
	switch o.Compression {
	case initramfs.CompressionZstd, initramfs.CompressionGzip, initramfs.CompressionNone:
	default:
		return nil, false, usageError{fmt.Sprintf("build: unknown compression %q (known: zstd, gzip, none)", o.Compression)}
	}
	o.ExtraModules = modules
	if noDefaults {
		o.Modules = []string{}
	}
	for _, text := range includes {
		include, err := parseInclude(text)
		if err != nil {
			return nil, false, err
		}
		o.Includes = append(o.Includes, include)
	}
	program, known := profiles[profile]
	if !known {
		return nil, false, usageError{fmt.Sprintf("build: unknown profile %q (known: full, sealed)", profile)}
	}
	if o.Init == "" {
		if o.Init, err = besideOurselves(program); err != nil {
			return nil, false, err
		}
	}
	o.ModifiedAt, err = sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
	return o, quiet, err
}

// profiles are the programs for /init by the name of what is in them.
var profiles = map[string]string{"full": "preroot", "sealed": "preroot-sealed"}

// parseInclude cuts SRC:DST at the last colon, so that SRC may have colons.
func parseInclude(text string) (initramfs.Include, error) {
	cut := strings.LastIndexByte(text, ':')
	if cut < 1 || cut == len(text)-1 {
		return initramfs.Include{}, usageError{fmt.Sprintf("build: --include %q is not SRC:DST", text)}
	}
	return initramfs.Include{Source: text[:cut], Destination: text[cut+1:]}, nil
}

// besideOurselves gives the path of a program in mkpreroot's own directory.
func besideOurselves(name string) (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find program for /init: %w", err)
	}
	program := filepath.Join(filepath.Dir(own), name)
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("find program for /init: no %s beside mkpreroot: name one with --init", name)
	}
	return program, nil
}

// sourceDate reads SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch):
// seconds since 1970, 0 when unset.
func sourceDate(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("read SOURCE_DATE_EPOCH: %q is not a number of seconds from 0 to 4294967295", text)
	}
	return int64(seconds), nil
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
