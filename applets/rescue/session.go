package rescue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/preroot/preroot/internal/passphrase"
)

const (
	// The environment of a session. It is taken away before the shell starts.
	sessionVariable  = "PREROOT_SESSION"
	hashVariable     = "PREROOT_PASSPHRASE_HASH"
	greetingVariable = "PREROOT_GREETING"
	whyVariable      = "PREROOT_WHY"
	// Empty if the boot can go on, else why it cannot.
	notResumableVariable = "PREROOT_NOT_RESUMABLE"
	// tellFD is where a session tells PID 1 that somebody is there, by a byte, and behind it with which words to go on.
	tellFD = 3
	// attempts is how often a passphrase may be given.
	attempts = 3
	// wrongTime is lost after a wrong passphrase.
	wrongTime = 2 * time.Second
)

// bootState is what a session knows of the boot.
type bootState struct {
	// why tells why it stopped.
	why string
	// resumable says that it can go on, notResumable why not.
	resumable    bool
	notResumable string
}

func isSession() bool { return os.Getenv(sessionVariable) != "" }

// takeVariable returns a variable of the environment and removes it.
func takeVariable(name string) string {
	value := os.Getenv(name)
	_ = os.Unsetenv(name)
	return value
}

// runSession is a shell on a console that PID 1 has opened: its terminal is that of the session.
func runSession(applets []string) int {
	takeVariable(sessionVariable)
	hash, greeting := takeVariable(hashVariable), takeVariable(greetingVariable)
	state := bootState{why: takeVariable(whyVariable), notResumable: takeVariable(notResumableVariable)}
	state.resumable = state.notResumable == ""
	tell := os.NewFile(tellFD, "pid 1")
	// PID 1 reads until nobody has it open.
	unix.CloseOnExec(tellFD)
	withoutSuspend(0)
	s, err := newShell(applets, streams{os.Stdin, os.Stdout, os.Stderr}, "sh", nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sh:", err)
		return exitLost
	}
	s.boot = state
	defer s.watchSignals()()
	there := false
	typed := func() {
		if !there {
			there = true
			_, _ = tell.Write([]byte{'!'})
		}
	}
	fmt.Printf("\n%s", greeting)
	if hash != "" {
		read := func() ([]byte, error) { return term.ReadPassword(0) }
		if err := askPassphrase(hash, read, os.Stdout, func() { time.Sleep(wrongTime) }); err != nil {
			fmt.Println(err)
			if errors.Is(err, errDenied) {
				return exitDenied
			}
			return exitLost
		}
		typed()
	}
	s.setUpNetwork()
	fmt.Printf("\"help\" tells what can be done here, \"why\" what happened, \"resume\" goes on, \"exit\" leaves.\n")
	if _, lost := s.interact(s.newTerminal(), typed); lost {
		return exitLost
	}
	typed()
	if s.resume == nil {
		return exitLeft
	}
	if _, err := tell.WriteString(*s.resume); err != nil {
		return exitLost
	}
	return exitResume
}

// errDenied says that the passphrase was wrong too often.
var errDenied error = deniedError{}

type deniedError struct{}

func (deniedError) Error() string { return fmt.Sprintf("%d wrong passphrases", attempts) }

// askPassphrase asks for the passphrase of a hash until it is right. punish is called after a wrong one.
func askPassphrase(hash string, read func() ([]byte, error), out io.Writer, punish func()) error {
	wanted, err := passphrase.Parse(hash)
	if err != nil {
		return err
	}
	for range attempts {
		fmt.Fprint(out, "Passphrase for a shell: ")
		given, err := read()
		fmt.Fprintln(out)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err == nil && wanted.Matches(argon2.IDKey, given) {
			return nil
		}
		fmt.Fprintln(out, "That is not it.")
		punish()
	}
	return errDenied
}
