// Package sentinel is for errors that callers compare with. They are constants: errors.New, where the compiler copies no functions into
// their callers (scripts/build), would make them at each start of the program, whichever applet runs.
package sentinel

// Error is its text. Two of one text are the same error.
type Error string

func (e Error) Error() string { return string(e) }
