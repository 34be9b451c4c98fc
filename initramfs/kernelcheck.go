package initramfs

import (
	"debug/elf"
	"fmt"
	"strings"

	"github.com/preroot/preroot/initramfs/kerneltree"
)

// kernelOption is an option of the kernel's configuration and what an image has it for.
type kernelOption struct{ name, purpose string }

// neededOptions are those without which the kernel does not reach /init, or /init nothing; none of them can be a module.
var neededOptions = []kernelOption{
	{"CONFIG_BLK_DEV_INITRD", "to unpack an initramfs"},
	{"CONFIG_BINFMT_ELF", "to start programs"},
	{"CONFIG_BLOCK", "for disks"},
	{"CONFIG_PROC_FS", "for /proc"},
	{"CONFIG_SYSFS", "for /sys"},
	{"CONFIG_DEVTMPFS", "for /dev"},
	{"CONFIG_TMPFS", "for /run"},
}

// usefulOptions are those whose absence shows only in some images.
var usefulOptions = []struct {
	kernelOption
	with string // only if this module or built-in is there
}{
	{kernelOption{"CONFIG_DM_VERITY_VERIFY_ROOTHASH_SIG", "the kernel checks no signature of a root hash"}, "dm_verity"},
	{kernelOption{"CONFIG_DM_VERITY_FEC", "dm-verity corrects no errors (fec-device=)"}, "dm_verity"},
	{kernelOption{"CONFIG_EROFS_FS_ZIP", "compressed erofs cannot be mounted"}, "erofs"},
	{kernelOption{"CONFIG_EROFS_FS_XATTR", "erofs has no extended attributes"}, "erofs"},
	{kernelOption{"CONFIG_SQUASHFS_XATTR", "squashfs has no extended attributes"}, "squashfs"},
	{kernelOption{"CONFIG_SQUASHFS_ZSTD", "squashfs that is packed with zstd cannot be mounted"}, "squashfs"},
	{kernelOption{"CONFIG_TMPFS_XATTR", "a tmpfs has no extended attributes"}, ""},
}

// optionOfModule names the option behind a module where that is not CONFIG_ and the name in capitals.
var optionOfModule = map[string]string{
	"overlay": "OVERLAY_FS", "erofs": "EROFS_FS", "ext4": "EXT4_FS", "xfs": "XFS_FS", "btrfs": "BTRFS_FS", "vfat": "VFAT_FS",
	"loop": "BLK_DEV_LOOP", "dm_mod": "BLK_DEV_DM", "nvme": "BLK_DEV_NVME", "ahci": "SATA_AHCI", "sd_mod": "BLK_DEV_SD",
	"virtio_scsi": "SCSI_VIRTIO",
}

// whyMissing says in brackets what the configuration says about a module that is not there; nothing without one.
func whyMissing(c kerneltree.Config, module string) string {
	if c == nil {
		return ""
	}
	name := kerneltree.Normalize(module)
	option := "CONFIG_" + strings.ToUpper(name)
	if known, found := optionOfModule[name]; found {
		option = "CONFIG_" + known
	}
	switch {
	case c[option] == "m":
		return " (" + option + "=m, so this tree is not complete)"
	case c[option] == "y":
		return ""
	case optionOfModule[name] != "" || name == "dm_verity" || name == "virtio_blk" || name == "virtio_pci" || name == "squashfs":
		return " (" + option + " is not set)"
	}
	return ""
}

// compressionOptions are what a kernel has to have to unpack an image.
var compressionOptions = map[string]string{
	CompressionZstd: "CONFIG_RD_ZSTD", CompressionXz: "CONFIG_RD_XZ", CompressionGzip: "CONFIG_RD_GZIP",
	// What only commands make.
	"lz4": "CONFIG_RD_LZ4", "bzip2": "CONFIG_RD_BZIP2", "lzma": "CONFIG_RD_LZMA",
}

// checkKernel compares the kernel's configuration with what the image needs. It gives warnings, and an error where the
// image could not boot. Without a configuration nothing is known, and that is a warning too.
func checkKernel(k *kernel, o Options, s *selection) (warnings []string, err error) {
	if k.config == nil {
		return []string{fmt.Sprintf("no configuration of kernel %s (%s/config or boot/config-%s): its options are not checked",
			k.release, k.folder, k.release)}, nil
	}
	var lacking []string
	for _, option := range neededOptions {
		if !k.config.IsSet(option.name) {
			lacking = append(lacking, fmt.Sprintf("%s (%s)", option.name, option.purpose))
		}
	}
	// What a command makes is seen when it is there.
	if option := compressionOptions[compressionOf(o)]; option != "" && len(o.Compressor) == 0 && !k.config.IsSet(option) {
		lacking = append(lacking, fmt.Sprintf("%s (to unpack %s; --compress names another)", option, compressionOf(o)))
	}
	if len(lacking) > 0 {
		return nil, fmt.Errorf("check kernel %s: it could not boot this image, since it is built without %s", k.release, strings.Join(lacking, ", "))
	}
	for _, option := range usefulOptions {
		present := option.with == "" || s.contains(option.with) || k.index.Resolve(option.with).BuiltIn
		if present && !k.config.IsSet(option.name) {
			warnings = append(warnings, fmt.Sprintf("kernel %s lacks %s: %s", k.release, option.name, option.purpose))
		}
	}
	return warnings, nil
}

// machines are the architectures by Go's names.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// nameOfMachine gives Go's name, or the one of debug/elf.
func nameOfMachine(m elf.Machine) string {
	for name, machine := range machines {
		if machine == m {
			return name
		}
	}
	return m.String()
}
