package vmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Plug is a disk that comes into the running machine: so long after a text was printed on its console.
type Plug struct {
	// Path is a raw image. The guest's writes to it are thrown away.
	Path  string
	After string
	Delay time.Duration
}

// monitorDescriptor is that of QEMU's end of the monitor: the first of exec.Cmd's ExtraFiles.
const monitorDescriptor = 3

// plugArguments makes QEMU's arguments for disks to come: a slot of PCI Express for each, and the monitor.
func plugArguments(plugs []Plug) (arguments []string) {
	for i, plug := range plugs {
		number := strconv.Itoa(i)
		arguments = append(arguments,
			"-drive", fmt.Sprintf("file=%s,format=raw,if=none,id=plug%s,snapshot=on,cache=unsafe", doubleCommas(plug.Path), number),
			"-device", "pcie-root-port,id=slot"+number+",chassis="+strconv.Itoa(i+1)+",slot="+strconv.Itoa(i+1))
	}
	if len(plugs) > 0 {
		arguments = append(arguments, "-chardev", "socket,id=monitor,fd="+strconv.Itoa(monitorDescriptor), "-mon", "chardev=monitor,mode=control")
	}
	return arguments
}

// plugger attaches disks while the machine runs.
type plugger struct {
	plugs   []Plug
	monitor net.Conn
	machine *os.File
	answers *json.Decoder
	heard   []byte
	// printed are closed, and nil then, when their texts were printed.
	printed  []chan struct{}
	finished sync.WaitGroup

	// mu guards the monitor and what is below.
	mu      sync.Mutex
	greeted bool
	err     error
}

// newPlugger makes both ends of the monitor.
func newPlugger(plugs []Plug) (*plugger, error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make monitor: %w", err)
	}
	ours := os.NewFile(uintptr(ends[0]), "monitor")
	p := &plugger{plugs: plugs, machine: os.NewFile(uintptr(ends[1]), "monitor of the machine")}
	p.monitor, err = net.FileConn(ours)
	if err = errors.Join(err, ours.Close()); err != nil {
		p.machine.Close()
		return nil, fmt.Errorf("make monitor: %w", err)
	}
	p.answers = json.NewDecoder(p.monitor)
	for range plugs {
		p.printed = append(p.printed, make(chan struct{}))
	}
	return p, nil
}

// start waits for the texts. A disk that cannot be attached ends the machine by stop.
func (p *plugger) start(ctx context.Context, stop func()) {
	for i, printed := range p.printed {
		p.finished.Add(1)
		go func() {
			defer p.finished.Done()
			select {
			case <-printed:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(p.plugs[i].Delay):
			case <-ctx.Done():
				return
			}
			if err := p.attach(i); err != nil && ctx.Err() == nil {
				p.mu.Lock()
				p.err = fmt.Errorf("attach disk %s: %w", p.plugs[i].Path, err)
				p.mu.Unlock()
				stop()
			}
		}()
	}
}

// hear takes what was printed on the console.
func (p *plugger) hear(text []byte) {
	p.heard = append(p.heard, text...)
	for i, plug := range p.plugs {
		if p.printed[i] != nil && bytes.Contains(p.heard, []byte(plug.After)) {
			close(p.printed[i])
			p.printed[i] = nil
		}
	}
}

// attach puts a disk into its slot.
func (p *plugger) attach(number int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.greeted {
		if err := p.ask("qmp_capabilities", nil); err != nil {
			return err
		}
		p.greeted = true
	}
	n := strconv.Itoa(number)
	return p.ask("device_add", map[string]string{"driver": "virtio-blk-pci", "id": "plugged" + n, "bus": "slot" + n, "drive": "plug" + n})
}

// ask has QEMU do something and waits for its answer (QEMU Machine Protocol). What it says by itself in between is passed over.
func (p *plugger) ask(command string, arguments map[string]string) error {
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(p.monitor).Encode(request); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	for {
		var answer struct {
			Return *json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := p.answers.Decode(&answer); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		switch {
		case answer.Error != nil:
			return fmt.Errorf("%s: %s", command, answer.Error.Desc)
		case answer.Return != nil:
			return nil
		}
	}
}

// close ends the monitor and returns why a disk was not attached. The context of start must have ended.
func (p *plugger) close() error {
	p.monitor.Close()
	p.machine.Close()
	p.finished.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
