// Package report is the applet that prints the record of the boot for people.
package report

import (
	"fmt"
	"os"

	"github.com/preroot/preroot/internal/bootreport"
)

const usage = `usage: report [FILE]
Print how this system was booted, from the record that preroot left
(FILE, normally ` + bootreport.Path + `).
`

// Main runs the applet; arguments[0] is its name. It returns 0, or 1 if there is
// no readable report.
func Main(arguments []string) int {
	file := bootreport.Path
	switch {
	case len(arguments) == 2 && (arguments[1] == "--help" || arguments[1] == "-h"):
		fmt.Print(usage)
		return 0
	case len(arguments) == 2 && arguments[1] != "" && arguments[1][0] != '-':
		file = arguments[1]
	case len(arguments) > 1:
		fmt.Fprint(os.Stderr, usage)
		return 1
	}
	text, err := os.ReadFile(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		return 1
	}
	record, err := bootreport.Read(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		return 1
	}
	fmt.Print(record.Text())
	return 0
}
