//go:build guest

package verity

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestStatusOfOtherDevices makes devices that are none of ours.
func TestStatusOfOtherDevices(t *testing.T) {
	i := format(t, 16<<10)
	data, hash := i.attach(t, "data"), i.attach(t, "hash")
	for name, arguments := range map[string][]string{
		"linear": {"--table", "0 8 linear " + data + " 0"},
		"luks":   {"--table", "0 8 linear " + data + " 0", "--uuid", "CRYPT-LUKS2-x"},
		"nouuid": {"--table", "0 32 verity 1 " + data + " " + hash + " 4096 4096 4 1 sha256 " + i.root + " -"},
		"empty":  {"--notable", "--uuid", "CRYPT-VERITY-empty"},
		"other":  {"--table", "0 8 linear " + data + " 0", "--uuid", "CRYPT-VERITY-other"},
	} {
		if output, err := exec.Command("dmsetup", append([]string{"create", "--readonly", name}, arguments...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		closeAtEnd(t, name)
		own, other := ours(t, "-v", "status", name), theirs(t, "-v", "status", name)
		if name == "other" {
			// The original goes by the UUID alone and invents the rest.
			other = answer{"/dev/mapper/other is active.\n  type:        n/a\nCommand failed with code -1 (wrong or missing parameters).\n", "", 1}
		}
		// With -v ours says more on stderr.
		if own.stdout != other.stdout || own.code != other.code {
			t.Errorf("%s: ours %+v\ntheirs %+v", name, own, other)
		}
		if a := ours(t, "status", "--json", name); name != "empty" && (a.code != 1 || !strings.Contains(a.stdout, `"active": true`) || strings.Contains(a.stdout, "rootHash")) {
			t.Errorf("%s: %+v", name, a)
		}
		switch a := ours(t, "close", name); {
		case name == "luks" && (a.code != exitParameters || a.stderr != "Device luks is not a valid VERITY device.\n"):
			t.Errorf("close of %s: %+v", name, a)
		case name == "empty" && a.code != exitDevice:
			t.Errorf("close of %s: %+v", name, a)
		case name != "luks" && name != "empty":
			a.want(t, "close of "+name)
		}
	}
	for _, name := range []string{"luks", "empty"} {
		if output, err := exec.Command("dmsetup", "remove", name).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, output)
		}
	}
	wantNothingLeft(t)
}

func TestStatusByPath(t *testing.T) {
	i := format(t, 16<<10)
	loop := i.attach(t, "data")
	closeAtEnd(t, "shown")
	ours(t, "open", i.path("data"), "shown", i.path("hash"), i.root).want(t, "open")
	node, err := os.Readlink("/dev/mapper/shown")
	if err != nil {
		t.Fatal(err)
	}
	node = "/dev/" + strings.TrimPrefix(node, "../")
	for _, typed := range []string{"shown", "/dev/mapper/shown", node, loop, i.path("data"), "/nowhere/at-all", "no/where", "nosuch", strings.Repeat("n", 128)} {
		for _, action := range []string{"status", "close"} {
			if action == "close" && (strings.Contains(typed, "shown") || typed == node) {
				continue
			}
			if a, b := ours(t, action, typed), theirs(t, action, typed); a != b {
				t.Errorf("%s %s: ours %+v\ntheirs %+v", action, typed, a, b)
			}
		}
	}
	// The original finds a device only by a link that has its name.
	link := i.path("link")
	if err := os.Symlink(node, link); err != nil {
		t.Fatal(err)
	}
	if a := ours(t, "status", link); a.code != 0 || !strings.HasPrefix(a.stdout, link+" is active.\n  type:        VERITY\n") {
		t.Errorf("%+v", a)
	}
	// And without a link it knows the device by its name only.
	if err := os.Remove("/dev/mapper/shown"); err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{"/dev/mapper/shown", "shown", node} {
		if a := ours(t, "status", typed); a.code != 0 {
			t.Errorf("%+v", a)
		}
	}
	ours(t, "close", node).want(t, "close")
	wantNothingLeft(t)
}

func TestStatusFlagsAreSeparated(t *testing.T) {
	i := format(t, 16<<10)
	closeAtEnd(t, "flags")
	ours(t, "open", "--restart-on-corruption", "--error-as-corruption", "--check-at-most-once", "--use-tasklets",
		i.path("data"), "flags", i.path("hash"), i.root).want(t, "open")
	own, other := ours(t, "status", "flags").stdout, theirs(t, "status", "flags").stdout
	if !strings.HasSuffix(own, "  flags:       restart_on_corruption restart_on_error check_at_most_once try_verify_in_tasklet\n") ||
		!strings.HasSuffix(other, "  flags:       restart_on_corruption restart_on_errorcheck_at_most_oncetry_verify_in_tasklet\n") {
		t.Errorf("ours %s\ntheirs %s", own, other)
	}
	ours(t, "close", "flags").want(t, "close")
}

func TestStatusJSON(t *testing.T) {
	i := format(t, 64<<10, "--salt=0102", "--fec-device=@fec")
	closeAtEnd(t, "json")
	ours(t, "open", "--fec-device="+i.path("fec"), "--panic-on-corruption", i.path("data"), "json", i.path("hash"), i.root).want(t, "open")
	a := ours(t, "status", "--json", "json")
	var got map[string]any
	if err := json.Unmarshal([]byte(a.stdout), &got); err != nil || a.code != 0 {
		t.Fatalf("%+v, %v", a, err)
	}
	for key, want := range map[string]any{
		"name": "json", "active": true, "openCount": 0.0, "readOnly": true, "deferredRemoval": false, "type": "VERITY",
		"status": "verified", "signed": false, "size": 65536.0, "hashType": 1.0, "algorithm": "sha256", "dataBlocks": 16.0,
		"dataBlockSize": 4096.0, "hashBlockSize": 4096.0, "treeOffset": 4096.0, "salt": "0102", "rootHash": i.root,
		"uuid": "CRYPT-VERITY-11111111222233334444555555555555-json",
	} {
		if got[key] != want {
			t.Errorf("%s: %v, want %v", key, got[key], want)
		}
	}
	fec, _ := got["fec"].(map[string]any)
	data, _ := got["data"].(map[string]any)
	if fec["coveredBlocks"] != 17.0 || fec["roots"] != 2.0 || fec["loop"] != i.path("fec") || data["loop"] != i.path("data") {
		t.Errorf("%s", a.stdout)
	}
	ours(t, "close", "json").want(t, "close")
	if a := ours(t, "status", "--json", "json"); a.code != exitDevice || a.stderr != "" || !strings.Contains(a.stdout, `"active": false`) {
		t.Errorf("%+v", a)
	}
	wantNothingLeft(t)
}
