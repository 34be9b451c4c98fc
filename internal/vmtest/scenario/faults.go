package scenario

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/vmtest"
)

// PrepareFaulty packs an initramfs in which faultinit stands in front of bin/preroot, the program as it is shipped.
func PrepareFaulty(suite, dir, settings string) (*Machine, error) {
	repository, err := vmtest.FindRepository()
	if err != nil {
		return nil, err
	}
	front := filepath.Join(dir, "faultinit")
	command := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", front, "./internal/vmtest/faultinit")
	command.Dir, command.Env = repository, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build faultinit: %w\n%s", err, output)
	}
	return prepareFile(front, suite, dir, settings, initramfs.Include{Source: filepath.Join(repository, "bin/preroot"), Destination: "preroot"})
}

// checkScreen wants a failure screen with a code and a step on the console.
func checkScreen(run *vmtest.Run, code, step string) (string, error) {
	var seen []string
	for _, line := range run.Lines {
		text := strings.TrimSpace(line.Text)
		if strings.HasPrefix(text, "This system could not be booted") || strings.HasPrefix(text, "Step:  ") {
			seen = append(seen, strings.Join(strings.Fields(text), " "))
		}
	}
	want := []string{"This system could not be booted " + code, "Step: " + step}
	if strings.Join(seen, "|") != strings.Join(want, "|") {
		return "", fmt.Errorf("the screen says %q, want %q", seen, want)
	}
	return strings.Join(seen, "; "), nil
}
