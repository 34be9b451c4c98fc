package failurescreen

// Code names a kind of failure for people who search for it, and for programs that count it. Names are stable: one that
// was published never gets another meaning. docs/failure.md lists them.
type Code struct {
	// Name is "PR-" and words in capitals.
	Name string
	// Meaning is what could not be done.
	Meaning string
	// Advice is what a person can do, whatever the details are.
	Advice string
}

// The codes, in the order of the boot.
var (
	APIMount = Code{"PR-API-MOUNT", "/proc, /sys, /dev or /run could not be mounted",
		"Boot a kernel that has these file systems built in."}
	CommandLine = Code{"PR-CMDLINE", "the kernel command line asks for what cannot be honoured, or says too little",
		"Change the named word in the boot loader; nothing on disk was touched."}
	Settings = Code{"PR-SETTINGS", "command line, settings or module list of the image could not be read",
		"Build the initramfs again with a corrected preroot.conf, or boot an older one."}
	DeviceMissing = Code{"PR-DEV-MISSING", "a disk or partition that the boot needs did not appear in time",
		"Compare the name with the disk. If the disk is not there, its driver may be missing in this initramfs: see the devices without a driver."}
	DeviceRefused = Code{"PR-DEV-REFUSED", "a device holds a sleeping system, or several devices could be meant",
		"Read the cause: resume with a larger initrd or give the image up with noresume; name the device that is meant."}
	DeviceSearch = Code{"PR-DEV-SEARCH", "the search for devices failed",
		"Read the cause; the kernel log has what drivers said."}
	UsrHash = Code{"PR-USR-HASH", "the hash tree of /usr does not belong to the root hash",
		"Boot the other image, or correct usrhash= in the boot loader."}
	UsrDamaged = Code{"PR-USR-DAMAGED", "the data or hash tree of /usr is damaged",
		"Boot the other image, and write this one again."}
	UsrSuperblock = Code{"PR-USR-SUPERBLOCK", "the verity superblock of /usr makes no sense",
		"Boot the other image, and write this one again."}
	UsrSignature = Code{"PR-USR-SIGNATURE", "the root hash of /usr lacks a signature that counts",
		"Sign the root hash with a key whose certificate is in this initramfs or in the kernel."}
	UsrOpen = Code{"PR-USR-OPEN", "/usr could not be opened with dm-verity",
		"Boot the other image; the kernel log has what dm-verity said."}
	RootCheck = Code{"PR-ROOT-CHECK", "the root must be checked before it is mounted for writing",
		"Run fsck from another system, or go on with fsck.mode=skip."}
	RootMount = Code{"PR-ROOT-MOUNT", "root or /usr could not be mounted",
		"Compare rootfstype=, rootflags= and mount.usrflags= with the file systems."}
	EtcRules = Code{"PR-ETC-RULES", "the rules for /etc could not be applied",
		"Read the cause. The boot can be repeated: the rules go on where they stopped."}
	ExtensionRequired = Code{"PR-EXT-REQUIRED", "an extension image that preroot.conf requires is missing or was not accepted",
		"Put the image back, or boot an initramfs that does not require it."}
	ExtensionMerge = Code{"PR-EXT-MERGE", "the extension images could not be merged",
		"Boot with systemd.sysext=0 or systemd.confext=0 to see which class it is."}
	HandOver = Code{"PR-HANDOVER", "the switch to the real root or the start of its init failed",
		"Check init= and that the root holds a whole system."}
	Passphrase = Code{"PR-PASSPHRASE", "nobody gave the passphrase that a shell on the command line asks for",
		"Boot without rd.break, or give the passphrase of preroot.conf."}
	TooLong = Code{"PR-TIME", "the boot took longer than it may",
		"Look for a disk that does not answer; the last step is named above."}
	Bug = Code{"PR-BUG", "preroot has a bug",
		"Please report it, with the stack in the kernel log."}
	Unknown = Code{"PR-UNKNOWN", "the boot ended, and the cause has no code",
		"Please report it, with the kernel log."}
)

// Codes are all there are.
var Codes = []Code{
	APIMount, CommandLine, Settings, DeviceMissing, DeviceRefused, DeviceSearch, UsrHash, UsrDamaged, UsrSuperblock, UsrSignature,
	UsrOpen, RootCheck, RootMount, EtcRules, ExtensionRequired, ExtensionMerge, HandOver, Passphrase, TooLong, Bug, Unknown,
}
