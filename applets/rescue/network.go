package rescue

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/preroot/preroot/internal/kernelcmdline"
)

// networkTime bounds what the network may cost before the first prompt.
const networkTime = 15 * time.Second

// setUpNetwork does what the kernel command line says of the network, in a process of its own: the shell opens whatever becomes of it, and
// Ctrl-C ends the wait. A boot without a shell sets up nothing.
func (s *shell) setUpNetwork() {
	text, _ := os.ReadFile("/proc/cmdline")
	line := kernelcmdline.Parse(string(text))
	if !line.Has("ip") && !line.Has("rd.route") && !line.Has("nameserver") {
		return
	}
	command := exec.Command(self)
	command.Args, command.Stdout, command.Stderr = []string{"ip", "cmdline"}, s.out, s.err
	ended := make(chan error, 1)
	go func() { ended <- command.Run() }()
	err := errors.New("it goes on beside the shell")
	select {
	case err = <-ended:
	case <-time.After(networkTime):
	}
	// Whatever else is wrong it has told.
	if _, told := err.(*exec.ExitError); err != nil && !told {
		fmt.Fprintln(s.err, "the network is not set up:", err)
	}
}
