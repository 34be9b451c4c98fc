package plan

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/trust"
)

// DefaultTimeout bounds the wait for devices (rd.timeout= changes it).
const DefaultTimeout = 300 * time.Second

// UsrName is the device-mapper name of the verified /usr, which systemd expects.
const UsrName = "usr"

// Boot is what the command line and the image's settings ask for.
type Boot struct {
	Root FileSystem
	Usr  Usr
	// Init is the program to execute in the new root.
	Init string
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

// Usr is the verified /usr.
type Usr struct {
	// RootHash as given, lower case hex, checked for length with the superblock.
	RootHash string
	// Data and Hash are the two partitions.
	Data, Hash Selector
	// Options are those of systemd.verity_usr_options=.
	Options UsrOptions
	// Policy says what has to stand behind the root hash, SealKeyring what the kernel shall trust: see
	// VeritySettings.
	Policy      trust.Policy
	SealKeyring bool
	// Mount says how /dev/mapper/usr is mounted; its Device is not used.
	Mount FileSystem
}

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
// words win. A *Refusal names what stands in the way.
func PlanBoot(words kernelcmdline.CommandLine, settings Settings) (*Boot, error) {
	if refusal := refuseWords(words); refusal != nil {
		return nil, refusal
	}
	b := &Boot{
		Required: settings.Required, Flags: settings.Flags, BootRefresh: settings.BootRefresh, EtcRules: settings.EtcRules,
		Timeout: DefaultTimeout, Init: "/sbin/init", Skip: map[osrelease.Class]bool{},
	}
	b.Usr.Policy, b.Usr.SealKeyring = settings.Verity.UsrPolicy, settings.Verity.SealKeyring
	if err := b.planUsr(words); err != nil {
		return nil, err
	}
	if err := b.planRoot(words); err != nil {
		return nil, err
	}
	if value, ok := words.Value("init"); ok {
		if !path.IsAbs(value) {
			return nil, &Refusal{Reason: "init=" + value + " is not an absolute path"}
		}
		b.Init = value
	}
	if refusal := b.planCheck(words); refusal != nil {
		return nil, refusal
	}
	b.NoResume = words.Has("noresume")
	b.planBlacklist(words)
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

func (b *Boot) planUsr(words kernelcmdline.CommandLine) error {
	on := true
	for _, key := range []string{"systemd.verity", "rd.systemd.verity"} {
		value, err := words.Bool(key, true)
		if err != nil {
			b.Warnings = append(b.Warnings, err.Error())
		}
		on = on && value
	}
	text, ok := words.InitrdValue("usrhash")
	if !ok || !on {
		reason := "the kernel command line has no usrhash="
		if ok {
			reason = "the kernel command line switches dm-verity off (systemd.verity=)"
		}
		return &Refusal{Reason: reason, Advice: "preroot boots only a verified /usr: usrhash= names its root hash"}
	}
	hash, refusal := parseUsrHash(text)
	if refusal != nil {
		return refusal
	}
	b.Usr.RootHash = hex.EncodeToString(hash)
	data, tree := gpt.GUID(hash[:16]), gpt.GUID(hash[len(hash)-16:])
	b.Usr.Data = Selector{Kind: ByPartUUID, Value: data.String()}
	b.Usr.Hash = Selector{Kind: ByPartUUID, Value: tree.String()}
	for _, device := range []struct {
		key      string
		selector *Selector
	}{{"systemd.verity_usr_data", &b.Usr.Data}, {"systemd.verity_usr_hash", &b.Usr.Hash}} {
		if value, ok := words.InitrdValue(device.key); ok {
			selector, err := ParseSelector(value)
			if err != nil {
				return &Refusal{Reason: device.key + "=" + shorten(value) + ": " + err.Error()}
			}
			*device.selector = selector
		}
	}
	if err := b.planUsrOptions(words); err != nil {
		return err
	}
	if value, ok := words.Value("mount.usr"); ok && value != "/dev/mapper/"+UsrName {
		return &Refusal{
			Reason: "mount.usr=" + shorten(value) + " is not the device that usrhash= opens",
			Advice: "with usrhash= leave it out or write mount.usr=/dev/mapper/" + UsrName,
		}
	}
	b.Usr.Mount.Type, _ = words.Value("mount.usrfstype")
	if b.Usr.Mount.Type == "auto" {
		b.Usr.Mount.Type = ""
	}
	flags, _ := words.Value("mount.usrflags")
	b.Usr.Mount.Options, b.Usr.Mount.Attributes = mountapi.ParseOptions(flags)
	// The device is read-only, whatever the flags say.
	b.Usr.Mount.Attributes |= mountapi.ReadOnly
	return nil
}

// planUsrOptions reads the options of /usr. Like systemd it takes the last list alone.
func (b *Boot) planUsrOptions(words kernelcmdline.CommandLine) error {
	const key = "systemd.verity_usr_options"
	text, _ := words.InitrdValue(key)
	options, warnings, err := parseUsrOptions(text)
	if err != nil {
		return &Refusal{
			Reason: "in " + key + "= " + err.Error(),
			Advice: "the words are those of veritytab(5); what is not understood must not weaken what was meant",
		}
	}
	b.Usr.Options = options
	for _, warning := range warnings {
		b.Warnings = append(b.Warnings, key+"=: "+warning)
	}
	return nil
}

// parseUsrHash reads the root hash. Its length is judged first: a digit that got
// lost is the likeliest slip.
func parseUsrHash(text string) ([]byte, *Refusal) {
	const shortest = 32 // two partition UUIDs, and no digest in use is shorter
	if len(text) < 2*shortest {
		return nil, &Refusal{
			Reason: fmt.Sprintf("usrhash= is too short: %d hex digits, at least %d are needed", len(text), 2*shortest),
			Advice: "give the whole root hash, as veritysetup or systemd-repart printed it",
		}
	}
	hash, err := hex.DecodeString(text)
	if errors.Is(err, hex.ErrLength) {
		return nil, &Refusal{
			Reason: fmt.Sprintf("usrhash= has %d hex digits, which is no whole number of bytes", len(text)),
			Advice: "give the whole root hash, as veritysetup or systemd-repart printed it",
		}
	}
	if err != nil {
		return nil, &Refusal{
			Reason: "usrhash=" + shorten(text) + " is not hexadecimal: " + describeHexError(err),
			Advice: "give the root hash in hex digits, two a byte",
		}
	}
	return hash, nil
}

func describeHexError(err error) string {
	var bad hex.InvalidByteError
	if errors.As(err, &bad) {
		return fmt.Sprintf("%q is no hex digit", string(rune(bad)))
	}
	return err.Error()
}

func (b *Boot) planRoot(words kernelcmdline.CommandLine) error {
	// As systemd-gpt-auto-generator(8) has it, on the disk of /usr only.
	text, ok := words.Value("root")
	if !ok || text == "gpt-auto" || text == "gpt-auto-force" {
		automatic, err := words.Bool("systemd.gpt_auto", true)
		if err != nil {
			b.Warnings = append(b.Warnings, err.Error())
		}
		if here, err := words.Bool("rd.systemd.gpt_auto", true); !automatic || err == nil && !here {
			return &Refusal{
				Reason: "the kernel command line names no root=, and switches the search for it off",
				Advice: "name the writable root, e.g. root=PARTUUID=...",
			}
		}
		b.Root.Device = Selector{Kind: Automatic}
	} else {
		var err error
		if b.Root.Device, err = ParseSelector(text); err != nil {
			return &Refusal{Reason: "root=" + shorten(text) + ": " + err.Error()}
		}
	}
	b.Root.Type, _ = words.Value("rootfstype")
	if b.Root.Type == "auto" {
		b.Root.Type = ""
	}
	flags, _ := words.Value("rootflags")
	// ro and rw count in their order; rootflags= is appended after them.
	mode := "ro"
	for _, word := range words.Words() {
		if !word.HasValue && (word.Key == "ro" || word.Key == "rw") {
			mode = word.Key
		}
	}
	b.Root.Options, b.Root.Attributes = mountapi.ParseOptions(mode + "," + flags)
	if b.Root.IsReadOnly() {
		b.Warnings = append(b.Warnings, "the root is mounted read-only (no rw on the kernel command line): nothing merged takes writes")
	}
	return nil
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
	b.Modules = append(b.Modules, Need{"dm_verity", "usrhash="})
	for _, class := range classes {
		if names := b.Required[class]; len(names) > 0 {
			reason := fmt.Sprintf("preroot.conf requires the %s %s", class, names[0])
			b.Modules = append(b.Modules, Need{"loop", reason}, Need{"overlay", reason})
			break
		}
	}
	if b.Usr.Mount.Type != "" {
		b.Modules = append(b.Modules, Need{b.Usr.Mount.Type, "mount.usrfstype="})
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
