// Command replay is init of a real root: it cuts the power of another root again and again. /dev/vdb is that root as it was before a boot, /dev/vdc the
// log of the writes of that boot. At points of the log the root is put together in memory as it was then, mounted, and the rules for /etc are
// run on it. The result has to be the same everywhere. It says so on the console and restarts the machine.
//
// The words replay.start= and replay.size= say where on the logged disk the root was, in bytes, replay.points= at how many flushes to look.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/vmtest/writelog"
)

const (
	base, log = "/dev/vdb", "/dev/vdc"
	memory    = "/run/replay"
	state     = memory + "/state"
	copied    = memory + "/copy"
	mounted   = memory + "/root"
	settings  = memory + "/conf"
	program   = "/opt/preroot"
)

func main() {
	console, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	say := func(format string, arguments ...any) {
		fmt.Fprintf(console, "<5>replay: %.900s\n", strings.ReplaceAll(fmt.Sprintf(format, arguments...), "\n", " | "))
	}
	if err == nil {
		err = run(say)
	}
	if err != nil {
		say("FAILED %v", err)
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

func run(say func(string, ...any)) error {
	numbers := map[string]int64{}
	words, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	for word := range strings.FieldsSeq(string(words)) {
		if key, value, found := strings.Cut(word, "="); found && strings.HasPrefix(key, "replay.") {
			if numbers[key], err = strconv.ParseInt(value, 10, 64); err != nil {
				return err
			}
		}
	}
	for _, folder := range []string{memory, mounted} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		if folder == memory {
			if err := unix.Mount("tmpfs", memory, "tmpfs", 0, "size=85%"); err != nil {
				return err
			}
		}
	}
	if err := os.WriteFile(settings, []byte("[EtcRules]\nPreset=flatcar\n"), 0o600); err != nil {
		return err
	}
	root, err := os.Create(state)
	if err != nil {
		return err
	}
	start, size := numbers["replay.start"], numbers["replay.size"]
	if err := copyBase(root, size); err != nil {
		return err
	}
	writes, err := os.Open(log)
	if err != nil {
		return err
	}
	end, err := writes.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	entries, err := writelog.Read(writes, end)
	if err != nil {
		return err
	}
	points := choosePoints(entries, start, size, int(numbers["replay.points"]))
	say("%d entries, %d points", len(entries), len(points))
	results := map[string][]int{}
	next := 0
	for _, point := range points {
		for ; next < point; next++ {
			if err := entries[next].Apply(root, start, size, writes); err != nil {
				return err
			}
		}
		before, after, err := converge()
		if err != nil {
			return fmt.Errorf("after entry %d: %w", point, err)
		}
		results[after] = append(results[after], point)
		say("point %d before %s after %s", point, before, after)
	}
	if len(results) != 1 {
		return fmt.Errorf("%d different results: %v", len(results), results)
	}
	say("ok %d points come to one result", len(points))
	return nil
}

// copyBase copies the root as it was before, without its holes.
func copyBase(to *os.File, size int64) error {
	from, err := os.Open(base)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := to.Truncate(size); err != nil {
		return err
	}
	block, empty := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); at < size; at += int64(len(block)) {
		n, err := from.ReadAt(block, at)
		if err != nil && err != io.EOF {
			return err
		}
		if slices.Equal(block[:n], empty[:n]) {
			continue
		}
		if _, err := to.WriteAt(block[:n], at); err != nil {
			return err
		}
	}
	return nil
}

// choosePoints returns the counts of entries after which the power is cut: at the start, and at so many of the flushes after which the root is
// another one, the last of them included.
func choosePoints(entries []writelog.Entry, start, size int64, most int) []int {
	var flushes []int
	changed := false
	for i, e := range entries {
		changed = changed || e.Data > 0 && e.Offset < start+size && e.Offset+e.Length > start
		if e.Flush && changed {
			flushes = append(flushes, i+1)
			changed = false
		}
	}
	points := []int{0}
	for i := range min(most, len(flushes)) {
		points = append(points, flushes[(i+1)*len(flushes)/min(most, len(flushes))-1])
	}
	return points
}

// converge mounts a copy of the state and runs the rules on it. It returns what /etc was before and after.
func converge() (before, after string, err error) {
	if output, err := exec.Command("/usr/bin/cp", "--sparse=auto", state, copied).CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("copy: %w: %s", err, output)
	}
	if output, err := exec.Command("/usr/bin/mount", "-t", "ext4", "-o", "loop", copied, mounted).CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("mount: %w: %s", err, output)
	}
	defer func() { _ = unix.Unmount(mounted, 0) }()
	if before, err = describe(filepath.Join(mounted, "etc")); err != nil {
		return "", "", err
	}
	if err := unix.Mount("/usr", filepath.Join(mounted, "usr"), "", unix.MS_BIND, ""); err != nil {
		return "", "", fmt.Errorf("bind /usr: %w", err)
	}
	defer func() { _ = unix.Unmount(filepath.Join(mounted, "usr"), 0) }()
	if output, err := exec.Command(program, "etc-rules", "--root="+mounted, "--conf="+settings).CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("etc-rules: %w: %s", err, output)
	}
	after, err = describe(filepath.Join(mounted, "etc"))
	return before, after, err
}

// describe returns a number of files and a digest over all that a tree is, but for its times.
func describe(tree string) (string, error) {
	hash, count := sha256.New(), 0
	err := filepath.WalkDir(tree, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		count++
		fmt.Fprintf(hash, "%q %o %d %d %d\n", strings.TrimPrefix(name, tree), st.Mode, st.Uid, st.Gid, st.Rdev)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(hash, "%q\n", text)
		case unix.S_IFLNK:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(hash, "%q\n", target)
		}
		names := make([]byte, 64<<10)
		n, err := unix.Llistxattr(name, names)
		if err != nil {
			return err
		}
		attributes := strings.Split(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00")
		slices.Sort(attributes)
		for _, attribute := range attributes {
			value := make([]byte, 64<<10)
			if n, err := unix.Lgetxattr(name, attribute, value); err == nil {
				fmt.Fprintf(hash, "%q=%q\n", attribute, value[:n])
			}
		}
		return nil
	})
	return fmt.Sprintf("%d:%x", count, hash.Sum(nil)[:8]), err
}
