package boot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/kernelmodules"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/uevent"
)

// withModules gives a boot an index of modules whose files do not exist: to load one fails and changes
// nothing.
func (f *failure) withModules(t *testing.T, aliases map[string]string) {
	t.Helper()
	root := t.TempDir()
	directory := filepath.Join(root, "lib/modules/1.0")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	var dependencies, lines strings.Builder
	for alias, module := range aliases {
		dependencies.WriteString(module + ".ko:\n")
		lines.WriteString("alias " + alias + " " + module + "\n")
	}
	for name, text := range map[string]string{"modules.dep": dependencies.String(), "modules.alias": lines.String(), "modules.builtin": "built-in.ko\n"} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if f.index, err = kernelmodules.ReadIndex(root, "1.0"); err != nil {
		t.Fatal(err)
	}
	f.loader = kernelmodules.NewLoader(f.index)
}

func TestDriversComeInTurn(t *testing.T) {
	f := newFailure(t)
	f.withModules(t, map[string]string{
		"pci:ahci*": "ahci", "pci:usb*": "xhci_pci", "virtio:2*": "virtio_blk", "pci:nvme*": "nvme", "pci:net*": "virtio_net",
	})
	f.plan = &plan.Boot{Blacklist: []string{"virtio_net"}}
	d := drivers{offered: map[string]bool{}, done: make(chan driverLoad, 1)}
	d.offer(f.boot, []string{"pci:usb1", "pci:ahci1", "pci:unknown", "pci:nvme1", "pci:net1"})
	d.offer(f.boot, []string{"virtio:2x", "pci:nvme2", "pci:usb1"})
	// Slow ones last, the others as they were found, each once.
	if want := []string{"nvme", "virtio_blk", "ahci", "xhci_pci"}; !slices.Equal(d.queue, want) {
		t.Errorf("%q, want %q", d.queue, want)
	}
	if f.reasons["nvme"] != "device pci:nvme1" {
		t.Errorf("%q", f.reasons)
	}
	var loaded []string
	for range 4 {
		d.next(f.boot)
		d.next(f.boot) // Nothing new while one is being loaded.
		select {
		case load := <-d.done:
			d.loading = false
			loaded = append(loaded, load.module)
			if load.err == nil {
				t.Errorf("%s was loaded", load.module)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no driver")
		}
	}
	d.next(f.boot)
	if !slices.Equal(loaded, []string{"nvme", "virtio_blk", "ahci", "xhci_pci"}) || len(d.queue) != 0 || d.loading {
		t.Errorf("%q, %+v", loaded, d)
	}
}

func TestModaliasesOfEvents(t *testing.T) {
	event := func(action, alias string) uevent.Event {
		return uevent.Event{Action: action, Properties: map[string]string{"MODALIAS": alias}}
	}
	got := modaliases([]uevent.Event{event("add", "a"), event("remove", "b"), event("add", ""), {Action: "add"}, event("change", "c"), event("add", "d")})
	if !slices.Equal(got, []string{"a", "d"}) {
		t.Errorf("%q", got)
	}
}

func testPartition(t *testing.T, disk string, number int, id string) observe.Partition {
	t.Helper()
	guid, err := gpt.ParseGUID(id)
	if err != nil {
		t.Fatal(err)
	}
	name := disk
	if number > 0 {
		name += string(rune('0' + number))
	}
	p := observe.Partition{Device: blockdev.Device{Name: name, Partition: number}, Entry: gpt.Entry{Number: number, ID: guid}}
	if number > 0 {
		p.Disk = disk
	}
	return p
}

const (
	dataID, treeID = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
	rootID, noID   = "33333333-3333-3333-3333-333333333333", "00000000-0000-0000-0000-000000000000"
)

func TestNoteDevices(t *testing.T) {
	data, tree, root := testPartition(t, "vdb", 1, dataID), testPartition(t, "vdb", 2, treeID), testPartition(t, "vdb", 3, rootID)
	choice := plan.Choice{Selector: plan.Selector{Kind: plan.ByPartUUID, Value: rootID}, Taken: &root, Others: 1, Why: "on the disk of /usr"}
	for want, usr := range map[string]plan.Parts{
		"/usr on /dev/vdb1 with hash tree on /dev/vdb2, root on /dev/vdb3": {Data: &data, Hash: &tree},
		"/usr on /dev/vdb1, root on /dev/vdb3":                             {Data: &data},
		"/usr on the root, root on /dev/vdb3":                              {},
	} {
		f := newFailure(t)
		if err := f.noteDevices(plan.Devices{Usr: usr, Root: plan.Parts{Data: &root}, Choices: []plan.Choice{choice}}); err != nil {
			t.Error(err)
		}
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("%q, want %q", f.log, want)
		}
		if len(f.report.Warnings) != 1 || f.report.Warnings[0] != "1 more partitions are PARTUUID="+rootID+"; taking /dev/vdb3: on the disk of /usr" {
			t.Errorf("%q", f.report.Warnings)
		}
	}
	f := newFailure(t)
	if err := f.noteDevices(plan.Devices{Root: plan.Parts{Data: &data, Hash: &tree}}); err != nil || !strings.Contains(f.log.String(), "/usr on the root, root on /dev/vdb1 with hash tree on /dev/vdb2\n") {
		t.Errorf("%q, %v", f.log, err)
	}
}

// TestSealedGuessesNothing: what nothing decided is taken in the full profile only.
func TestSealedGuessesNothing(t *testing.T) {
	root := testPartition(t, "vda", 3, rootID)
	found := plan.Devices{Root: plan.Parts{Data: &root}, Choices: []plan.Choice{{Selector: plan.Selector{Kind: plan.ByPartUUID, Value: rootID}, Taken: &root, Others: 2}}}
	for profile, refused := range map[string]bool{"sealed": true, "full": false} {
		f := newFailure(t)
		f.report.Profile = profile
		err := f.noteDevices(found)
		if (err != nil) != refused || refused && !strings.HasPrefix(err.Error(), "3 partitions are PARTUUID="+rootID+", and nothing tells") {
			t.Errorf("%s: %v", profile, err)
		}
		if len(f.report.Warnings) != 1 || !strings.HasSuffix(f.report.Warnings[0], "taking /dev/vda3: the first one found") {
			t.Errorf("%s: %q", profile, f.report.Warnings)
		}
	}
}

func TestDescribe(t *testing.T) {
	if got := describe(nil); !strings.Contains(got, "is its driver in this image?") {
		t.Error(got)
	}
	quiet := []observe.Partition{testPartition(t, "loop", 0, noID), testPartition(t, "ram", 0, noID)}
	if got := describe(quiet); !strings.Contains(got, "no block device") {
		t.Error(got)
	}
	partitions := append(quiet, testPartition(t, "vda", 0, noID), testPartition(t, "vda", 1, dataID))
	if got, want := describe(partitions), "there are: /dev/vda /dev/vda1 ("+dataID+")"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for range 20 {
		partitions = append(partitions, testPartition(t, "vdb", 1, rootID))
	}
	if got := describe(partitions); strings.Count(got, "/dev/") != 12 || !strings.HasSuffix(got, " ...") {
		t.Error(got)
	}
}
