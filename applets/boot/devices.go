package boot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/uevent"
)

// devices are the partitions that the boot needs, and all that were there when they were found.
type devices struct {
	usrData, usrHash, root *observe.Partition
	usrParity              *observe.Partition // nil without error correction
	partitions             []observe.Partition
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

// slowDrivers take long to look for disks, or find what is rarely the system
// disk: they come after the others.
var slowDrivers = map[string]int{"ahci": 1, "ata_piix": 1, "usb_storage": 2, "uas": 2, "xhci_pci": 2}

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
	slices.SortStableFunc(d.queue, func(x, y string) int { return cmp.Compare(slowDrivers[x], slowDrivers[y]) })
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
	for {
		partitions, problems := disks.Scan("/sys")
		for _, problem := range problems {
			b.warn("%v", problem)
		}
		found, missing := b.selectDevices(partitions)
		if missing == "" {
			b.warnAmbiguous(partitions, found)
			b.noteDevices(found)
			return found, b.plan.CheckHibernation(partitions)
		}
		drivers.next(b)
		select {
		case happened := <-events:
			drivers.offer(b, modaliases(happened))
		case load := <-drivers.done:
			drivers.loading = false
			if load.err != nil {
				b.warn("%v", load.err)
			}
		case <-timeout.C:
			return devices{}, fmt.Errorf("no partition %s appeared within %v\n%s", missing, b.plan.Timeout, describe(partitions))
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

// selectDevices picks the partitions, and names the first one that is missing.
func (b *boot) selectDevices(partitions []observe.Partition) (found devices, missing string) {
	usr := b.plan.Usr
	found.partitions = partitions
	if found.usrData, _ = usr.Data.Find(partitions, ""); found.usrData == nil {
		return found, usr.Data.String() + " (data of /usr, first half of usrhash=)"
	}
	if found.usrHash, _ = usr.Hash.Find(partitions, found.usrData.Disk); found.usrHash == nil {
		return found, usr.Hash.String() + " (hash tree of /usr, second half of usrhash=)"
	}
	if fec := usr.Options.FEC; fec != nil {
		if found.usrParity, _ = fec.Device.Find(partitions, found.usrData.Disk); found.usrParity == nil {
			return found, fec.Device.String() + " (error correction of /usr, fec-device=)"
		}
	}
	if found.root, _ = b.plan.Root.Device.Find(partitions, found.usrData.Disk); found.root == nil {
		return found, b.plan.Root.Device.String() + " (root)"
	}
	return found, ""
}

func (b *boot) warnAmbiguous(partitions []observe.Partition, found devices) {
	for _, use := range []struct {
		selector plan.Selector
		taken    *observe.Partition
	}{{b.plan.Usr.Data, found.usrData}, {b.plan.Usr.Hash, found.usrHash}, {b.plan.Root.Device, found.root}} {
		if _, others := use.selector.Find(partitions, found.usrData.Disk); others > 0 {
			b.warn("%d more partitions are %v; taking %s", others, use.selector, use.taken.Node())
		}
	}
	b.log.Printf(bootlog.Info, "/usr on %s with hash tree on %s, root on %s",
		found.usrData.Node(), found.usrHash.Node(), found.root.Node())
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
