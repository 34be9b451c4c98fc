package rescue

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/console"
)

// Offer is a shell on every console, made by PID 1.
type Offer struct {
	// PassphraseHash is a PHC string; empty lets everybody in.
	PassphraseHash string
	// AnswerTime bounds the wait for somebody who types; 0 for ever.
	AnswerTime time.Duration
	// Greeting is printed first.
	Greeting string
}

// ErrNobody says that the time for an answer is over.
var ErrNobody = errors.New("nobody answered in time")

// event is what happens to a session.
type event struct {
	console string
	what    happening
	err     error
}

type happening int

const (
	somebody happening = iota // has typed a line or given the passphrase
	left                      // the shell was left
	denied                    // the passphrase was wrong too often
	lost                      // the session died
)

// starter starts a session on a console, and returns how to end it. It sends events until one that is an end.
type starter func(console string, events chan<- event) (kill func(), err error)

// Open starts a shell on each console, also those that come later, and returns when somebody left one: all are closed
// then. entered says whether somebody was in one; an error why nobody is to be let in any more.
func (o Offer) Open() (entered bool, err error) {
	changes := make(chan struct{}, 1)
	if watch, err := console.Machine.NewWatch(); err == nil {
		done := make(chan struct{})
		defer close(done)
		go watchConsoles(watch, changes, done)
	}
	return o.serve(console.Machine.Active, changes, o.start)
}

// watchConsoles passes changes on until nobody wants them; it may take a minute to notice.
func watchConsoles(watch *console.Watch, changes chan<- struct{}, done <-chan struct{}) {
	defer watch.Close()
	for {
		changed, err := watch.Wait(time.Minute)
		if err != nil {
			return
		}
		select {
		case <-done:
			return
		default:
		}
		if changed {
			select {
			case changes <- struct{}{}:
			case <-done:
				return
			}
		}
	}
}

func (o Offer) serve(active func() []string, changes <-chan struct{}, start starter) (entered bool, err error) {
	events := make(chan event)
	running := map[string]func(){}
	tried := map[string]bool{}
	var problem error
	startAll := func() {
		for _, name := range active() {
			if tried[name] {
				continue
			}
			tried[name] = true
			kill, err := start(name, events)
			if err != nil {
				problem = fmt.Errorf("console %s: %w", name, err)
				continue
			}
			running[name] = kill
		}
	}
	defer func() { endAll(running, events) }()
	startAll()
	var over <-chan time.Time
	if o.AnswerTime > 0 {
		over = time.After(o.AnswerTime)
	}
	for len(running) > 0 {
		select {
		case <-changes:
			startAll()
		case <-over:
			return entered, ErrNobody
		case e := <-events:
			if e.what != somebody {
				delete(running, e.console)
			}
			switch e.what {
			case somebody:
				entered, over = true, nil
			case left:
				return entered, nil
			case denied:
				return entered, errDenied
			case lost:
				problem = fmt.Errorf("console %s: %w", e.console, e.err)
			}
		}
	}
	return entered, fmt.Errorf("there is no console for a shell: %w", problem)
}

// endTime bounds the end of sessions that were killed.
const endTime = 5 * time.Second

func endAll(running map[string]func(), events <-chan event) {
	for _, kill := range running {
		kill()
	}
	over := time.After(endTime)
	for len(running) > 0 {
		select {
		case e := <-events:
			if e.what != somebody {
				delete(running, e.console)
			}
		case <-over:
			// Whoever still sends waits for ever, which costs nothing.
			return
		}
	}
}

// start is the starter of the machine: a process with a session and terminal of its own.
func (o Offer) start(name string, events chan<- event) (kill func(), err error) {
	// Without a carrier a plain open would wait for one.
	tty, err := os.OpenFile(console.Machine.Path(name), os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer tty.Close()
	// The session shares this opening of the terminal: reading from it has to wait.
	if err := unix.SetNonblock(int(tty.Fd()), false); err != nil {
		return nil, err
	}
	settings, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return nil, err
	}
	heard, tell, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	environment := []string{"HOME=/", "TERM=linux", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		sessionVariable + "=" + name, hashVariable + "=" + o.PassphraseHash, greetingVariable + "=" + o.Greeting}
	process, err := os.StartProcess(self, []string{"sh"}, &os.ProcAttr{
		Dir: "/", Env: environment, Files: []*os.File{tty, tty, tty, tell},
		Sys: &unix.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0},
	})
	tell.Close()
	if err != nil {
		heard.Close()
		return nil, err
	}
	go func() {
		defer heard.Close()
		if n, _ := heard.Read(make([]byte, 1)); n > 0 {
			events <- event{console: name, what: somebody}
		}
		e := event{console: name, what: lost}
		state, err := process.Wait()
		// What it left running must not hold the terminal, or files of the new root.
		_ = unix.Kill(-process.Pid, unix.SIGKILL)
		resetTerminal(name, settings)
		switch {
		case err != nil:
			e.err = err
		case state.ExitCode() == exitLeft:
			e.what = left
		case state.ExitCode() == exitDenied:
			e.what = denied
		default:
			e.err = errors.New(state.String())
		}
		events <- e
	}()
	return func() { _ = unix.Kill(-process.Pid, unix.SIGKILL) }, nil
}

// resetTerminal gives the next user of a terminal what the first one had.
func resetTerminal(name string, settings *unix.Termios) {
	tty, err := os.OpenFile(console.Machine.Path(name), os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer tty.Close()
	_ = unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, settings)
}
