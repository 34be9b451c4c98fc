// Package report is the applet that shows the record of the boot: as a text for people, as it is, or as a drawing.
package report

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/sentinel"
	"github.com/preroot/preroot/internal/servicemanager"
)

const usage = `usage: report [--json | --plot=SVG] [FILE]
Print how this system was booted, from the record that preroot left
(FILE, normally ` + bootreport.Path + `).
  --json      print the record as it is
  --plot=SVG  draw the start of the system into the file SVG, "-" is standard
              output; with systemd's own start if no FILE is given
`

// request is what the command line asks for.
type request struct {
	help, json bool
	// plot is where to draw, empty for no drawing.
	plot string
	// file has the record; empty for that of this boot.
	file string
}

// errUsage is a command line that is not understood.
const errUsage = sentinel.Error("bad command line")

func parse(arguments []string) (r request, err error) {
	for i := 0; i < len(arguments); i++ {
		word := arguments[i]
		if word == "--plot" && i+1 < len(arguments) {
			i++
			word += "=" + arguments[i]
		}
		plot, isPlot := strings.CutPrefix(word, "--plot=")
		switch {
		case word == "--help" || word == "-h":
			r.help = true
		case word == "--json":
			r.json = true
		case isPlot && plot != "":
			r.plot = plot
		case word == "" || word[0] == '-' || r.file != "":
			return r, errUsage
		default:
			r.file = word
		}
	}
	if r.json && r.plot != "" || r.help && len(arguments) > 1 {
		return r, errUsage
	}
	return r, nil
}

// Main runs the applet; arguments[0] is its name. It returns 0, or 1 if there is
// no readable report, or nowhere to print it.
func Main(arguments []string) int {
	asked, err := parse(arguments[1:])
	if err != nil {
		fmt.Fprint(os.Stderr, usage)
		return 1
	}
	if asked.help {
		return finish(show(usage))
	}
	return finish(perform(asked, bootreport.Path, servicemanager.Socket))
}

func finish(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		return 1
	}
	return 0
}

// perform does what is asked for. ownRecord is where that of this boot is, whose systemd listens at socket.
func perform(asked request, ownRecord, socket string) error {
	file := asked.file
	if file == "" {
		file = ownRecord
	}
	record, text, err := read(file)
	switch {
	case err != nil:
		return err
	case asked.json:
		return show(text)
	case asked.plot == "":
		return show(record.Text())
	}
	systemd := systemdStart{missing: "the record is not that of the running system"}
	if asked.file == "" {
		systemd = readSystemd(socket)
	}
	drawing := draw(record, systemd)
	if asked.plot == "-" {
		return show(drawing)
	}
	return os.WriteFile(asked.plot, []byte(drawing), 0o644)
}

// maxFile is far above the size of any report.
const maxFile = 16 << 20

// read returns a record, and the file that it is in.
func read(name string) (record *bootreport.Report, text string, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, "", err
	}
	if len(content) > maxFile {
		return nil, "", fmt.Errorf("read %s: larger than %d bytes", name, maxFile)
	}
	record, err = bootreport.Read(content)
	return record, string(content), err
}

func show(text string) error {
	_, err := os.Stdout.WriteString(text)
	return err
}
