package rescue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// machine starts sessions that do nothing by themselves.
type machine struct {
	mu      sync.Mutex
	active  []string
	started []string
	killed  []string
	events  chan<- event
	fails   map[string]error
}

func (m *machine) consoles() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.active)
}

func (m *machine) start(name string, events chan<- event) (func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fails[name]; err != nil {
		return nil, err
	}
	m.started = append(m.started, name)
	m.events = events
	return func() {
		m.mu.Lock()
		m.killed = append(m.killed, name)
		m.mu.Unlock()
		go func() { events <- event{console: name, what: lost, err: errors.New("killed")} }()
	}, nil
}

type answer struct {
	Outcome
	err error
}

// serve runs an offer in the background.
func (m *machine) serve(o Offer) (changes chan<- struct{}, result <-chan answer) {
	changed, done := make(chan struct{}), make(chan answer, 1)
	go func() {
		end, err := o.serve(m.consoles, changed, m.start)
		done <- answer{end, err}
	}()
	return changed, done
}

func (m *machine) send(t *testing.T, e event) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		m.mu.Lock()
		events, ready := m.events, slices.Contains(m.started, e.console)
		m.mu.Unlock()
		if ready {
			events <- e
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no session on %s", e.console)
		}
	}
}

func receive(t *testing.T, result <-chan answer) answer {
	t.Helper()
	select {
	case a := <-result:
		return a
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
		return answer{}
	}
}

func TestEveryConsoleHasAShellAndOneIsEnough(t *testing.T) {
	m := &machine{active: []string{"tty0", "ttyS0"}}
	changes, result := m.serve(Offer{})
	m.send(t, event{console: "ttyS0", what: somebody})
	m.mu.Lock()
	m.active = append(m.active, "hvc0")
	m.mu.Unlock()
	changes <- struct{}{}
	m.send(t, event{console: "hvc0", what: somebody})
	m.send(t, event{console: "ttyS0", what: left})
	if a := receive(t, result); !a.Entered || a.err != nil {
		t.Errorf("%+v", a)
	}
	slices.Sort(m.killed)
	if want := []string{"hvc0", "tty0"}; !slices.Equal(m.killed, want) || len(m.started) != 3 {
		t.Errorf("started %q, killed %q", m.started, m.killed)
	}
}

func TestThreeWrongPassphrasesEndTheOffer(t *testing.T) {
	m := &machine{active: []string{"tty0", "ttyS0"}}
	_, result := m.serve(Offer{PassphraseHash: "x"})
	m.send(t, event{console: "tty0", what: denied})
	if a := receive(t, result); a.Entered || !errors.Is(a.err, errDenied) {
		t.Errorf("%+v", a)
	}
	if want := []string{"ttyS0"}; !slices.Equal(m.killed, want) {
		t.Errorf("killed %q", m.killed)
	}
}

func TestNobodyAnswers(t *testing.T) {
	m := &machine{active: []string{"ttyS0"}}
	_, result := m.serve(Offer{AnswerTime: 20 * time.Millisecond})
	if a := receive(t, result); a.Entered || !errors.Is(a.err, ErrNobody) || len(m.killed) != 1 {
		t.Errorf("%+v, killed %q", a, m.killed)
	}
}

// Whoever is there takes the time it takes.
func TestSomebodyAnswers(t *testing.T) {
	m := &machine{active: []string{"ttyS0"}}
	_, result := m.serve(Offer{AnswerTime: 300 * time.Millisecond})
	m.send(t, event{console: "ttyS0", what: somebody})
	select {
	case a := <-result:
		t.Fatalf("%+v", a)
	case <-time.After(600 * time.Millisecond):
	}
	m.send(t, event{console: "ttyS0", what: left})
	if a := receive(t, result); !a.Entered || a.err != nil {
		t.Errorf("%+v", a)
	}
}

func TestConsolesThatDoNotWork(t *testing.T) {
	m := &machine{active: []string{"bad", "ttyS0"}, fails: map[string]error{"bad": errors.New("no such device")}}
	_, result := m.serve(Offer{})
	m.send(t, event{console: "ttyS0", what: lost, err: fmt.Errorf("input/output error")})
	if a := receive(t, result); a.Entered || a.err == nil || !strings.Contains(a.err.Error(), "there is no console for a shell: console ttyS0: input/output error") {
		t.Errorf("%+v", a)
	}
	_, result = (&machine{active: []string{"bad"}, fails: m.fails}).serve(Offer{})
	if a := receive(t, result); a.Entered || a.err == nil || !strings.Contains(a.err.Error(), "console bad: no such device") {
		t.Errorf("%+v", a)
	}
}

func TestSomebodyResumes(t *testing.T) {
	m := &machine{active: []string{"tty0", "ttyS0"}}
	_, result := m.serve(Offer{})
	m.send(t, event{console: "ttyS0", what: somebody})
	m.send(t, event{console: "ttyS0", what: resumed, words: "root=/dev/vda4"})
	if a := receive(t, result); !a.Entered || !a.Resume || a.Words != "root=/dev/vda4" || a.err != nil {
		t.Errorf("%+v", a)
	}
	if want := []string{"tty0"}; !slices.Equal(m.killed, want) {
		t.Errorf("killed %q", m.killed)
	}
}

func TestAnOfferIsStopped(t *testing.T) {
	m := &machine{active: []string{"ttyS0"}}
	stop := make(chan struct{})
	_, result := m.serve(Offer{Stop: stop})
	m.send(t, event{console: "ttyS0", what: somebody})
	close(stop)
	if a := receive(t, result); !a.Entered || a.Resume || !errors.Is(a.err, ErrStopped) || len(m.killed) != 1 {
		t.Errorf("%+v, killed %q", a, m.killed)
	}
}

func TestTerminalTypes(t *testing.T) {
	for name, want := range map[string]string{"tty": "linux", "tty0": "linux", "tty12": "linux", "ttyS0": "vt220", "hvc0": "vt220", "ttyAMA0": "vt220", "console": "vt220"} {
		if got := terminalType(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := plain("a\x00b\nc\x1b[2J\n"); got != "a?b\nc?[2J\n" {
		t.Errorf("%q", got)
	}
}
