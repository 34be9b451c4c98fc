//go:build guest

package verity

import (
	"os"
	"strings"
	"testing"
)

// TestOpenRefusesAsTheOriginal compares every word of what both say about command lines that cannot be, in the
// order in which the original looks at things.
func TestOpenRefusesAsTheOriginal(t *testing.T) {
	i := format(t, 64<<10, "--fec-device=@fec")
	t.Chdir(i.folder)
	for name, content := range map[string][]byte{"empty": nil, "short": make([]byte, 8192), "tiny": make([]byte, 100), "large": make([]byte, 40000)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loop := i.attach(t, "data")
	for _, line := range []string{
		// Operands.
		"open data v", "create v", "open data v hash", "open nodata a/b nohash", "open nodata a/b nohash zz", "open data NAME hash ROOT",
		// Devices.
		"open nodata v nohash zz", "open nodata v hash zz", "open data v data ROOT", "open data v empty ROOT", "open empty v hash zz",
		"open empty v empty zz", "open short v hash ROOT", "open short v hash zz", "open /tmp v hash ROOT", "open data v /dev/null ROOT",
		// Root hash.
		"-v open data v hash 00", "open data v hash ROOT00", "open data v hash --root-hash-file=/tmp", "open nodata v nohash --root-hash-file=empty",
		// Offsets and sizes.
		"open data v hash ROOT --hash-offset=100", "open data v hash ROOT --hash-offset=1048576",
		"open --no-superblock --salt=zz data v hash ROOT", "open --no-superblock --salt=zz data v nohash zz",
		"open --no-superblock --format=2 --hash=nosuch --data-block-size=3 data v hash zz", "open --no-superblock --hash=nosuch --data-block-size=3 data v hash zz",
		"open --no-superblock --hash-offset=3 --hash=nosuch data v hash zz", "open --no-superblock --hash=nosuch data v hash zz",
		"open --no-superblock --fec-offset=3 --fec-device=fec data v hash zz", "open --no-superblock --data-blocks=17 --salt=- data v hash ROOT",
		"open --no-superblock --data-blocks=0 empty v hash zz",
		// Error correction.
		"open --fec-device=nofec data v hash zz", "open --fec-device=tiny data v hash ROOT",
		// Signature.
		"open --root-hash-signature=/nonexist data v hash ROOT", "open --root-hash-signature=empty data v hash ROOT",
		"open --root-hash-signature=/nonexist data v hash zz", "open --root-hash-signature=large data v hash ROOT",
		// Options that do not go together.
		"open --error-as-corruption data v hash ROOT", "open --ignore-corruption --restart-on-corruption data v hash ROOT", "close --shared v",
		"close --deferred --cancel-deferred v", "status", "close a b",
	} {
		words := strings.Fields(strings.NewReplacer("ROOT", i.root, "NAME", strings.Repeat("n", 128)).Replace(line))
		if a, b := comparable(ours(t, words...)), comparable(theirs(t, words...)); a != b {
			t.Errorf("%s\nours   %+v\ntheirs %+v", line, a, b)
		}
	}
	// What is there, or in use.
	closeAtEnd(t, "there")
	ours(t, "open", loop, "there", "hash", i.root).want(t, "open")
	for _, line := range []string{
		"-v open data there hash ROOT", "open short there hash ROOT", "open data there hash zz", "open --shared data there hash ROOT",
		"open LOOP v hash ROOT", "open LOOP v hash zz", "open --root-hash-signature=hash data there hash ROOT",
	} {
		words := strings.Fields(strings.NewReplacer("ROOT", i.root, "LOOP", loop).Replace(line))
		if a, b := ours(t, words...), theirs(t, words...); a != b || a.code == 0 {
			t.Errorf("%s\nours   %+v\ntheirs %+v", line, a, b)
		}
	}
	ours(t, "close", "there").want(t, "close")
	wantNothingLeft(t)
}

// comparable keeps the last line behind a usage, which is longer in ours, and leaves out what ours
// explains with -v.
func comparable(a answer) answer {
	if strings.HasPrefix(a.stderr, "Usage:") {
		lines := strings.Split(strings.TrimSuffix(a.stderr, "\n"), "\n")
		a.stderr = "Usage: ...\n" + lines[len(lines)-1]
	} else if explanation, rest, _ := strings.Cut(a.stderr, "\n"); strings.HasPrefix(explanation, "veritysetup: ") {
		a.stderr = rest
	}
	return a
}

// TestOpenRefusesBetterThanTheOriginal is for what the original gets wrong.
func TestOpenRefusesBetterThanTheOriginal(t *testing.T) {
	i := format(t, 64<<10, "--fec-device=@fec")
	t.Chdir(i.folder)
	for _, test := range []struct {
		line, want string
		code       int
	}{
		// It ends with 0.
		{"open --root-hash-file=/nonexist data v hash", "Cannot read root hash file /nonexist.\n", exitParameters},
		// It has the kernel refuse the table, and ends with 5.
		{"open --fec-device=fec --fec-roots=1 data v hash ROOT", "Invalid number of parity bytes.", exitParameters},
		// It ends with 3.
		{"open --no-superblock --salt=- --fec-device=nofec data v hash ROOT", "Device nofec does not exist or access denied.\n", exitDevice},
		// It drops the first.
		{"open --ignore-corruption --panic-on-corruption data v hash ROOT", "cannot be used together.\n", exitParameters},
		// It asks the kernel.
		{"open data . hash ROOT", "Cannot use device ., name is invalid or still in use.\n", exitBusy},
		{"open data control hash ROOT", "Cannot use device control, name is invalid or still in use.\n", exitBusy},
		// A salt that was not given is a random one for it, and the device opens.
		{"open --no-superblock data v hash ROOT", "does not match the root hash", exitPermission},
		{"open --fec-device=hash --fec-offset=4096 data v hash ROOT", "", exitParameters},
	} {
		a := ours(t, strings.Fields(strings.ReplaceAll(test.line, "ROOT", i.root))...)
		if a.code != test.code || !strings.Contains(a.stderr, test.want) || a.stdout != "" || a.stderr == "" {
			t.Errorf("%s: %+v", test.line, a)
		}
		wantNothingLeft(t)
	}
}
