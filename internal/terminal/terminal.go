// Package terminal tells whether a person looks at an output, and how wide it is.
package terminal

import (
	"os"

	"golang.org/x/sys/unix"
)

// usualWidth is assumed where the terminal does not know, as on a serial line.
const usualWidth = 80

// Width returns the number of columns of a terminal, and false if the file is
// none.
func Width(file *os.File) (columns int, ok bool) {
	if _, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS); err != nil {
		return 0, false
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return usualWidth, true
	}
	return int(size.Col), true
}
