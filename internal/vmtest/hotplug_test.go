package vmtest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// playQEMU answers at the machine's end of the monitor: the second of the two requests with the given line.
func playQEMU(t *testing.T, p *plugger, answer string) (asked chan string) {
	t.Helper()
	machine, err := net.FileConn(p.machine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { machine.Close() })
	asked = make(chan string, 4)
	go func() {
		fmt.Fprintln(machine, `{"QMP": {"version": {}, "capabilities": ["oob"]}}`)
		requests := bufio.NewScanner(machine)
		for _, line := range []string{`{"return": {}}`, `{"timestamp": {"seconds": 1}, "event": "RESUME"}` + "\n" + answer} {
			if !requests.Scan() {
				return
			}
			asked <- requests.Text()
			fmt.Fprintln(machine, line)
		}
	}()
	return asked
}

func TestPlugComesAfterItsText(t *testing.T) {
	const delay = 50 * time.Millisecond
	p, err := newPlugger([]Plug{{Path: "d", After: "Run /init", Delay: delay}})
	if err != nil {
		t.Fatal(err)
	}
	asked := playQEMU(t, p, `{"return": {}}`)
	ctx, cancel := context.WithCancel(t.Context())
	p.start(ctx, func() { t.Error("the machine was stopped") })
	p.hear([]byte("booting\nRun /in"))
	select {
	case request := <-asked:
		t.Fatalf("asked before the text: %s", request)
	case <-time.After(2 * delay):
	}
	begun := time.Now()
	p.hear([]byte("it as init process\n"))
	first, second := <-asked, <-asked
	if took := time.Since(begun); took < delay {
		t.Errorf("asked after %v", took)
	}
	if !strings.Contains(first, "qmp_capabilities") || !strings.Contains(second, "device_add") || !strings.Contains(second, `"bus":"slot0"`) || !strings.Contains(second, `"drive":"plug0"`) {
		t.Errorf("asked %s and %s", first, second)
	}
	func() {
		// Until the answer was read.
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.greeted {
			t.Error("the monitor was not greeted")
		}
	}()
	cancel()
	if err := p.close(); err != nil {
		t.Error(err)
	}
}

func TestPlugThatIsRefusedEndsTheMachine(t *testing.T) {
	p, err := newPlugger([]Plug{{Path: "d", After: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	playQEMU(t, p, `{"error": {"class": "GenericError", "desc": "no such slot"}}`)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	p.start(ctx, func() { close(stopped) })
	p.hear([]byte("x"))
	<-stopped
	cancel()
	if err := p.close(); err == nil || !strings.Contains(err.Error(), "attach disk d: device_add: no such slot") {
		t.Error(err)
	}
}

// TestPlugThatNeverComes: a machine that ends before is no error.
func TestPlugThatNeverComes(t *testing.T) {
	p, err := newPlugger([]Plug{{Path: "d", After: "x", Delay: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.start(ctx, func() { t.Error("the machine was stopped") })
	p.hear([]byte("x"))
	cancel()
	if err := p.close(); err != nil {
		t.Error(err)
	}
}
