package initramfs

import (
	"slices"
	"strings"
)

// Sets of hardware that an image can have drivers for. Any other text is a list of modules, separated by commas.
const (
	HardwareDefault = "default" // DefaultModules
	HardwareGeneric = "generic" // GenericHardware: most machines, real and virtual
	HardwareThis    = "this"    // what this machine's disks and keyboards hang on
)

// baseModules open and merge a verified /usr and its extensions, whatever the disk is.
var baseModules = []string{"overlay", "erofs", "squashfs", "ext4", "loop", "dm_mod", "dm_verity"}

// HardwareGroup is a part of the portable set.
type HardwareGroup struct {
	Name    string
	Modules []string
}

// GenericHardware is the portable set. Kernels differ in what they have: what is missing is named and left out.
var GenericHardware = []HardwareGroup{
	{"virtio", []string{"virtio_pci", "virtio_mmio", "virtio_blk", "virtio_scsi"}},
	{"NVMe", []string{"nvme", "vmd"}},
	{"SCSI", []string{"sd_mod", "sr_mod"}},
	{"SCSI host adapters", []string{
		"mptspi", "mptsas", "mpt3sas", "mpi3mr", "megaraid_sas", "megaraid_mbox", "aacraid", "hpsa", "smartpqi",
		"arcmsr", "isci", "mvsas", "pm80xx", "3w_9xxx", "3w_sas", "sym53c8xx", "aic79xx", "aic7xxx", "BusLogic", "qla2xxx", "lpfc",
	}},
	{"AHCI and IDE", []string{"ahci", "ahci_platform", "ata_piix", "ata_generic", "sata_nv", "sata_sil", "sata_sil24", "sata_via", "sata_mv"}},
	{"USB", []string{
		"xhci_pci", "xhci_plat_hcd", "ehci_pci", "ehci_platform", "ohci_pci", "uhci_hcd", "usb_storage", "uas", "usbhid", "hid_generic",
	}},
	{"eMMC", []string{"mmc_block", "sdhci_pci", "sdhci_acpi", "sdhci_pltfm", "rtsx_pci_sdmmc", "dw_mmc_pltfm", "sdhci_iproc", "sdhci_of_dwcmshc"}},
	{"Hyper-V", []string{"hv_vmbus", "hv_storvsc", "pci_hyperv", "hid_hyperv", "hyperv_keyboard"}},
	{"VMware", []string{"vmw_pvscsi", "mptspi"}},
	{"Xen", []string{"xen_blkfront", "xen_scsifront", "xen_kbdfront"}},
	{"keyboard", []string{"i8042", "atkbd"}},
	{"file systems of a root", []string{"xfs", "btrfs", "vfat"}},
}

// request is one name to put into the image, with the reason to report.
type request struct {
	name, reason string

	// optional: a kernel that lacks it is no error.
	optional bool

	// byAlias: it was found by a device's modalias, so the target's blacklist counts.
	byAlias bool
}

// requestsOf lists the module names that o asks for. Those of this machine are found in the index of the target's kernel.
func requestsOf(o Options, k *kernel) ([]request, error) {
	requests, err := hardwareRequests(o, k)
	if err != nil {
		return nil, err
	}
	for _, name := range o.ExtraModules {
		requests = append(requests, request{name: name, reason: "asked for"})
	}
	return requests, nil
}

func hardwareRequests(o Options, k *kernel) ([]request, error) {
	all := func(names []string, reason string) (requests []request) {
		for _, name := range names {
			requests = append(requests, request{name: name, reason: reason})
		}
		return requests
	}
	if o.Modules != nil {
		return all(o.Modules, "asked for"), nil
	}
	base := all(baseModules, "for /usr and extensions")
	switch o.Hardware {
	case "", HardwareDefault:
		return all(DefaultModules, "in the default set"), nil
	case HardwareGeneric:
		var requests []request
		for _, group := range GenericHardware {
			for _, name := range group.Modules {
				requests = append(requests, request{name: name, reason: "generic: " + group.Name, optional: true})
			}
		}
		return append(requests, base...), nil
	case HardwareThis:
		m := o.Machine
		if m == (Machine{}) {
			m = Machine{Sys: "/sys", MountInfo: "/proc/self/mountinfo"}
		}
		requests, err := m.requests(k.index)
		if err != nil {
			return nil, err
		}
		return append(requests, base...), nil
	}
	names := strings.Split(o.Hardware, ",")
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	return append(all(names, "asked for"), base...), nil
}
