package scenario

// Row is one scenario that must be shown.
type Row struct {
	// ID is that of the list which the project was started with: V verity, E /etc, O reset, S sysext, H hand-over and failure, 8.5 what
	// systemd's own tests have, 8.6 what dracut's have.
	ID string
	// What is set up, and what is expected of it.
	What, Expected string
	// Shown are the tests that show it. Each is a kind and a name:
	//
	//	boot TestX/part           a boot of a whole machine, in internal/vmtest/scenario
	//	guest PACKAGE TestX       a test of a package in a guest
	//	root PACKAGE TestX/part   a unit test that takes root (tag hostroot)
	//	unit PACKAGE TestX/part   a unit test
	//
	// A boot or guest test is for Linux 7.2 unless its name has another kernel.
	Shown []string
	// Missing says what is not shown, and why; empty if all of it is.
	Missing string
}

// Table is all of it, in order.
var Table = slicesOf(verityRows, etcRows, resetRows, sysextRows, systemdRows, initrdRows, handoverRows)

func slicesOf(parts ...[]Row) []Row {
	var all []Row
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

var verityRows = []Row{
	{"V1", "a good /usr", "/dev/mapper/usr verified, for veritysetup status too; the table has the root hash of the command line",
		[]string{"boot TestBoot/forky", "boot TestBoot/trixie", "boot TestFlatcar/first boot"},
		"a hash that GRUB takes out of the kernel image: there is no GRUB here"},
	{"V2", "data damaged while the system runs", "the kernel panics, or restarts, as the options say", []string{"boot TestCorruptionEndsTheMachine"}, ""},
	{"V3", "a wrong root hash: one digit, length, no hex", "one message that says so, restart, never a mounted /usr",
		[]string{"boot TestRefusals/first digit of usrhash wrong", "boot TestRefusals/last digit of usrhash wrong", "boot TestRefusals/usrhash too short",
			"boot TestRefusals/usrhash not hex", "boot TestRefusals/flipped bit in the top hash block", "boot TestRefusals/flipped bit in the top hash block on 6.12",
			"boot TestRefusals/flipped bit in the first data block", "unit internal/plan TestUsrRefused"}, ""},
	{"V4", "a superblock that is damaged or absurd", "the same",
		[]string{"boot TestRefusals/superblock with 2^63 data blocks", "boot TestRefusals/superblock with data blocks of 3 bytes", "boot TestRefusals/superblock with hash blocks of 3 bytes",
			"boot TestRefusals/superblock with a salt of 65535 bytes", "boot TestRefusals/superblock of hash type 9", "boot TestRefusals/superblock of version 7"}, ""},
	{"V5", "only one of verity.usr= and verity.usrhash=", "a device alone: no verity, as on Flatcar; a hash alone: its device is found, never an unverified mount",
		[]string{"boot TestCommandLines/flatcar without the hash", "boot TestCommandLines/hash of flatcar alone", "unit internal/plan TestOneOfFlatcarsWords"}, ""},
	{"V6", "the device of /usr comes after 20 s", "the boot waits for events and goes on", []string{"boot TestLateDisk"}, ""},
	{"V7", "the device never comes", "a message after rd.timeout= or rd.earlytimeout=, a prompt where the image allows one, restart",
		[]string{"boot TestRefusals/no usr partition of that hash", "boot TestRefusals/no root partition of that UUID", "unit internal/plan TestPlanBootFlatcarsTimeout",
			"boot TestFailure/shell"}, ""},
	{"V8", "PARTUUID in upper case, PARTLABEL, LABEL, UUID, path", "each boots",
		[]string{"boot TestArrivals/root by UUID", "boot TestArrivals/root by LABEL", "boot TestArrivals/root by its partition type",
			"boot TestHardware/NVMe, usr by PARTLABEL", "boot TestHardware/virtio SCSI, usr by PARTUUID in upper case", "boot TestHardware/AHCI, usr by path",
			"boot TestHardware/VMware SCSI, usr by UUID", "boot TestRootFileSystems/btrfs", "unit internal/plan TestFind", "unit internal/plan TestPlanBootRootSelectors"}, ""},
	{"V9", "a second disk with the same PARTUUID", "the same choice each time, said in the log", []string{"boot TestCommandLines/a copy of the disk", "unit internal/plan TestSelect"}, ""},
	{"V10", "a hash device of its own, error correction, no salt", "boots, and repairs",
		[]string{"boot TestBoot/forky", "boot TestCommandLines/a tree without salt, error correction and a damaged block", "guest internal/apply TestOpenVerity",
			"guest applets/verity TestTheKernelCorrects", "unit internal/plan TestUsrOptions"}, ""},
	{"V11", "no verity, mount.usr=PARTUUID=", "boots with a read-only btrfs whose log is not replayed",
		[]string{"boot TestCommandLines/usr without verity", "boot TestRootFileSystems/btrfs", "unit internal/plan TestUsrWithoutVerity", "unit internal/plan TestMountWithoutReplay"}, ""},
	{"V12", "any boot with verity", "dev-mapper-usr.device active, no job waits for a device", []string{"boot TestBoot/forky", "boot TestFlatcar/first boot", "guest applets/verity TestUdevComesLater"}, ""},
}

var etcRows = []Row{
	{"E1", "first boot, empty root", "/etc complete; the bare upper has the accounts and nothing else", []string{
		"boot TestEtc/forky/first/E1 /etc is complete", "boot TestEtc/forky/first/E1 the bare upper has the accounts alone", "boot TestEtc/forky/first/E1 base directories",
		"boot TestEtc/trixie/first/E1 the bare upper has the accounts alone"}, ""},
	{"E2", "the next boot", "nothing is new in the upper", []string{"boot TestEtc/forky/again/E2 nothing is new in the bare upper", "boot TestEtc/trixie/again/E2 nothing is new in the bare upper"}, ""},
	{"E3", "identical copies in the upper", "gone", []string{"boot TestEtc/forky/edited/E3 identical copies are gone", "root internal/etcrules TestScenarios/E3 identical copies"}, ""},
	{"E4", "the same with /etc/.no-dup-update", "kept", []string{"boot TestEtc/forky/other/E4 identical copies are kept where somebody says so", "root internal/etcrules TestScenarios/E4 opt-out"}, ""},
	{"E5", "another mode, owner, ACL, byte, link target", "kept", []string{"boot TestEtc/forky/edited/E5 mode", "boot TestEtc/forky/edited/E5 owner", "boot TestEtc/forky/edited/E5 ACL",
		"boot TestEtc/forky/edited/E5 byte", "boot TestEtc/forky/edited/E5 target", "root internal/etcrules TestScenarios/E5 default ACL"}, ""},
	{"E6", "a directory deleted and made again, empty", "stays empty", []string{"boot TestEtc/forky/edited/E6 an emptied directory stays empty", "root internal/etcrules TestScenarios/E6 opaque and empty"}, ""},
	{"E7", "the same with old content and a file", "all of it stays", []string{"boot TestEtc/forky/edited/E7 a directory made again stays as it is", "root internal/etcrules TestScenarios/E7 opaque with content"}, ""},
	{"E8", "a file deleted that no rule makes", "stays deleted", []string{"boot TestEtc/forky/edited/E8 a deleted file stays deleted", "root internal/etcrules TestScenarios/E8 deleted"}, ""},
	{"E9", "resolv.conf deleted, which a rule makes", "visible again, not in the upper", []string{"boot TestEtc/forky/edited/E9 what a rule makes is there again", "root internal/etcrules TestScenarios/E9 deleted with a rule"}, ""},
	{"E10", "a directory deleted", "stays deleted", []string{"boot TestEtc/forky/edited/E10 a deleted directory stays deleted", "root internal/etcrules TestScenarios/E10 directory deleted"}, ""},
	{"E11", "passwd and shadow deleted", "made again with root and core", []string{"boot TestEtc/forky/edited/E11 passwd and shadow are made again", "root internal/etcrules TestScenarios/E11 accounts deleted"}, ""},
	{"E12", "the line of core removed", "added again, the rest and the mode untouched", []string{"boot TestEtc/forky/edited/E12 a missing line is added", "root internal/etcrules TestAccountsKeepWhatIsThere"}, ""},
	{"E13", "a full old /etc on the root", "what is left are the changes", []string{"boot TestEtc/forky/edited/E13 what is left of a full /etc are the changes", "root internal/etcrules TestScenarios/E13 a full old /etc"}, ""},
	{"E14", "an upgrade from the hand-made overlay", "changes kept, its work directory harmless", []string{"boot TestEtc/forky/edited/E14 changes of the hand-made overlay are kept", "root internal/etcrules TestScenarios/E14 hand-made overlay"}, ""},
	{"E15", "a downgrade to it", "it shows the same", []string{"boot TestEtc/forky/edited/E15 the old overlay shows the same"}, ""},
	{"E16", "the journal of a boot", "systemd merges nothing; /etc is one overlay, with the same mount id from before systemd on",
		[]string{"boot TestMachineID/new-id/E16 systemd merges nothing, and /etc is one mount from preroot on", "boot TestFlatcar/first boot", "boot TestBoot/forky", "boot TestBoot/trixie"}, ""},
	{"E17", "the default confext absent, or its signature wrong", "the boot fails with a message, never half an /etc",
		[]string{"boot TestEtc/forky/E22 a masked default", "boot TestRefusals/default confext without its release file",
			"boot TestSettingsOfVerifiedUsr/E17 a default confext that is to be signed by somebody known",
			"boot TestSettingsOfVerifiedUsr/E17 the same image where nobody wants that", "guest internal/apply TestBadImagesAreLeftOut"}, ""},
	{"E18", "confexts of the user, 10-x and x", "10-x above the default, x below it with a warning, both below edits; systemd skips",
		[]string{"boot TestEtc/forky/edited/E18 10-x lies above the default, x below it"}, ""},
	{"E19", "a confext that is signed", "merged", []string{"boot TestEtc/forky/edited/E19 a signed confext is merged", "guest applets/merge TestSignedImage"}, ""},
	{"E20", "two confexts with one file", "the higher name wins", []string{"boot TestEtc/forky/edited/E20 the higher name wins"}, ""},
	{"E21", "a wrong ID, VERSION_ID, ARCHITECTURE", "left out with its reason, the boot goes on", []string{"boot TestEtc/forky/edited/E21 what does not fit is left out"}, ""},
	{"E22", "a confext masked by an empty directory", "not merged; the default one: the boot ends, since the image requires it", []string{"boot TestEtc/forky/edited/E22 an empty directory masks", "boot TestEtc/forky/E22 a masked default"}, ""},
	{"E23", "a refresh in the running system", "works on our mount, nothing doubled", []string{"guest applets/merge TestTakeOver", "boot TestBoot/forky"}, ""},
	{"E24", "an unmerge in the running system", "the bare upper, no work directory that stays", []string{"guest applets/merge TestTakeOver", "boot TestBoot/forky"}, ""},
	{"E25", "extensions.mutable/etc leads to another directory", "respected", []string{"boot TestEtc/forky/other/E25 another mutable directory is used"}, ""},
	{"E26", "it leads to nothing", "/etc read-only, a warning, the boot goes on", []string{"boot TestEtc/forky/dangling/E26 with a dangling link /etc takes no writes"}, ""},
	{"E27", "Mutable=no", "/etc read-only", []string{"boot TestSettingsOfVerifiedUsr/E27 Mutable=no", "boot TestSettingsOfVerifiedUsr/E27 Mutable=auto",
		"guest internal/apply TestMergeReadOnly", "unit internal/plan TestPlanMergeModes"}, ""},
	{"E28", "a read-only root", "a read-only overlay and a warning, where systemd fails", []string{"boot TestArrivals/a read-only root", "guest applets/merge TestReadOnlyRoot"}, ""},
	{"E29", "a program in /etc is run", "it runs with MountFlags=/etc exec, not without", []string{"boot TestEtc/forky/edited/E29 a program in /etc runs", "guest applets/merge TestMountFlags"}, ""},
	{"E30", "a blank machine id", "a new one; a first boot once", []string{"boot TestEtc/forky/edited/E30 a blank machine id is gone", "boot TestMachineID/new-id/E30 a blank id is replaced, and it is a first boot",
		"boot TestMachineID/same-id/E30 the next boot is no first boot"}, ""},
	{"E31", "a whiteout of machine-id", "a first boot; the new id replaces it", []string{"boot TestMachineID/whiteout/E31 a whiteout is a first boot, and the new id replaces it"}, ""},
	{"E31b", "machine-id empty or absent, /etc read-only", "a file is there, so that systemd can put a transient id over it",
		[]string{"boot TestEtc/forky/dangling/E31b an /etc that takes no writes has an empty machine-id", "root internal/etcrules TestMachineIDForReadOnlyEtc", "root internal/etcrules TestScenarios/E31b empty machine-id"},
		"systemd's own part of it"},
	{"E32", "a mount below /etc from fstab, in the initrd", "survives the merge", []string{"boot TestMountsBelowHierarchies"}, ""},
	{"E33", "/var on its own in fstab, with confexts", "with x-initrd.mount merged by us; without: systemd's refresh adds them", []string{"boot TestSeparateVarIsMergedEarly"}, "without the word: the table of skips (make faults)"},
	{"E34", "a power cut during the rules", "the next boot comes to the same result", []string{"boot TestPowerCut/converged/E34 after power cuts the rules come to the same result",
		"boot TestPowerCutAtEveryFlush"}, ""},
	{"E35", "a work directory that a crash left", "the merge succeeds", []string{"boot TestEtc/forky/edited/E35 a work directory of a crash does no harm", "guest internal/apply TestMergeOverAStaleWorkDirectory"}, ""},
}

var resetRows = []Row{
	{"O1", "keep a file, a directory, a pattern", "these survive with their parents, all else goes", []string{"boot TestEtc/forky/reset/O1 what is to be kept is kept, all else goes", "root internal/etcrules TestScenarios/O1 kept by a reset"}, ""},
	{"O2", "keep the machine id", "the same id", []string{"boot TestMachineID/kept-id/O2 the machine id of the command line outlives a reset"}, ""},
	{"O3", "an empty flag", "nothing is done", []string{"boot TestEtc/forky/dangling/O3 an empty flag does nothing", "root internal/etcrules TestScenarios/O3 blank flag"}, ""},
	{"O4", "an expression that is wrong", "nothing is deleted, loud", []string{"boot TestEtc/forky/other/O4 an expression that cannot be read deletes nothing", "root internal/etcrules TestScenarios/O4 invalid expression"}, ""},
	{"O5", "mounts below the root", "not crossed", []string{"boot TestEtc/forky/reset/O5 /usr and what lies in memory is not touched", "root internal/etcrules TestMountsAreNotCrossed"}, ""},
}

var sysextRows = []Row{
	{"S1", "a sysext that is a directory, with a unit", "merged before systemd starts; the unit starts with the others", []string{"boot TestEtc/forky/edited/S1 a directory sysext is merged", "boot TestMachineID/new-id/S1 a unit of a directory sysext starts with the others"}, ""},
	{"S2", "docker or containerd switched off by a link to /dev/null", "absent", []string{"boot TestEtc/forky/edited/S2 a link to /dev/null switches a sysext off"}, ""},
	{"S3", "one's own docker", "replaces the built-in one", []string{"boot TestEtc/forky/edited/S3 one's own docker replaces the built-in one"}, ""},
	{"S4", "the OEM's sysext: on OEM, on the root, missing", "the links that Flatcar makes; a fallback if it is missing",
		[]string{"boot TestOEM/on OEM", "boot TestOEM/on the root", "boot TestOEM/after an update, with a second stage that is not needed", "boot TestOEM/enabled by a confext",
			"boot TestOEM/missing, without a second stage", "boot TestOEM/an ID with slashes", "boot TestOEM/a link out of the OEM",
			"boot TestOEMNeedsTheSecondStage/a sysext of the OEM is missing", "boot TestOEMNeedsTheSecondStage/a sysext that is enabled is missing",
			"boot TestOEMNeedsTheSecondStage/files are to be deleted", "boot TestOEMIsRequired", "guest internal/sysextselection TestTree", "unit internal/sysextselection TestSelect"},
		"the download itself: the second stage is a stand-in"},
	{"S5", "systemd-sysext.service masked", "no merge", []string{"boot TestEtc/forky/other/S5 a masked service means no merge"}, ""},
	{"S6", "a damaged image", "left out, the boot goes on", []string{"boot TestEtc/forky/edited/S6 a damaged image is left out", "guest applets/merge TestDamagedImage"}, ""},
	{"S7", "images on /usr itself, many refreshes", "no more loop devices and overlays than before", []string{"boot TestEtc/forky/again/S7 loops and overlays do not grow"}, ""},
	{"S8", "mounts below a hierarchy", "kept over merges and refreshes", []string{"guest applets/merge TestSubmountsAreKept", "boot TestMountsBelowHierarchies"}, ""},
}

var systemdRows = []Row{
	{"8.5 modes", "every mode of Mutable=, with directory, link, link to itself, dangling, missing or empty hierarchy", "as systemd", []string{"guest applets/merge TestTakeOver", "guest applets/merge TestMutableLinks", "unit internal/plan TestPlanMergeModes", "unit internal/plan TestPlanMergeHostDirectory"},
		"all modes in boots: the table of skips (make faults)"},
	{"8.5 hierarchies", "a hierarchy that is missing or empty", "as systemd", []string{"guest internal/apply TestMergeIntoAnEmptyRoot", "unit internal/plan TestPlanMergeLeavesAnEmptyHierarchyAlone"}, ""},
	{"8.5 settings", "file, drop-ins, environment, command line, certificates of a root", "their order is systemd's", []string{"guest applets/merge TestSameSettings", "guest internal/apply TestSystemdReadsSettingsAlike", "guest applets/merge TestSameCalls"}, ""},
	{"8.5 match", "ID, ID_LIKE, version, level", "as systemd", []string{"guest applets/merge TestPlanAndExplain", "unit internal/osrelease TestMatch"}, ""},
	{"8.5 skip", "a second refresh", "nothing changes, the same mount id; a replaced directory is merged anew", []string{"guest internal/apply TestSystemdSkipsAfterOurMerge", "guest applets/merge TestMergeLikeSystemd", "guest applets/boot TestSkip"}, ""},
	{"8.5 update", "a sysext merged into a /usr that is newer than the stamps of an update", "what runs after an update runs once",
		[]string{"boot TestMergedUsrDoesNotLookNew"}, ""},
	{"8.5 mounts", "nested mounts", "kept", []string{"guest applets/merge TestSubmountsAreKept"}, ""},
	{"8.5 failure", "a refresh that fails", "the old merge stays", []string{"guest applets/merge TestFailsAnywhere", "guest applets/merge TestOneBadImage"}, ""},
	{"8.5 root", "another root", "as systemd", []string{"guest applets/merge TestNextRoot"}, ""},
}

var initrdRows = []Row{
	{"8.6 TEST-46", "signed confext and sysext", "merged before the switch", []string{"boot TestBoot/forky"}, ""},
	{"8.6 TEST-11", "/usr on a btrfs subvolume", "boots", []string{"boot TestRootFileSystems/btrfs"}, ""},
	{"8.6 TEST-13", "extensions below the root, from the initrd", "merged", []string{"boot TestBoot/forky"}, ""},
	{"8.6 TEST-15, 83", "busybox", "", nil, "preroot is the whole of its initramfs"},
	{"8.6 TEST-21", "a root overlaid in memory", "boots, and the disk is as it was", []string{"boot TestVolatile/overlay", "boot TestVolatile/yes", "boot TestVolatile/state",
		"boot TestCommandLines/volatile root", "unit internal/plan TestPlanVolatile"}, "an encrypted overlay, and one on a device: no word of systemd's asks for these"},
	{"8.6 TEST-20", "RAID, LVM, LUKS, network storage", "refused by name", []string{"boot TestRefusals/a LUKS root", "boot TestRefusals/a root on RAID",
		"boot TestRefusals/a root in LVM", "unit internal/plan TestPlanBootRefusesWhatItCannotHonour"}, ""},
	{"8.6 TEST-42", "systemd in the initrd", "", nil, "preroot is there instead of it; make bench has one beside it"},
	{"8.6 TEST-44", "drivers", "those of the devices that are there", []string{"unit applets/boot TestDriversComeInTurn", "guest internal/kernelmodules TestAModuleIsLoadedWithAllItNeeds"}, ""},
}

var handoverRows = []Row{
	{"H1", "Flatcar's first boot", "the second stage; fast from the next boot on", []string{"boot TestSecondStage/H1 first boot"}, "Ignition itself; the second stage is a stand-in"},
	{"H2", "LUKS root with TPM or tang", "the second stage", []string{"boot TestSecondStage/H2 an encrypted root", "boot TestSecondStage/H2 an encrypted root by its partition"}, "a TPM and a tang server; the second stage is a stand-in"},
	{"H3", "root on btrfs, xfs; on RAID", "boots; RAID is refused by name", []string{"boot TestRootFileSystems/btrfs", "boot TestRootFileSystems/xfs", "boot TestRefusals/a root on RAID",
		"unit internal/plan TestCheckRoot", "unit internal/plan TestPlanBootRefusesWhatItCannotHonour"}, ""},
	{"H4", "PXE with an OEM archive appended", "the second stage, with its content", []string{"boot TestPXE/diskless with an OEM", "boot TestPXE/with a root", "boot TestSecondStage/H1 first boot"}, ""},
	{"H5", "no root=", "the root of its type on the disk of /usr, else a refusal", []string{"boot TestArrivals/root by its partition type", "boot TestArrivals/root by its partition type on 6.12", "boot TestSecondStage/H5 no root", "unit internal/plan TestPlanBootWithoutRoot"}, ""},
	{"H6", "a failure or panic in each step", "one message on all consoles, restart in bounded time", []string{"unit applets/boot TestPanicIsCaught", "unit applets/boot TestFailTellsAndRestarts", "unit applets/boot TestPanicOfAGoroutineEndsTheBoot", "boot TestRefusals/a root that must be checked"},
		"faults in each step of a boot: make faults"},
	{"H7", "rd.earlyshell", "a shell", []string{"boot TestEarlyShell", "boot TestShellCommands/all", "boot TestShellCommands/reboot", "boot TestShellCommands/halt",
		"unit internal/plan TestPlanBreakpoints"}, "job control: the shell has none"},
	{"H8", "a configuration that nobody knows", "refused by name, so that the boot loader's counter goes on, and the other slot is booted", []string{"boot TestRefusals/an unknown word for the initrd",
		"boot TestBadSlotIsLeft", "unit internal/plan TestParseSettingsRefusesWhatIsNotUnderstood"}, ""},
	{"H9", "disks of all kinds", "found", []string{"boot TestHardware/NVMe, usr by PARTLABEL", "boot TestHardware/virtio SCSI, usr by PARTUUID in upper case",
		"boot TestHardware/AHCI, usr by path", "boot TestHardware/VMware SCSI, usr by UUID", "boot TestHardware/Fusion-MPT SAS", "boot TestHardware/MegaRAID", "boot TestHardware/USB storage",
		"boot TestHardware/USB attached SCSI", "boot TestHardware/SD card", "unit applets/boot TestModaliasesOfEvents"}, "Hyper-V and eMMC, which this QEMU has not"},
	{"H10", "shutdown", "waits for nothing", []string{"boot TestBoot/forky"}, ""},
	{"H11", "the flag for cgroup v1", "init.wrapper runs", []string{"boot TestInitWrapper", "unit internal/plan TestChooseInit"}, "what a real wrapper does: Linux and systemd have no cgroup v1 any more"},
	{"H12", "kexec into the other slot, with this one's hash", "a refusal that names the hash", []string{"boot TestKexec/this slot's hash", "boot TestKexec/its own hash",
		"boot TestRefusals/first digit of usrhash wrong"}, ""},
	{"H13", "a system that is not Flatcar", "the rules do nothing, the merge works", []string{"boot TestBoot/forky", "root internal/etcrules TestNothingWithoutSettings"}, ""},
}
