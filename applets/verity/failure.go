package verity

import "fmt"

// failure is an error with the exit code of veritysetup(8) and the lines that
// it prints on standard error, without the last line feed; the original prints
// nothing in some cases. Errors of other types end with code 1.
type failure struct {
	code  int
	lines string
	// cause is for people: the original does not print it.
	cause error
}

// Exit codes of veritysetup(8), "RETURN CODES".
const (
	exitParameters = 1 // wrong parameters, and everything that is nothing of the following
	exitPermission = 2 // a block did not verify
	exitMemory     = 3
	exitDevice     = 4 // wrong device, or none
	exitBusy       = 5 // exists or is in use
)

func (f *failure) Error() string { return f.lines }

func (f *failure) Unwrap() error { return f.cause }

// fail makes a failure of one line.
func fail(code int, line string) error { return &failure{code: code, lines: line} }

// failf is fail with a format, for wrong parameters.
func failf(format string, values ...any) error {
	return fail(exitParameters, fmt.Sprintf(format, values...))
}

// codeText is what the original says about an exit code.
func codeText(code int) string {
	switch code {
	case exitParameters:
		return "wrong or missing parameters"
	case exitPermission:
		return "no permission or bad passphrase"
	case exitMemory:
		return "out of memory"
	case exitDevice:
		return "wrong device or file specified"
	case exitBusy:
		return "device already exists or device is busy"
	}
	return "unknown error"
}

// misuse is a command line that cannot be understood: the usage is printed, then
// the message, behind the program's name unless it is anonymous.
type misuse struct {
	message   string
	anonymous bool
}

func (m *misuse) Error() string { return m.message }
