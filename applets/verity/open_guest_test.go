//go:build guest

package verity

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
)

// opened is what the kernel and one of the programs say of a device.
type opened struct {
	target devmapper.Target
	uuid   string
	status answer
}

func look(t *testing.T, dm *devmapper.Control, name string, status func(*testing.T, ...string) answer) opened {
	t.Helper()
	device, err := dm.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	target, err := dm.Table(name)
	if err != nil {
		t.Fatal(err)
	}
	return opened{target, device.UUID, undefective(status(t, "status", name))}
}

// undefective takes away what the original gets wrong: two blanks that it forgets and a line that it
// does not print. There are tests for these.
func undefective(a answer) answer {
	a.stdout = strings.NewReplacer("restart_on_error ", "restart_on_error", "check_at_most_once ", "check_at_most_once").Replace(a.stdout)
	var kept []string
	for line := range strings.SplitAfterSeq(a.stdout, "\n") {
		if !strings.HasPrefix(line, "  FEC loop:") {
			kept = append(kept, line)
		}
	}
	a.stdout = strings.Join(kept, "")
	return a
}

// TestOpenMakesTheSameDevice opens with every option, once with the original and once with ours, and
// compares the kernel's tables; each tells about what the other has
// opened.
func TestOpenMakesTheSameDevice(t *testing.T) {
	dm := deviceMapper(t)
	const kib = 1 << 10
	for name, test := range map[string]struct {
		size   int
		format []string // "@" is the folder
		open   []string
		hash   string // the file with the tree, if it is not "hash"
	}{
		"plain":             {64 * kib, nil, nil, ""},
		"one block":         {4 * kib, nil, nil, ""},
		"two levels":        {1024 * kib, nil, nil, ""},
		"no salt":           {64 * kib, []string{"--salt=-"}, nil, ""},
		"long salt":         {64 * kib, []string{"--salt=" + strings.Repeat("5a", 256)}, nil, ""},
		"format 0":          {64 * kib, []string{"--format=0", "--hash=sha1"}, nil, ""},
		"sha512":            {64 * kib, []string{"--hash=sha512"}, nil, ""},
		"sha384":            {64 * kib, []string{"--hash=sha384", "--data-block-size=1024", "--hash-block-size=512"}, nil, ""},
		"small blocks":      {64 * kib, []string{"--data-block-size=512", "--hash-block-size=1024"}, nil, ""},
		"fewer data blocks": {64 * kib, []string{"--data-blocks=7"}, nil, ""},
		"hash offset":       {64 * kib, []string{"--hash-offset=8192"}, []string{"--hash-offset=8192"}, ""},
		"one device":        {64 * kib, []string{"--hash-offset=65536", "--data-blocks=16"}, []string{"--hash-offset=65536"}, "data"},
		"no superblock":     {64 * kib, []string{"--no-superblock", "--salt=aa"}, []string{"--no-superblock", "--salt=aa"}, ""},
		"no superblock, other": {64 * kib, []string{"--no-superblock", "--salt=-", "--hash=sha512", "--data-block-size=1024", "--data-blocks=33", "--hash-offset=4096"},
			[]string{"--no-superblock", "--salt=-", "--hash=sha512", "--data-block-size=1024", "--data-blocks=33", "--hash-offset=4096"}, ""},
		"no superblock, rounded down": {64 * kib, []string{"--no-superblock", "--salt=-", "--hash-offset=512"},
			[]string{"--no-superblock", "--salt=-", "--hash-offset=512"}, ""},
		"correction": {64 * kib, []string{"--fec-device=@fec"}, []string{"--fec-device=@fec"}, ""},
		"correction with everything": {64 * kib, []string{"--fec-device=@fec", "--fec-roots=24", "--fec-offset=8192"},
			[]string{"--fec-device=@fec", "--fec-roots=24", "--fec-offset=8192", "--panic-on-corruption", "--error-as-corruption",
				"--ignore-zero-blocks", "--check-at-most-once", "--use-tasklets"}, ""},
		"correction behind the tree": {64 * kib, []string{"--fec-device=@hash", "--fec-offset=8192"}, []string{"--fec-device=@hash", "--fec-offset=8192"}, ""},
		"correction of one block":    {4 * kib, []string{"--fec-device=@fec"}, []string{"--fec-device=@fec"}, ""},
		"all on one device": {64 * kib, []string{"--hash-offset=65536", "--data-blocks=16", "--fec-device=@data", "--fec-offset=73728", "--fec-roots=4"},
			[]string{"--hash-offset=65536", "--fec-device=@data", "--fec-offset=73728", "--fec-roots=4"}, "data"},
	} {
		t.Run(name, func(t *testing.T) {
			hash := test.hash
			if hash == "" {
				hash = "hash"
			}
			i := format(t, test.size)
			if err := os.Remove(i.path("hash")); err != nil {
				t.Fatal(err)
			}
			i.formatTo(t, hash, test.format...)
			i.compare(t, dm, hash, test.open)
		})
	}
	wantNothingLeft(t)
}

// TestOpenTakesTheSameFlags is the same for the options that only an opened device has.
func TestOpenTakesTheSameFlags(t *testing.T) {
	dm := deviceMapper(t)
	i := format(t, 64<<10)
	for _, options := range []string{
		"--ignore-corruption",
		"--restart-on-corruption",
		"--panic-on-corruption",
		"--restart-on-corruption --error-as-corruption",
		"--panic-on-corruption --error-as-corruption",
		"--ignore-zero-blocks",
		"--check-at-most-once",
		"--use-tasklets",
		"--shared",
		"--root-hash-file=@root",
		"--restart-on-corruption --error-as-corruption --ignore-zero-blocks --check-at-most-once --use-tasklets --shared",
	} {
		t.Run(options, func(t *testing.T) { i.compare(t, dm, "hash", strings.Fields(options)) })
	}
	wantNothingLeft(t)
}

func (i tree) compare(t *testing.T, dm *devmapper.Control, hash string, options []string) {
	t.Helper()
	closeAtEnd(t, "compared")
	devices := map[string]string{"data": i.attach(t, "data")}
	for _, name := range []string{hash, "fec"} {
		if _, err := os.Stat(i.path(name)); err == nil && devices[name] == "" {
			devices[name] = i.attach(t, name)
		}
	}
	arguments := []string{"open"}
	for _, option := range options {
		for name, device := range devices {
			option = strings.ReplaceAll(option, "=@"+name, "="+device)
		}
		arguments = append(arguments, strings.ReplaceAll(option, "@", i.folder+"/"))
	}
	arguments = append(arguments, devices["data"], "compared", devices[hash], strings.ToUpper(i.root))

	theirs(t, arguments...).want(t, "their open")
	one := look(t, dm, "compared", ours)
	ours(t, "close", "compared").want(t, "our close of theirs")
	ours(t, arguments...).want(t, "our open")
	two := look(t, dm, "compared", theirs)
	ours(t, "close", "compared").want(t, "our close")
	if one != two {
		t.Errorf("device of theirs, as ours sees it: %+v\ndevice of ours, as theirs sees it: %+v", one, two)
	}
}

// TestOpenNames is for names that libdevmapper writes differently.
func TestOpenNames(t *testing.T) {
	i := format(t, 16<<10)
	dm := deviceMapper(t)
	for _, name := range []string{"a bü", `x\y`, `a\x20b`, strings.Repeat("n", 82), strings.Repeat("n", 83)} {
		mangled := devmapper.MangleName(name)
		closeAtEnd(t, name)
		one := theirs(t, "open", i.path("data"), name, i.path("hash"), i.root)
		device, err := dm.Find(mangled)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		ours(t, "close", name).want(t, "our close of "+name)
		two := ours(t, "open", i.path("data"), name, i.path("hash"), i.root)
		if found, err := dm.Find(mangled); err != nil || found.UUID != device.UUID || one != two {
			t.Errorf("%q: %q, %+v; theirs %q, %+v; %v", name, found.UUID, two, device.UUID, one, err)
		}
		if a, b := ours(t, "status", name), theirs(t, "status", name); a != b {
			t.Errorf("ours %+v\ntheirs %+v", a, b)
		}
		theirs(t, "close", name).want(t, "their close of "+name)
	}
	wantNothingLeft(t)
}

// TestOpenFiles lets loop devices be made, which go with the mapping.
func TestOpenFiles(t *testing.T) {
	dm := deviceMapper(t)
	i := format(t, 64<<10, "--data-block-size=1024", "--hash-block-size=1024", "--fec-device=@fec")
	closeAtEnd(t, "files")
	ours(t, "open", "--fec-device="+i.path("fec"), i.path("data"), "files", i.path("hash"), i.root).want(t, "open")
	status := theirs(t, "status", "files").stdout
	for _, want := range []string{"data loop:   " + i.path("data"), "hash loop:   " + i.path("hash"), "FEC roots:   2"} {
		if !strings.Contains(status, want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	// The original does not tell the file of the FEC device.
	if status := ours(t, "status", "files").stdout; !strings.Contains(status, "  FEC loop:    "+i.path("fec")+"\n") {
		t.Errorf("%s", status)
	}
	loops := attachedLoops(t, i.folder)
	if len(loops) != 3 {
		t.Errorf("attached: %v", loops)
	}
	device, err := dm.Find("files")
	if err != nil {
		t.Fatal(err)
	}
	content, _ := os.ReadFile(i.path("data"))
	if read, err := os.ReadFile(device.Node()); err != nil || !bytes.Equal(read, content) {
		t.Errorf("%d bytes, %v", len(read), err)
	}
	ours(t, "close", "files").want(t, "close")
	eventually(t, "the loop devices go", func() bool { return len(attachedLoops(t, i.folder)) == 0 })
	// One file for data and tree gets one device.
	one := format(t, 64<<10)
	one.formatTo(t, "data", "--hash-offset=65536", "--data-blocks=16")
	ours(t, "open", "--hash-offset=65536", one.path("data"), "files", one.path("data"), one.root).want(t, "open of one file")
	if loops := attachedLoops(t, one.folder); len(loops) != 1 {
		t.Errorf("attached: %v", loops)
	}
	ours(t, "close", "files").want(t, "close")
	wantNothingLeft(t)
}

func TestOpenSharesDevices(t *testing.T) {
	i := format(t, 64<<10)
	data, hash := i.attach(t, "data"), i.attach(t, "hash")
	for _, name := range []string{"one", "two"} {
		closeAtEnd(t, name)
	}
	ours(t, "open", data, "one", hash, i.root).want(t, "first")
	for _, arguments := range [][]string{
		{"open", data, "two", hash, i.root}, {"open", data, "one", hash, i.root}, {"open", "--shared", data, "one", hash, i.root},
	} {
		if a, b := ours(t, arguments...), theirs(t, arguments...); a != b || a.code != exitBusy {
			t.Errorf("%v: ours %+v, theirs %+v", arguments, a, b)
		}
	}
	ours(t, "open", "--shared", data, "two", hash, i.root).want(t, "second")
	ours(t, "close", "one").want(t, "close")
	ours(t, "close", "two").want(t, "close")
	// The original lets a data device be held by anybody who says so.
	holder, err := os.OpenFile(data, os.O_RDONLY|unix.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	arguments := []string{"open", data, "one", hash, i.root}
	if a, b := ours(t, arguments...), theirs(t, arguments...); a != b || a.code != exitBusy {
		t.Errorf("held: ours %+v, theirs %+v", a, b)
	}
	wantNothingLeft(t)
}

// TestOpenOfOneNameSideBySide has two calls race for a name: one makes the device, the others say that it is
// there.
func TestOpenOfOneNameSideBySide(t *testing.T) {
	i := format(t, 64<<10)
	closeAtEnd(t, "raced")
	const count = 6
	answers := make(chan answer, count)
	for range count {
		go func() { answers <- ours(t, "open", i.path("data"), "raced", i.path("hash"), i.root) }()
	}
	made := 0
	for range count {
		switch a := <-answers; a {
		case answer{}:
			made++
		case answer{stderr: "Device raced already exists.\n", code: exitBusy}:
		default:
			t.Errorf("%+v", a)
		}
	}
	if made != 1 {
		t.Errorf("%d made it", made)
	}
	theirs(t, "close", "raced").want(t, "close")
	wantNothingLeft(t)
}

// TestOpenSaysWhatTheKernelSays has tables refused.
func TestOpenSaysWhatTheKernelSays(t *testing.T) {
	i := format(t, 64<<10, "--fec-device=@fec")
	big := format(t, 64<<10, "--data-block-size=8192", "--hash-block-size=8192")
	rare := format(t, 64<<10, "--hash=sha512-256")
	for name, test := range map[string]struct {
		arguments []string
		reason    string
	}{
		"FEC device too small": {[]string{"--fec-device=" + i.path("fec"), "--fec-offset=8192", i.path("data"), "refused", i.path("hash"), i.root},
			"verity: FEC device is too small"},
		"blocks above a page":   {[]string{big.path("data"), "refused", big.path("hash"), big.root}, "verity: Invalid data device block size"},
		"unknown to the kernel": {[]string{rare.path("data"), "refused", rare.path("hash"), rare.root}, "verity: Cannot initialize hash function"},
	} {
		own, other := ours(t, append([]string{"open"}, test.arguments...)...), theirs(t, append([]string{"open"}, test.arguments...)...)
		if want := other.stderr + "Kernel: " + test.reason + ".\n"; own.stderr != want || own.code != other.code || own.stdout != other.stdout {
			t.Errorf("%s: %+v\ntheirs %+v", name, own, other)
		}
	}
	wantNothingLeft(t)
}

// attachedLoops lists the files in a folder that have a loop device.
func attachedLoops(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		// The device may be going.
		if text, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(text), folder) {
			found = append(found, string(text))
		}
	}
	return found
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("waited in vain: %s", what)
}
