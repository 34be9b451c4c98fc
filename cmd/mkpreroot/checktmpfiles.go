package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/preroot/preroot/internal/tmpfiles"
)

// runCheckTmpfiles checks files in the format of tmpfiles.d(5) for what the initramfs understands.
func runCheckTmpfiles(files []string, stdout io.Writer) error {
	if len(files) == 0 {
		return usageError{"check-tmpfiles wants files"}
	}
	var errs []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		lines, err := tmpfiles.Parse(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
			continue
		}
		fmt.Fprintf(stdout, "%s: %d lines\n", file, len(lines))
	}
	return errors.Join(errs...)
}
