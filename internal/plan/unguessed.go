package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/superblock"
)

// unsupported words change what root or /usr is, or demand what only a larger
// initrd can do; to pass them over would boot something else than asked for.
var unsupported = []string{
	"resume",
	"luks.uuid", "luks.name", "netroot", "nfsroot",
}

// harmlessRD are words for initrds (dracut.cmdline(7), systemd's kernel-command-line(7)) that change neither what root and
// /usr are nor what is asked of an initrd besides, or that are honoured. A name ending in "." stands for all that begin so.
var harmlessRD = []string{
	"rd.usrhash", "rd.systemd.verity_usr_data", "rd.systemd.verity_usr_hash", "rd.systemd.verity_usr_options",
	"rd.roothash", "rd.systemd.verity_root_data", "rd.systemd.verity_root_hash", "rd.systemd.verity_root_options",
	"rd.timeout", "rd.earlytimeout", "rd.retry", "rd.systemd.verity", "rd.systemd.confext", "rd.systemd.sysext", "rd.veritytab",
	"rd.shell", "rd.emergency", "rd.earlytrace", "rd.debug", "rd.info", "rd.quiet", "rd.memdebug", "rd.plymouth", "rd.hostonly",
	"rd.udev.", "rd.vconsole.", "rd.locale.", "rd.systemd.log_", "rd.systemd.show_status", "rd.systemd.journald.",
	"rd.driver.blacklist", "rd.fstab", "rd.systemd.import_credentials",
	// See PlanBreakpoints.
	"rd.break", "rd.systemd.break", "rd.earlyshell",
	// See PlanDebugShell.
	"rd.systemd.debug_shell", "rd.systemd.default_debug_tty",
	// The network, which only a shell has: no root of preroot's needs it.
	"rd.route", "rd.peerdns", "rd.net.",
}

// switchableRD are words for what preroot has not; they are harmless if they say that it is not wanted.
var switchableRD = []string{
	"rd.auto", "rd.luks", "rd.lvm", "rd.md", "rd.dm", "rd.dmraid", "rd.multipath", "rd.neednet", "rd.skipfsck", "rd.systemd.gpt_auto",
}

// planWords looks for words that this boot cannot honour, which are reasons for the second stage.
func (b *Boot) planWords(words kernelcmdline.CommandLine) {
	refusal := func(key string) *Refusal {
		return &Refusal{
			Reason: fmt.Sprintf("the kernel command line has %s, which preroot cannot honour", shorten(key)),
			Advice: "remove the word, or boot with a larger initrd",
		}
	}
	for _, key := range unsupported {
		if words.Has(key) {
			b.Fallback.Add(refusal(key))
		}
	}
	b.planFirstBoot(words)
	for _, word := range words.Words() {
		key := strings.ReplaceAll(word.Key, "-", "_")
		if !strings.HasPrefix(key, "rd.") || isHarmless(key) {
			continue
		}
		if slices.Contains(switchableRD, key) {
			if wanted, err := words.Bool(key, true); err == nil && !wanted {
				continue
			}
		}
		b.Fallback.Add(refusal(word.Key))
	}
}

func isHarmless(key string) bool {
	return slices.ContainsFunc(harmlessRD, func(known string) bool {
		return key == known || (strings.HasSuffix(known, ".") || strings.HasSuffix(known, "_")) && strings.HasPrefix(key, known)
	})
}

// planCheck reads fsck.mode= (systemd-fsck@.service(8)).
func (b *Boot) planCheck(words kernelcmdline.CommandLine) *Refusal {
	mode, _ := words.Value("fsck.mode")
	switch mode {
	case "", "auto":
	case "skip":
		b.SkipCheck = true
	case "force":
		return &Refusal{
			Reason: "fsck.mode=force asks for a check of the root, and preroot has no fsck",
			Advice: "remove the word, or boot with a larger initrd that checks it",
		}
	default:
		b.Warnings = append(b.Warnings, "fsck.mode="+shorten(mode)+": neither auto, force nor skip; taken for auto")
	}
	return nil
}

// CheckRoot judges what the superblock of the root says, before it is mounted for writing. A file system that noted an
// error must be checked first: systemd does not check a root that it finds writable. Journals are replayed by the kernel.
// What has to be opened before it can be mounted is for others, whatever rootfstype= says.
func (b *Boot) CheckRoot(info superblock.Info) error {
	if info.Kind == superblock.LUKS || info.Kind == superblock.RAID || info.Kind == superblock.LVM {
		return &Refusal{
			Reason: fmt.Sprintf("it holds %s, which preroot cannot open", info.Kind), Advice: "boot with a larger initrd that opens it",
		}
	}
	if !info.Kind.IsFileSystem() || info.Clean || b.SkipCheck {
		return nil
	}
	return &Refusal{
		Reason: fmt.Sprintf("its %s must be checked: it was not unmounted cleanly, or has noted an error", info.Kind),
		Advice: "check it with fsck from another system, or go on with fsck.mode=skip",
	}
}

// CheckHibernation refuses to go on beside the image of a system that sleeps: what it has in memory of the file
// systems would not be true any more when it wakes up. "noresume" on the command line gives the image up.
func (b *Boot) CheckHibernation(devices []observe.Partition) error {
	for i := range devices {
		if device := &devices[i]; device.Content.Kind == superblock.Hibernate && !b.NoResume {
			return &Refusal{
				Reason: device.Node() + " holds a hibernation image, which preroot cannot resume from",
				Advice: "boot with a larger initrd that resumes, or give the image up with noresume",
			}
		}
	}
	return nil
}
