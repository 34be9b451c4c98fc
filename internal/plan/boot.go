package plan

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
)

// DefaultTimeout bounds the wait for devices (rd.timeout= changes it).
const DefaultTimeout = 300 * time.Second

// Boot is what the command line and the image's settings ask for.
type Boot struct {
	// Root is the root file system. Its Device is not used with RootVolume, which is nil unless it is under dm-verity.
	Root       FileSystem
	RootVolume *Volume
	// Volatile says what of it is in memory.
	Volatile Volatile
	Usr      Usr
	// Verity says what has to stand behind root hashes.
	Verity VeritySettings
	BootSettings
	HasSquashfs bool
	// Init is the program to execute in the new root.
	Init string
	// initGiven says that the command line names it.
	initGiven bool
	// Timeout bounds the wait for devices.
	Timeout time.Duration
	// Skip says for a class that the command line switches its merge off.
	Skip map[osrelease.Class]bool
	// Required names the images of a class without which the boot must not go on.
	Required map[osrelease.Class][]string
	// Flags change the mount flags of hierarchies.
	Flags map[string]FlagChange
	// SkipCheck has the root mounted whatever its superblock says, NoResume a hibernation image left to itself.
	SkipCheck, NoResume bool
	// Blacklist names modules that must not be loaded for devices, with '_' for '-'.
	Blacklist []string
	// BootRefresh says what the first start of systemd's service of a class does.
	BootRefresh map[osrelease.Class]BootRefresh
	// EtcRules are what the image says of the rules for /etc.
	EtcRules EtcRules
	// Selection says how sysexts are chosen.
	Selection SysextSelection
	// Fallback has the reasons for which the root is not for preroot; empty in most boots.
	Fallback Fallback
	// Modules are wanted for certain, with the reason.
	Modules []Need
	// Warnings are for the log.
	Warnings []string
}

// FileSystem is a file system to mount.
type FileSystem struct {
	Device Selector
	// Type is empty if the superblock shall tell.
	Type       string
	Options    []mountapi.Option
	Attributes mountapi.Attributes
}

// IsReadOnly reports whether it is to be mounted read-only.
func (f *FileSystem) IsReadOnly() bool { return f.Attributes&mountapi.ReadOnly != 0 }

// Need is a module and the reason to load it.
type Need struct{ Module, Reason string }

// Refusal says why this system cannot be booted, and what helps.
type Refusal struct{ Reason, Advice string }

func (r *Refusal) Error() string {
	if r.Advice == "" {
		return r.Reason
	}
	return r.Reason + "\n" + r.Advice
}

// classes in the order in which they are merged.
var classes = []osrelease.Class{osrelease.ClassSysext, osrelease.ClassConfext}

// PlanBoot reads the command line as the systemd manual pages
// systemd-veritysetup-generator(8) and systemd-fstab-generator(8) say. Later
// words win. A *Refusal names what stands in the way of /usr; what stands in that of the root is in Fallback.
func PlanBoot(words kernelcmdline.CommandLine, settings Settings) (*Boot, error) {
	b := &Boot{
		Required: settings.Required, Flags: settings.Flags, BootRefresh: settings.BootRefresh, EtcRules: settings.EtcRules, Selection: settings.Selection,
		Timeout: DefaultTimeout, Init: "/sbin/init", Skip: map[osrelease.Class]bool{}, Verity: settings.Verity, BootSettings: settings.Boot, HasSquashfs: settings.HasSquashfs,
	}
	b.planWords(words)
	refusedVolatile := b.planVolatile(words)
	refusedRoot := b.planRoot(words)
	if err := b.planUsr(words); err != nil {
		return nil, err
	}
	for _, err := range []error{refusedRoot, b.checkDiskless(words), refusedVolatile} {
		var refusal *Refusal
		if errors.As(err, &refusal) {
			b.Fallback.Add(refusal)
		} else if err != nil {
			return nil, err
		}
	}
	b.planDiskless(words)
	if value, ok := words.Value("init"); ok {
		if !path.IsAbs(value) {
			return nil, &Refusal{Reason: "init=" + value + " is not an absolute path"}
		}
		b.Init, b.initGiven = value, true
	}
	if refusal := b.planCheck(words); refusal != nil {
		b.Fallback.Add(refusal)
	}
	if b.Usr.Source == UsrOnRoot {
		// There is no second stage without the root.
		if refusal := b.Fallback.Refusal(); refusal != nil {
			return nil, refusal
		}
		b.Fallback = nil
	}
	b.NoResume = words.Has("noresume")
	b.Blacklist = words.Blacklist()
	b.planTimeout(words)
	for _, class := range classes {
		key := "systemd." + string(class)
		wanted, err := words.Bool(key, true)
		if err != nil {
			b.Warnings = append(b.Warnings, err.Error())
			wanted = true
		}
		if !wanted && len(b.Required[class]) > 0 {
			return nil, &Refusal{Reason: fmt.Sprintf("%s=0 on the kernel command line, but preroot.conf requires %s",
				key, strings.Join(b.Required[class], ", "))}
		}
		b.Skip[class] = !wanted
	}
	b.planModules()
	return b, nil
}

// planTimeout takes rd.timeout= in seconds; 0 (dracut: for ever) and what is no
// number leave the default, since the boot must end.
func (b *Boot) planTimeout(words kernelcmdline.CommandLine) {
	key := "rd.timeout"
	text, ok := words.Value(key)
	if !ok {
		// Flatcar's word.
		key = "rd.earlytimeout"
		if text, ok = words.Value(key); !ok {
			return
		}
	}
	seconds, err := strconv.ParseUint(strings.TrimSuffix(text, "s"), 10, 32)
	if err != nil || seconds == 0 || seconds > 24*3600 {
		b.Warnings = append(b.Warnings, fmt.Sprintf("%s=%s: using %v", key, shorten(text), DefaultTimeout))
		return
	}
	b.Timeout = time.Duration(seconds) * time.Second
}

// planModules lists what is certain before any device was seen.
func (b *Boot) planModules() {
	for _, volume := range b.Volumes() {
		b.Modules = append(b.Modules, Need{"dm_verity", volume.HashWord})
	}
	if b.Usr.Source == UsrInImage {
		b.Modules = append(b.Modules, Need{"loop", SquashfsFile}, Need{"squashfs", SquashfsFile})
	}
	for _, class := range classes {
		if names := b.Required[class]; len(names) > 0 {
			reason := fmt.Sprintf("preroot.conf requires the %s %s", class, names[0])
			b.Modules = append(b.Modules, Need{"loop", reason}, Need{"overlay", reason})
			break
		}
	}
	if b.Fallback.Refusal() != nil {
		const reason = "the second stage is an image on /usr"
		b.Modules = append(b.Modules, Need{"squashfs", reason}, Need{"overlay", reason}, Need{"loop", reason})
	}
	if b.Usr.Mount.Type != "" && (b.Usr.Source == UsrVerity || b.Usr.Source == UsrDevice) {
		b.Modules = append(b.Modules, Need{b.Usr.Mount.Type, "mount.usrfstype="})
	}
	if b.Volatile == VolatileOverlay {
		b.Modules = append(b.Modules, Need{"overlay", "systemd.volatile="})
	}
	if b.Root.Type != "" {
		b.Modules = append(b.Modules, Need{b.Root.Type, "rootfstype="})
	}
}

// shorten keeps a value from the command line fit for one line of a console. It
// does not cut a character in two.
func shorten(text string) string {
	const most = 40
	if len(text) <= most {
		return text
	}
	end := most
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}
