//go:build vm

package scenario

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// lineBoot is a boot whose command line says in another way than usrhash= where root and /usr are.
type lineBoot struct {
	name string
	// settings are those of the image, beside the testbed's.
	settings string
	// sealed says that the image has the program without a shell.
	sealed bool
	// line returns the words about root and /usr, and the disks beside the testbed's.
	line func(t *testing.T, b *vmtest.Testbed) (words string, more []string)
	// says are regular expressions for the console; refused is the cause where it must not boot.
	says    []string
	refused string
}

const (
	// flatcarData and flatcarSize are those of Flatcar's /usr in bytes (its data, then data and tree).
	flatcarData, flatcarSize = 1065345024, 1 << 30
	onlyVerity               = "[Verity]\nUsrPolicy=verity\n"
)

var lineBoots = []lineBoot{
	{name: "flatcar", line: flatcarWords(true), settings: onlyVerity,
		says: []string{`/usr on /dev/vdb with hash tree on /dev/vdb, root on /dev/vda4`, `/usr is verified \(erofs\)`}},
	{name: "flatcar without its tree", line: flatcarWords(false),
		refused: `/usr by verity.usr=: .*no verity superblock.*at byte 1065345024, .*hash-offset= in systemd.verity_usr_options=`},
	{name: "flatcar without the hash", line: func(t *testing.T, b *vmtest.Testbed) (string, []string) {
		return rootOf(t, b) + " verity.usr=" + usrOf(t, b) + " mount.usr=" + usrOf(t, b), nil
	}, says: []string{`verity.usr=.* is without effect`, `/usr on /dev/vda1 \(erofs\) is not verified`}},
	{name: "hash of flatcar alone", settings: onlyVerity, line: func(t *testing.T, b *vmtest.Testbed) (string, []string) {
		return rootOf(t, b) + " verity.usrhash=" + value(t, b, "USRHASH"), nil
	}, says: []string{`/usr on /dev/vda1 with hash tree on /dev/vda2`, `/usr is verified`}},
	{name: "usr without verity", line: func(t *testing.T, b *vmtest.Testbed) (string, []string) {
		return rootOf(t, b) + " mount.usr=" + strings.ToUpper(usrOf(t, b)), nil
	}, says: []string{`/usr on /dev/vda1 \(erofs\) is not verified: its settings and certificates do not count`}},
	{name: "usr without verity that must be verified", settings: onlyVerity, line: func(t *testing.T, b *vmtest.Testbed) (string, []string) {
		return rootOf(t, b) + " mount.usr=" + usrOf(t, b), nil
	}, refused: `preroot.conf says UsrPolicy=verity, and the kernel command line has no root hash for /usr`},
	{name: "root and usr on verity", settings: onlyVerity, sealed: true, line: verifiedRoot,
		says: []string{`root on /dev/vda4 with hash tree on /dev/vdb`, `the root is mounted read-only \(it is under dm-verity\)`, `/usr is verified`}},
	{name: "a tree without salt, error correction and a damaged block", settings: onlyVerity, line: correctedUsr,
		says: []string{`/usr on /dev/vdb with hash tree on /dev/vdc`, `/usr on /dev/vdb: .*; the kernel corrects it, or does not open it`,
			`verity-fec: .*corrected`, `/usr is verified`}},
	{name: "volatile root", line: func(t *testing.T, b *vmtest.Testbed) (string, []string) {
		return value(t, b, "CMDLINE") + " systemd.volatile=maybe", nil
	}, refused: `systemd.volatile=maybe asks for a root that forgets`},
	{name: "a copy of the disk", sealed: true, line: func(t *testing.T, b *vmtest.Testbed) (string, []string) {
		return value(t, b, "CMDLINE"), []string{testbedDisk(t, b)}
	}, refused: `2 partitions are PARTUUID=.*, and nothing tells which one is meant`},
}

// TestCommandLines boots with other words for root and /usr, up to the real root's init.
func TestCommandLines(t *testing.T) {
	for _, c := range lineBoots {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			prepare := func() (*Machine, error) { return PrepareWith(vmtest.Forky, t.TempDir(), "\n"+c.settings) }
			if c.sealed {
				prepare = func() (*Machine, error) { return PrepareSealed(vmtest.Forky, t.TempDir(), "\n"+c.settings) }
			}
			m, err := prepare()
			if err != nil {
				t.Fatal(err)
			}
			words, more := c.line(t, m.Testbed)
			run, err := m.Boot(t.Context(), Start{CommandLine: words, MoreDisks: more, Append: stopAtInit, Timeout: 300 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			if c.refused != "" {
				judge(t, run, CheckRefusal(run, regexp.MustCompile(c.refused), refusalLimit))
				return
			}
			mark, found := run.Find("testbed: mark init ")
			if !found || !strings.Contains(mark.Text, " confext=present sysext=present ") {
				t.Fatalf("the real root's init saw %q\n%s", mark.Text, run.Tail(80))
			}
			for _, text := range c.says {
				if !regexp.MustCompile(text).MatchString(run.Console) {
					t.Errorf("%q is not on the console:\n%s", text, run.Tail(80))
				}
			}
		})
	}
}

func value(t *testing.T, b *vmtest.Testbed, key string) string {
	t.Helper()
	text, err := b.Value(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rootOf(t *testing.T, b *vmtest.Testbed) string {
	t.Helper()
	return "root=PARTUUID=" + value(t, b, "ROOT_PARTUUID") + " rw"
}

func usrOf(t *testing.T, b *vmtest.Testbed) string {
	t.Helper()
	return "PARTUUID=" + value(t, b, "USR_PARTUUID")
}

func testbedDisk(t *testing.T, b *vmtest.Testbed) string {
	t.Helper()
	disk, err := b.File("disk.raw", "scripts/testbed/make-disk")
	if err != nil {
		t.Fatal(err)
	}
	return disk
}

// flatcarWords makes a disk as Flatcar's partition of /usr is: the testbed's /usr, and its tree at Flatcar's place, or none.
func flatcarWords(tree bool) func(*testing.T, *vmtest.Testbed) (string, []string) {
	return func(t *testing.T, b *vmtest.Testbed) (string, []string) {
		t.Helper()
		disk := filepath.Join(t.TempDir(), "usr.raw")
		copyPart(t, disk, b, "USR", flatcarSize)
		hash := strings.Repeat("ab", 32)
		if tree {
			hash = formatVerity(t, disk, disk, "--hash-offset="+fmt.Sprint(flatcarData), "--data-blocks="+fmt.Sprint(flatcarData/4096))
		}
		return "rootflags=rw mount.usrflags=ro mount.usr=/dev/mapper/usr verity.usr=/dev/vdb consoleblank=0 " +
			rootOf(t, b) + " flatcar.oem.id=qemu verity.usrhash=" + hash, []string{disk}
	}
}

// verifiedRoot makes a hash tree for the testbed's root.
func verifiedRoot(t *testing.T, b *vmtest.Testbed) (string, []string) {
	t.Helper()
	size, err := b.Offset("ROOT_SIZE")
	if err != nil {
		t.Fatal(err)
	}
	data, tree := filepath.Join(t.TempDir(), "root.raw"), filepath.Join(t.TempDir(), "tree.raw")
	copyPart(t, data, b, "ROOT", size)
	hash := formatVerity(t, data, tree)
	return "roothash=" + hash + " systemd.verity_root_data=PARTUUID=" + value(t, b, "ROOT_PARTUUID") + " systemd.verity_root_hash=/dev/vdb" +
		" usrhash=" + value(t, b, "USRHASH"), []string{tree}
}

// correctedUsr has /usr, its tree and parity data on a disk each, and damages the first block of /usr.
func correctedUsr(t *testing.T, b *vmtest.Testbed) (string, []string) {
	t.Helper()
	size, err := b.Offset("USR_SIZE")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	data, tree, parity := filepath.Join(dir, "usr.raw"), filepath.Join(dir, "tree.raw"), filepath.Join(dir, "parity.raw")
	copyPart(t, data, b, "USR", size)
	hash := formatVerity(t, data, tree, "--salt=-", "--fec-device="+parity, "--fec-roots=4")
	if err := vmtest.FlipBit(data, 1030, 3); err != nil {
		t.Fatal(err)
	}
	return rootOf(t, b) + " usrhash=" + hash + " systemd.verity_usr_data=/dev/vdb systemd.verity_usr_hash=/dev/vdc" +
		" systemd.verity_usr_options=fec-device=/dev/vdd,fec-roots=4", []string{data, tree, parity}
}

// copyPart makes a file of so many bytes that begins with a partition of the testbed's disk.
func copyPart(t *testing.T, name string, b *vmtest.Testbed, partition string, size int64) {
	t.Helper()
	offset, err := b.Offset(partition + "_OFFSET")
	if err != nil {
		t.Fatal(err)
	}
	length, err := b.Offset(partition + "_SIZE")
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(testbedDisk(t, b))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := io.Copy(to, io.NewSectionReader(from, offset, length)); err != nil {
		t.Fatal(err)
	}
	if err := to.Truncate(size); err != nil {
		t.Fatal(err)
	}
}

// formatVerity makes a hash tree with the applet and returns the root hash.
func formatVerity(t *testing.T, data, tree string, options ...string) string {
	t.Helper()
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	arguments := append([]string{"verity", "format"}, options...)
	output, err := exec.CommandContext(ctx, filepath.Join(repository, "bin/preroot"), append(arguments, data, tree)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	hash := regexp.MustCompile(`Root hash:\s+([0-9a-f]{64})`).FindSubmatch(output)
	if hash == nil {
		t.Fatalf("no root hash in %s", output)
	}
	return string(hash[1])
}
