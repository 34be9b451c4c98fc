package rescue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/console"
	"github.com/preroot/preroot/internal/sentinel"
)

// Offer is a shell on every console, made by PID 1.
type Offer struct {
	// PassphraseHash is a PHC string; empty lets everybody in.
	PassphraseHash string
	// AnswerTime bounds the wait for somebody who types; 0 for ever.
	AnswerTime time.Duration
	// Greeting is printed first, Why by the command of this name.
	Greeting, Why string
	// NotResumable says why the boot cannot go on; empty if it can.
	NotResumable string
	// Terminal is the only terminal to open, as below /dev; empty for all consoles.
	Terminal string
	// Stop ends it when it is closed; nil never does.
	Stop <-chan struct{}
}

// Outcome is how an offer ended.
type Outcome struct {
	// Entered says that somebody was in a shell.
	Entered bool
	// Resume says that the boot shall go on, with Words behind the kernel command line.
	Resume bool
	Words  string
}

// ErrNobody says that the time for an answer is over, ErrStopped that nobody is asked any more.
const (
	ErrNobody  = sentinel.Error("nobody answered in time")
	ErrStopped = sentinel.Error("the shell was ended from outside")
)

// event is what happens to a session.
type event struct {
	console string
	what    happening
	err     error
	words   string
}

type happening int

const (
	somebody happening = iota // has typed a line or given the passphrase
	left                      // the shell was left
	resumed                   // the shell was left for the boot to go on, with words
	denied                    // the passphrase was wrong too often
	lost                      // the session died
)

// starter starts a session on a console, and returns how to end it. It sends events until one that is an end.
type starter func(console string, events chan<- event) (kill func(), err error)

// Open starts a shell on each console, also those that come later, and returns when somebody left one: all are closed
// then. An error says why nobody is to be let in any more.
func (o Offer) Open() (Outcome, error) {
	if o.Terminal != "" {
		return o.serve(func() []string { return []string{o.Terminal} }, nil, o.start)
	}
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

func (o Offer) serve(active func() []string, changes <-chan struct{}, start starter) (end Outcome, err error) {
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
			return end, ErrNobody
		case <-o.Stop:
			return end, ErrStopped
		case e := <-events:
			if e.what != somebody {
				delete(running, e.console)
			}
			switch e.what {
			case somebody:
				end.Entered, over = true, nil
			case left:
				return end, nil
			case resumed:
				end.Resume, end.Words = true, e.words
				return end, nil
			case denied:
				return end, errDenied
			case lost:
				problem = fmt.Errorf("console %s: %w", e.console, e.err)
			}
		}
	}
	return end, fmt.Errorf("there is no console for a shell: %w", problem)
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
	environment := []string{"HOME=/", "TERM=" + terminalType(name), "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		sessionVariable + "=" + name, hashVariable + "=" + o.PassphraseHash, greetingVariable + "=" + plain(o.Greeting),
		whyVariable + "=" + plain(o.Why), notResumableVariable + "=" + plain(o.NotResumable)}
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
		words, _ := io.ReadAll(io.LimitReader(heard, maxWords))
		state, err := process.Wait()
		// What it left running must not hold the terminal, or files of the new root.
		_ = unix.Kill(-process.Pid, unix.SIGKILL)
		resetTerminal(name, settings)
		switch {
		case err != nil:
			e.err = err
		case state.ExitCode() == exitLeft:
			e.what = left
		case state.ExitCode() == exitResume:
			e.what, e.words = resumed, string(words)
		case state.ExitCode() == exitDenied:
			e.what = denied
		default:
			e.err = errors.New(state.String())
		}
		events <- e
	}()
	return func() { _ = unix.Kill(-process.Pid, unix.SIGKILL) }, nil
}

// terminalType is what TERM says: the kernel's own consoles are "linux", and behind others there is at least a VT220.
func terminalType(name string) string {
	if number, found := strings.CutPrefix(name, "tty"); found && strings.Trim(number, "0123456789") == "" {
		return "linux"
	}
	return "vt220"
}

// plain makes a text of several lines fit for a terminal and the environment.
func plain(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = bootlog.Printable(line)
	}
	return strings.Join(lines, "\n")
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
