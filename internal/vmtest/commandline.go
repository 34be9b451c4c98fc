package vmtest

import (
	"fmt"
	"strconv"
)

const qemuProgram = "qemu-system-x86_64"

// ARM64 is a value of Config.Arch.
const ARM64 = "arm64"

// program is the QEMU of the machine's architecture.
func (c Config) program() string {
	if c.Arch == ARM64 {
		return "qemu-system-aarch64"
	}
	return qemuProgram
}

// kvmError is what QEMU prints before it pauses a guest that KVM could not go
// on with. A paused guest never ends by itself.
const kvmError = "KVM internal error"

// Bus is the way a disk is attached to the guest.
type Bus string

// The buses a Disk may have. Virtio is taken when none is named.
const (
	Virtio Bus = "virtio"
	NVMe   Bus = "nvme"
	SCSI   Bus = "scsi"
	AHCI   Bus = "ahci"
	// Those below need drivers that a cloud kernel does not have, but for PVSCSI. An SD card has to have a power of two as its size.
	Fusion   Bus = "fusion"
	PVSCSI   Bus = "pvscsi"
	MegaRAID Bus = "megaraid"
	USB      Bus = "usb"
	UAS      Bus = "uas"
	SD       Bus = "sd"
)

// commandLine makes QEMU's arguments for a machine whose first serial port is
// QEMU's standard output. A reset ends QEMU (-no-reboot), as does a power-off.
func commandLine(c Config) []string {
	machine := "q35"
	switch {
	case c.Arch == ARM64:
		machine = "virt"
	case c.Counted:
		machine = "pc,hpet=off"
	}
	arguments := []string{
		"-M", machine, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "stdio", "-monitor", "none",
		"-m", strconv.Itoa(c.MemoryMiB), "-smp", strconv.Itoa(c.CPUs),
	}
	arguments = append(arguments, secondDevice(c)...)
	if c.Network {
		arguments = append(arguments, "-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net")
	}
	switch {
	case c.Counted:
		// Nothing in it may depend on the host. Without erms: the emulator counts every byte of a repeated string
		// instruction, no processor does.
		arguments = append(arguments, "-accel", "tcg,thread=single", "-cpu", "max,-rdrand,-rdseed,-erms,cx16=off",
			"-icount", "shift=0,sleep=off,align=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-seed", "1")
	case c.Arch == ARM64:
		// A processor that signs no pointers is emulated faster.
		arguments = append(arguments, "-accel", "tcg,thread=multi", "-cpu", "cortex-a72")
	case c.Accelerator == KVM:
		arguments = append(arguments, "-accel", "kvm", "-cpu", "host")
	default:
		// QEMU 7.2 emulates cmpxchg16b wrongly now and then, and the guest's
		// allocator dies of it. Without the feature the kernel does without.
		arguments = append(arguments, "-accel", "tcg,thread=multi", "-cpu", "max,cx16=off")
	}
	arguments = append(arguments, "-kernel", c.Kernel)
	if c.Initrd != "" {
		arguments = append(arguments, "-initrd", c.Initrd)
	}
	arguments = append(arguments, "-append", c.Append)
	for i, disk := range c.Disks {
		arguments = append(arguments, disk.arguments(i)...)
	}
	return append(arguments, plugArguments(c.Plugs)...)
}

// controllers are QEMU's devices with a bus for disks, and what a disk is on it.
var controllers = map[Bus]struct{ device, disk string }{
	SCSI: {"virtio-scsi-pci", "scsi-hd"}, AHCI: {"ich9-ahci", "ide-hd"}, USB: {"qemu-xhci", "usb-storage"},
	PVSCSI: {"pvscsi", "scsi-hd"}, MegaRAID: {"megasas", "scsi-hd"},
}

func (d Disk) arguments(number int) []string {
	id := "disk" + strconv.Itoa(number)
	snapshot := "off"
	if d.Snapshot {
		snapshot = "on"
	}
	// A comma in a file name is written twice in QEMU's option syntax.
	arguments := []string{"-drive", fmt.Sprintf("file=%s,format=raw,if=none,id=%s,snapshot=%s,cache=unsafe",
		doubleCommas(d.Path), id, snapshot)}
	if d.WriteLog != "" {
		arguments = nil
		for node, path := range map[string]string{"data-" + id: d.Path, "log-" + id: d.WriteLog} {
			arguments = append(arguments, "-blockdev", "driver=raw,node-name="+node+",file.driver=file,file.filename="+doubleCommas(path))
		}
		arguments = append(arguments, "-blockdev", "driver=blklogwrites,node-name="+id+",file=data-"+id+",log=log-"+id+",log-sector-size=512")
	}
	switch d.Bus {
	case NVMe:
		return append(arguments, "-device", "nvme,drive="+id+",serial="+id)
	case SD:
		return append(arguments, "-device", "sdhci-pci", "-device", "sd-card,bus=sd-bus,drive="+id)
	case Fusion:
		// Linux adds no SAS disk without an address.
		return append(arguments, "-device", "mptsas1068,id=bus"+id,
			"-device", fmt.Sprintf("scsi-hd,bus=bus%s.0,drive=%s,wwn=%#x,port_wwn=%#x", id, id, 0x5000c50000000001+number, 0x5000c50000000101+number))
	case UAS:
		return append(arguments, "-device", "qemu-xhci,id=bus"+id, "-device", "usb-uas,bus=bus"+id+".0,id=uas"+id,
			"-device", "scsi-hd,bus=uas"+id+".0,drive="+id)
	}
	if c, found := controllers[d.Bus]; found {
		return append(arguments, "-device", c.device+",id=bus"+id, "-device", c.disk+",bus=bus"+id+".0,drive="+id)
	}
	return append(arguments, "-device", "virtio-blk-pci,drive="+id)
}

func doubleCommas(path string) string {
	doubled := make([]byte, 0, len(path))
	for i := range len(path) {
		if path[i] == ',' {
			doubled = append(doubled, ',')
		}
		doubled = append(doubled, path[i])
	}
	return string(doubled)
}
