// Command mergebench compares bin/preroot's merge applet with the real systemd-confext: CPU time of both, with all of
// their children, on the same extensions in turns, beside the targets of the project.
//
// In a machine that counts instructions the figures repeat, whatever else the host does; on the host itself (-host) they
// do not, and only directories can be merged.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/preroot/preroot/internal/vmtest"
)

func main() {
	b := bench{}
	flag.StringVar(&b.ours, "ours", "bin/preroot", "the `program` to time")
	flag.StringVar(&b.images, "images", "", "a `directory` with at least 10 signed images and the certificate *.crt")
	flag.StringVar(&b.testbed.Dir, "testbed", "", "the `directory` of the testbed, with kernels and the peer")
	flag.StringVar(&b.suite, "kernel", "forky", "the `suite` of the machine's kernel")
	flag.StringVar(&b.sets, "sets", "dirs:1,dirs:10,dirs:90,dirs:100,dirs:200,dirs:400,images:1,images:10", "what is merged, `KIND:COUNT,...`")
	flag.IntVar(&b.rounds, "rounds", 5, "`times` that each call is made in a boot")
	flag.IntVar(&b.boots, "boots", 2, "`times` that the machine is started")
	flag.BoolVar(&b.host, "host", false, "run on this machine, in a mount namespace")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "mergebench:", err)
		os.Exit(1)
	}
}

// bench is one comparison.
type bench struct {
	testbed                   vmtest.Testbed
	ours, images, suite, sets string
	rounds, boots             int
	host                      bool
}

func (b *bench) run(ctx context.Context) error {
	work, err := os.MkdirTemp("", "mergebench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	f := figures{}
	for range b.boots {
		var output string
		if b.host {
			output, err = b.runHere(ctx, work)
		} else {
			output, err = b.runMachine(ctx, work)
		}
		if err != nil {
			return err
		}
		if err := f.read(output); err != nil {
			return err
		}
	}
	f.print(os.Stdout)
	return nil
}

// arguments are those of mergetimes.
func (b *bench) arguments(more ...string) []string {
	return append(more, fmt.Sprintf("-rounds=%d", b.rounds), "-sets="+b.sets, "-images="+imagesInside)
}

// where the machine has things
const (
	oursInside   = "/guest/preroot"
	timesInside  = "/guest/mergetimes"
	imagesInside = "/guest/images"
	trustInside  = "/usr/lib/verity.d/"
)

// fail makes an error of what a run printed.
func fail(what, output string) error {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return fmt.Errorf("%s:\n%s", what, strings.Join(lines[max(0, len(lines)-20):], "\n"))
}
