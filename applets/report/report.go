// Package report is the applet that prints the record of the boot for people.
package report

import (
	"fmt"
	"io"
	"os"

	"github.com/preroot/preroot/internal/bootreport"
)

const usage = `usage: report [FILE]
Print how this system was booted, from the record that preroot left
(FILE, normally ` + bootreport.Path + `).
`

// Main runs the applet; arguments[0] is its name. It returns 0, or 1 if there is
// no readable report, or nowhere to print it.
func Main(arguments []string) int {
	file := bootreport.Path
	switch {
	case len(arguments) == 2 && (arguments[1] == "--help" || arguments[1] == "-h"):
		return show(usage)
	case len(arguments) == 2 && arguments[1] != "" && arguments[1][0] != '-':
		file = arguments[1]
	case len(arguments) > 1:
		fmt.Fprint(os.Stderr, usage)
		return 1
	}
	record, err := read(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		return 1
	}
	return show(record.Text())
}

// maxFile is far above the size of any report.
const maxFile = 16 << 20

func read(name string) (*bootreport.Report, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read %s: larger than %d bytes", name, maxFile)
	}
	return bootreport.Read(text)
}

func show(text string) int {
	if _, err := os.Stdout.WriteString(text); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		return 1
	}
	return 0
}
