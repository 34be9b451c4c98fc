package toolbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/fstab"
	"github.com/preroot/preroot/internal/kernelmodules"
	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/mountinfo"
	"github.com/preroot/preroot/internal/observe"
)

// mountCall is what mount was asked to do.
type mountCall struct {
	*call
	fsType string
	// words are the options that are for the kernel; the others are below.
	words                 []string
	bind, recursive, move bool
	remount, loop         bool
	propagation           uintptr
}

// mount shows what is mounted, or mounts: a device or image on a directory, with -t TYPE and -o OPTIONS; --bind, --rbind and
// --move what is there already. Without a type the device is looked at.
func mount(c *call) error {
	set, names, err := c.parse("a/all B/bind f/fake L:/label M/move n/no-mtab o:/options R/rbind r/read-only s t:/types U:/uuid v/verbose w/read-write " +
		"1/make-shared 2/make-slave 3/make-private 4/make-unbindable 5/make-rshared 6/make-rslave 7/make-rprivate 8/make-runbindable ")
	if err != nil {
		return err
	}
	m := &mountCall{call: c}
	m.fsType, _ = set.value('t')
	for _, g := range set {
		switch g.letter {
		case 'o':
			m.words = append(m.words, splitOptions(g.value)...)
		case 'r':
			m.words = append(m.words, "ro")
		case 'w':
			m.words = append(m.words, "rw")
		case 'B':
			m.words = append(m.words, "bind")
		case 'R':
			m.words = append(m.words, "rbind")
		case 'M':
			m.words = append(m.words, "move")
		case '1', '2', '3', '4', '5', '6', '7', '8':
			m.words = append(m.words, propagations[g.letter-'1'])
		case 'L':
			names = append([]string{"LABEL=" + g.value}, names...)
		case 'U':
			names = append([]string{"UUID=" + g.value}, names...)
		}
	}
	m.takeWords()
	switch {
	case set.has("af"):
		return wrongUse("there is no -a and no -f: name what to mount")
	case len(names) == 0 && len(set.without("tvn")) == 0:
		return m.list()
	case len(names) > 2 || len(names) == 0:
		return wrongUse("name a device and a directory")
	case len(names) == 1 && (m.remount || m.propagation != 0):
		return m.failed(m.change(names[0]), names[0])
	case len(names) == 1:
		return m.failed(m.fromTable(names[0]), names[0])
	}
	return m.failed(m.mount(names[0], names[1]), names[1])
}

// failed gives the errors of the kernel the exit code that mount has for them.
func (m *mountCall) failed(err error, target string) error {
	if err == nil {
		return nil
	}
	if _, wrong := errors.AsType[usageError](err); wrong {
		return err
	}
	if number, ok := err.(unix.Errno); ok {
		err = fmt.Errorf("%s: %w", target, number)
	}
	m.complain(err)
	return exitCode(32)
}

func (o options) without(letters string) options {
	return slices.DeleteFunc(slices.Clone(o), func(g given) bool { return strings.IndexByte(letters, g.letter) >= 0 })
}

var propagations = []string{"shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable"}

// splitOptions splits at commas outside of quotes.
func splitOptions(list string) []string {
	var words []string
	start, quoted := 0, false
	for i := 0; i <= len(list); i++ {
		switch {
		case i == len(list) || list[i] == ',' && !quoted:
			if i > start {
				words = append(words, list[start:i])
			}
			start = i + 1
		case list[i] == '"':
			quoted = !quoted
		}
	}
	return words
}

// takeWords takes those options out that say what to do rather than how.
func (m *mountCall) takeWords() {
	flags := []uintptr{unix.MS_SHARED, unix.MS_SLAVE, unix.MS_PRIVATE, unix.MS_UNBINDABLE}
	m.words = slices.DeleteFunc(m.words, func(word string) bool {
		switch word {
		case "bind":
			m.bind = true
		case "rbind":
			m.bind, m.recursive = true, true
		case "move":
			m.move = true
		case "remount":
			m.remount = true
		case "loop":
			m.loop = true
		default:
			i := slices.Index(propagations, word)
			if i < 0 {
				return false
			}
			m.propagation = flags[i%4]
			if i >= 4 {
				m.propagation |= unix.MS_REC
			}
		}
		return true
	})
}

func (m *mountCall) list() error {
	mounts, err := observe.Mounts()
	if err != nil {
		return err
	}
	for _, e := range mounts {
		if m.fsType != "" && !slices.Contains(strings.Split(m.fsType, ","), e.FSType) {
			continue
		}
		fmt.Fprintf(m.out, "%s on %s type %s (%s)\n", safe(e.Source), safe(e.Target), e.FSType, safe(mergedOptions(e)))
	}
	return nil
}

// mergedOptions are the options of mount and file system in one list, as mount shows them.
func mergedOptions(e mountinfo.Mount) string {
	words := strings.Split(e.Options, ",")
	for word := range strings.SplitSeq(e.SuperOptions, ",") {
		if word == "ro" && words[0] == "rw" {
			words[0] = "ro"
		}
		if word != "" && word != "rw" && word != "ro" && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, ",")
}

// change remounts, or changes how mounts spread.
func (m *mountCall) change(target string) error {
	target, err := m.absolute(target)
	if err != nil {
		return err
	}
	if m.remount {
		flags, data := mountFlags(m.words)
		if m.bind {
			flags |= unix.MS_BIND
		} else if flags, err = keepFlags(target, flags, m.words); err != nil {
			return err
		}
		if err := unix.Mount("", target, "", flags|unix.MS_REMOUNT, data); err != nil {
			return fmt.Errorf("remount %s: %w", target, err)
		}
	}
	if m.propagation != 0 {
		if err := unix.Mount("", target, "", m.propagation, ""); err != nil {
			return fmt.Errorf("change %s: %w", target, err)
		}
	}
	return nil
}

// flagWords are the options that mount(2) takes as flags; a word with "no" before clears, or the other way round.
var flagWords = []struct {
	name  string
	flag  uintptr
	clear bool
}{
	{"ro", unix.MS_RDONLY, false}, {"rw", unix.MS_RDONLY, true}, {"nosuid", unix.MS_NOSUID, false}, {"suid", unix.MS_NOSUID, true},
	{"nodev", unix.MS_NODEV, false}, {"dev", unix.MS_NODEV, true}, {"noexec", unix.MS_NOEXEC, false}, {"exec", unix.MS_NOEXEC, true},
	{"noatime", unix.MS_NOATIME, false}, {"atime", unix.MS_NOATIME, true}, {"relatime", unix.MS_RELATIME, false}, {"strictatime", unix.MS_STRICTATIME, false},
	{"nodiratime", unix.MS_NODIRATIME, false}, {"diratime", unix.MS_NODIRATIME, true}, {"sync", unix.MS_SYNCHRONOUS, false}, {"async", unix.MS_SYNCHRONOUS, true},
	{"dirsync", unix.MS_DIRSYNC, false}, {"silent", unix.MS_SILENT, false}, {"nosymfollow", unix.MS_NOSYMFOLLOW, false}, {"lazytime", unix.MS_LAZYTIME, false},
}

// mountFlags splits options into those of mount(2) and those of the file system.
func mountFlags(words []string) (flags uintptr, data string) {
	var rest []string
next:
	for _, word := range words {
		for _, f := range flagWords {
			if f.name == word {
				flags |= f.flag
				if f.clear {
					flags &^= f.flag
				}
				continue next
			}
		}
		if word != "defaults" && !strings.HasPrefix(word, "x-") {
			rest = append(rest, word)
		}
	}
	return flags, strings.Join(rest, ",")
}

// keepFlags adds the flags that a mount has already, as mount(8) does: a remount would take them away.
func keepFlags(target string, flags uintptr, words []string) (uintptr, error) {
	mounts, err := observe.Mounts()
	if err != nil {
		return 0, err
	}
	for _, e := range slices.Backward(mounts) {
		if e.Target != target {
			continue
		}
		old, _ := mountFlags(strings.Split(e.Options, ","))
		for _, f := range flagWords {
			if slices.Contains(words, f.name) {
				old &^= f.flag
			}
		}
		return flags | old, nil
	}
	return 0, fmt.Errorf("%s is no mount point", target)
}

// fromTable mounts what /etc/fstab says of a name.
func (m *mountCall) fromTable(name string) error {
	text, err := os.ReadFile("/etc/fstab")
	if err != nil {
		return fmt.Errorf("where %s goes stands in no table: %w", name, lastCause(err))
	}
	entries, _ := fstab.Parse(string(text))
	for _, e := range entries {
		if e.Target == name || e.Source == name {
			if m.fsType == "" && e.Type != "auto" {
				m.fsType = e.Type
			}
			m.words = append(splitOptions(e.Options), m.words...)
			m.takeWords()
			return m.mount(e.Source, e.Target)
		}
	}
	return fmt.Errorf("%s is not in /etc/fstab", name)
}

func (m *mountCall) mount(source, target string) error {
	target, err := m.absolute(target)
	if err != nil {
		return err
	}
	if _, err := os.Stat(target); err != nil {
		return fmt.Errorf("%s: %w", target, lastCause(err))
	}
	switch {
	case m.remount:
		return m.change(target)
	case m.move:
		if source, err = m.absolute(source); err != nil {
			return err
		}
		return mountapi.Move(source, target)
	case m.bind:
		return m.bindTo(source, target)
	}
	if source, err = m.resolveSource(source); err != nil {
		return err
	}
	number, isFile := "", false
	if info, err := os.Stat(m.path(source)); err == nil {
		isFile = info.Mode().IsRegular()
		number, _ = observe.DeviceNumber(m.path(source))
	}
	options, attributes := mountapi.ParseOptions(strings.Join(m.words, ","))
	if number != "" || isFile {
		if source, err = m.absolute(source); err != nil {
			return err
		}
	}
	fsType := m.fsType
	if fsType == "" || fsType == "auto" {
		if number == "" && !isFile {
			return fmt.Errorf("%s is no block device or file; -t names a type that needs none", source)
		}
		if fsType, err = m.probe(source); err != nil {
			return err
		}
	}
	if err := loadFileSystem(fsType); err != nil {
		return err
	}
	if isFile || m.loop {
		device, err := attachLoop(source)
		if err != nil {
			return err
		}
		defer device.Close()
		// Our loop devices take no writes.
		source, attributes = device.Path, attributes|mountapi.ReadOnly
	}
	made, err := mountapi.New(fsType, source, options, attributes)
	if (errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES)) && attributes&mountapi.ReadOnly == 0 && !slices.Contains(m.words, "rw") {
		// As the usual tool does, and says.
		fmt.Fprintf(m.Stderr, "%s: %s is write-protected, mounting read-only\n", m.name, m.text(source))
		made, err = mountapi.New(fsType, source, options, attributes|mountapi.ReadOnly)
	}
	if err != nil {
		return err
	}
	return m.attach(made, target)
}

// attach attaches a mount, and makes it spread as was asked.
func (m *mountCall) attach(made *mountapi.Mount, target string) error {
	if err := made.MoveTo(target); err != nil {
		return err
	}
	if m.propagation != 0 {
		if err := unix.Mount("", target, "", m.propagation, ""); err != nil {
			return fmt.Errorf("change %s: %w", target, err)
		}
	}
	return nil
}

func (m *mountCall) bindTo(source, target string) error {
	source, err := m.absolute(source)
	if err != nil {
		return err
	}
	clone := mountapi.Clone
	if m.recursive {
		clone = mountapi.CloneTree
	}
	made, err := clone(source)
	if err != nil {
		return err
	}
	if _, attributes := mountapi.ParseOptions(strings.Join(m.words, ",")); attributes != 0 {
		if err := made.SetAttributes(attributes); err != nil {
			made.Close()
			return err
		}
	}
	return m.attach(made, target)
}

// probe finds out which file system a device or image holds.
func (m *mountCall) probe(source string) (string, error) {
	content, err := observe.FileSystem(source)
	switch {
	case err != nil:
		return "", err
	case len(content.Ambiguous) > 0:
		return "", fmt.Errorf("%s looks like %v at once; -t says which one it is", source, content.Ambiguous)
	case content.Kind == "":
		return "", fmt.Errorf("%s holds no file system that is known here; -t names one", source)
	case !content.Kind.IsFileSystem():
		return "", fmt.Errorf("%s is %s, which cannot be mounted", source, content.Kind)
	}
	return string(content.Kind), nil
}

// loadFileSystem loads the module of a file system, if the kernel needs one and the image has it: nobody else does here.
func loadFileSystem(fsType string) error {
	if observe.KernelHasFileSystem(fsType) {
		return nil
	}
	index, err := runningIndex()
	if err != nil {
		return nil
	}
	for _, name := range append(index.Match("fs-"+fsType), fsType) {
		if index.IsLoadable(name) {
			return kernelmodules.NewLoader(index).Load(name)
		}
	}
	return nil
}

func attachLoop(source string) (*loopdev.Device, error) {
	if index, err := runningIndex(); err == nil && index.IsLoadable("loop") {
		if err := kernelmodules.NewLoader(index).Load("loop"); err != nil {
			return nil, err
		}
	}
	image, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	return loopdev.Attach(image, 0, 0, 512)
}

// umount takes mounts away: by directory or device; -l now and cleaned up later, -R with all below, -f from a server that is gone.
func umount(c *call) error {
	set, names, err := c.parse("d/detach-loop f/force l/lazy n/no-mtab q/quiet R/recursive r/read-only v/verbose")
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return wrongUse("name a directory or device")
	}
	flags := unix.UMOUNT_NOFOLLOW
	if set.has("l") {
		flags |= unix.MNT_DETACH
	}
	if set.has("f") {
		flags |= unix.MNT_FORCE
	}
	for _, name := range names {
		if err := c.unmount(set, name, flags); err != nil {
			c.complain(err)
			c.code = 32
		}
	}
	return nil
}

func (c *call) unmount(set options, name string, flags int) error {
	mounts, err := observe.Mounts()
	if err != nil {
		return err
	}
	target, err := c.absolute(name)
	if err != nil {
		return err
	}
	if number, err := observe.DeviceNumber(c.path(name)); err == nil && number != "" {
		i := lastIndex(mounts, func(e mountinfo.Mount) bool { return e.Device == number || e.Source == target })
		if i < 0 {
			return fmt.Errorf("%s: it is not mounted", name)
		}
		target = mounts[i].Target
	}
	targets := []string{target}
	if set.has("R") {
		for _, e := range mounts {
			if e.Target != target && strings.HasPrefix(e.Target, strings.TrimSuffix(target, "/")+"/") {
				targets = append(targets, e.Target)
			}
		}
	}
	for _, target := range slices.Backward(targets) {
		err := unix.Unmount(target, flags)
		if err == unix.EBUSY && set.has("r") {
			err = unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
		}
		switch {
		case err == unix.EINVAL:
			return fmt.Errorf("%s: it is not mounted", target)
		case err == unix.EBUSY:
			return fmt.Errorf("%s: it is in use; -l takes it away now and lets go later", target)
		case err != nil:
			return fmt.Errorf("%s: %w", target, err)
		}
		if set.has("v") {
			fmt.Fprintf(c.out, "%s unmounted\n", c.text(target))
		}
	}
	return nil
}

func lastIndex(mounts []mountinfo.Mount, is func(mountinfo.Mount) bool) int {
	for i := len(mounts) - 1; i >= 0; i-- {
		if is(mounts[i]) {
			return i
		}
	}
	return -1
}
