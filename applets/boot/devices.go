package boot

import (
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/uevent"
)

// devices are the partitions that the boot needs, and all that were there when they were found.
type devices struct {
	plan.Devices
	partitions []observe.Partition
}

// loadCertainModules starts to load what is needed for certain, side by side.
// Who needs a module later waits for it and gets its error.
func (b *boot) loadCertainModules() {
	for _, need := range b.plan.Modules {
		if b.index.IsLoadable(need.Module) {
			b.reasons[need.Module] = need.Reason
			go b.guarded(func() { _ = b.loader.Load(need.Module) })()
		}
	}
}

// drivers loads the drivers of the devices that are there, one after another,
// only as long as something is missing.
type drivers struct {
	queue   []string
	offered map[string]bool
	loading bool
	done    chan driverLoad
}

type driverLoad struct {
	module string
	err    error
}

// slowness is larger the later a driver comes: one takes long to look for disks, or finds what is rarely the system disk.
func slowness(driver string) int {
	switch driver {
	case "ahci", "ata_piix":
		return 1
	case "usb_storage", "uas", "xhci_pci":
		return 2
	}
	return 0
}

// offer adds the drivers of new devices to the queue.
func (d *drivers) offer(b *boot, modaliases []string) {
	for _, modalias := range modaliases {
		for _, module := range b.index.Match(modalias) {
			if slices.Contains(b.plan.Blacklist, strings.ReplaceAll(module, "-", "_")) {
				continue
			}
			if !d.offered[module] {
				d.offered[module] = true
				b.reasons[module] = "device " + modalias
				d.queue = append(d.queue, module)
			}
		}
	}
	sort.SliceStable(d.queue, func(i, j int) bool { return slowness(d.queue[i]) < slowness(d.queue[j]) })
}

// next starts to load the next driver, if none is being loaded.
func (d *drivers) next(b *boot) {
	if d.loading || len(d.queue) == 0 {
		return
	}
	module := d.queue[0]
	d.queue = d.queue[1:]
	d.loading = true
	go b.guarded(func() { d.done <- driverLoad{module, b.loader.Load(module)} })()
}

// settleTime bounds the wait for the driver that is just being loaded, when all is there already.
const settleTime = 5 * time.Second

// findDevices waits until the partitions of /usr and the root are there. It
// looks again after every event of the kernel, and never because of the time.
func (b *boot) findDevices() (devices, error) {
	listener, err := uevent.Listen()
	if err != nil {
		return devices{}, err
	}
	events := make(chan []uevent.Event, 16)
	go b.guarded(func() { receive(listener, events) })()

	drivers := drivers{offered: map[string]bool{}, done: make(chan driverLoad, 1)}
	drivers.offer(b, blockdev.Modaliases("/sys"))
	timeout := time.NewTimer(b.plan.Timeout)
	defer timeout.Stop()
	disks := observe.Disks{Contents: true}
	var settling <-chan time.Time
	settled := false
	for {
		partitions, problems := disks.Scan("/sys")
		for _, problem := range problems {
			b.warn("%v", problem)
		}
		found, missing := b.plan.Select(partitions, plan.FindLoaderDisk(b.firmware, partitions), b.usrOnly)
		if found.RootIsMissing && found.Usr.Data != nil {
			if refusal := b.plan.CheckOpaqueRoot(partitions, found.Usr.Data.Disk); refusal != nil {
				return devices{found, partitions}, refusal
			}
		}
		switch {
		case missing != "":
			drivers.next(b)
		case drivers.loading && !settled:
			// The driver may be about to show another disk with the same partitions: what is taken must not depend on who is faster.
			if settling == nil {
				settling = time.After(settleTime)
			}
		default:
			if err := b.noteDevices(found); err != nil {
				return devices{}, err
			}
			return devices{found, partitions}, b.plan.CheckHibernation(partitions)
		}
		select {
		case happened := <-events:
			drivers.offer(b, modaliases(happened))
		case load := <-drivers.done:
			drivers.loading = false
			if load.err != nil {
				b.warn("%v", load.err)
			}
		case <-settling:
			settled = true
		case <-timeout.C:
			if missing == "" {
				settled = true
				continue
			}
			return devices{found, partitions}, &missingError{missing, b.plan.Timeout, describe(partitions), found.RootIsMissing}
		}
	}
}

// receive passes events on until the process ends. A lost event is an empty
// message: it makes the other side look again.
func receive(listener *uevent.Listener, events chan<- []uevent.Event) {
	for {
		happened, lost, err := listener.Wait(time.Now().Add(time.Hour))
		if err != nil {
			return
		}
		if len(happened) > 0 || lost {
			events <- happened
		}
	}
}

func modaliases(events []uevent.Event) []string {
	var aliases []string
	for _, event := range events {
		if alias := event.Properties["MODALIAS"]; alias != "" && event.Action == "add" {
			aliases = append(aliases, alias)
		}
	}
	return aliases
}

// describe lists what block devices there are, for a person to compare.
func describe(partitions []observe.Partition) string {
	var names []string
	for _, p := range partitions {
		if strings.HasPrefix(p.Name, "loop") || strings.HasPrefix(p.Name, "ram") {
			continue
		}
		name := p.Node()
		if p.Entry.Number != 0 {
			name += " (" + p.Entry.ID.String() + ")"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "no block device was found: is its driver in this image?"
	}
	const most = 12
	if len(names) > most {
		names = append(names[:most], "...")
	}
	return "there are: " + strings.Join(names, " ")
}
