package plan

import (
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/observe"
)

const rootLine = "root=PARTUUID=" + testRoot + " rw "

func TestSelect(t *testing.T) {
	data, tree, root := partition("vdb1", "vdb", 1, testData, ""), partition("vdb2", "vdb", 2, testTree, ""), partition("vdb3", "vdb", 3, testRoot, "")
	both, parity := partition("vdb4", "vdb", 4, usrA, ""), partition("vdb5", "vdb", 5, dashless, "")
	decoy := partition("vda3", "vda", 3, testRoot, "")
	const fec = wholeLine + " systemd.verity_usr_options=fec-device=PARTUUID=" + dashless
	for _, c := range []struct {
		line       string
		partitions []observe.Partition
		missing    string
		usr, root  string
	}{
		{wholeLine, nil, "PARTUUID=" + testData + " (data of /usr, first half of usrhash=)", "", ""},
		{wholeLine, []observe.Partition{root, tree}, "PARTUUID=" + testData + " (data of /usr, first half of usrhash=)", "", ""},
		{wholeLine, []observe.Partition{data, root}, "PARTUUID=" + testTree + " (hash tree of /usr, second half of usrhash=)", "", ""},
		{wholeLine, []observe.Partition{data, tree}, "PARTUUID=" + testRoot + " (root, root=)", "", ""},
		{wholeLine, []observe.Partition{decoy, data, tree, root}, "", "vdb1 vdb2", "vdb3"},
		{fec, []observe.Partition{decoy, data, tree, root}, "PARTUUID=" + dashless + " (error correction of /usr, fec-device= in systemd.verity_usr_options=)", "", ""},
		{fec, []observe.Partition{decoy, data, tree, root, parity}, "", "vdb1 vdb2 vdb5", "vdb3"},
		{rootLine + "verity.usr=PARTUUID=" + usrA + " verity.usrhash=" + testHash, []observe.Partition{decoy, root}, "PARTUUID=" + usrA + " (data of /usr, verity.usr=)", "", ""},
		{rootLine + "verity.usr=PARTUUID=" + usrA + " verity.usrhash=" + testHash, []observe.Partition{decoy, root, both}, "", "vdb4 vdb4", "vdb3"},
		{rootLine + "verity.usrhash=" + testHash, []observe.Partition{root}, "PARTUUID=" + testData + " (data of /usr, first half of verity.usrhash=)", "", ""},
		{rootLine + "mount.usr=PARTUUID=" + usrA, []observe.Partition{decoy, root}, "PARTUUID=" + usrA + " (/usr, mount.usr=)", "", ""},
		{rootLine + "mount.usr=PARTUUID=" + usrA, []observe.Partition{decoy, root, both}, "", "vdb4", "vdb3"},
		{"roothash=" + testHash, []observe.Partition{data, root}, "PARTUUID=" + testTree + " (hash tree of root, second half of roothash=)", "", ""},
		{"roothash=" + testHash, []observe.Partition{tree, data, root}, "", "", "vdb1"},
		{rootLine, []observe.Partition{both}, "PARTUUID=" + testRoot + " (root, root=)", "", ""},
		{rootLine, []observe.Partition{decoy, root, both}, "", "", "vda3"},
	} {
		found, missing := planLine(t, c.line).Select(c.partitions, "", false)
		if missing != c.missing {
			t.Errorf("%s: %q is missing, want %q", c.line, missing, c.missing)
			continue
		}
		if missing != "" {
			continue
		}
		var usr []string
		for _, p := range []*observe.Partition{found.Usr.Data, found.Usr.Hash, found.Usr.Parity} {
			if p != nil {
				usr = append(usr, p.Name)
			}
		}
		if got := strings.Join(usr, " "); got != c.usr || found.Root.Data.Name != c.root {
			t.Errorf("%s: %s, root %s", c.line, got, found.Root.Data.Name)
		}
		last := found.Choices[len(found.Choices)-1]
		if wanted := strings.Contains(c.line, testRoot) && c.partitions[0].Name == "vda3"; (last.Others == 1) != wanted {
			t.Errorf("%s: %+v", c.line, last)
		}
	}
}

const dashless = "55555555-5555-5555-5555-555555555555"

// TestSelectAmongCopies: V9, a second disk with the same identifiers.
func TestSelectAmongCopies(t *testing.T) {
	disk := func(name string) []observe.Partition {
		root := partition(name+"3", name, 3, testRoot, "")
		root.IsRoot = true
		return []observe.Partition{partition(name+"1", name, 1, testData, ""), partition(name+"2", name, 2, testTree, ""), root, partition(name+"4", name, 4, usrA, "")}
	}
	both := append(disk("vda"), disk("vdb")...)
	onA := append(disk("vda"), disk("vdb")[:3]...)
	twice := append(disk("vda"), partition("vda5", "vda", 5, testRoot, ""))
	const flatcar = rootLine + "verity.usr=PARTUUID=" + usrA + " verity.usrhash=" + testHash
	for _, c := range []struct {
		line, loaderDisk string
		partitions       []observe.Partition
		usr, root        string
		why              []string // of each choice
	}{
		{wholeLine, "", disk("vda"), "vda1", "vda3", []string{"", "", ""}},
		{wholeLine, "vdb", both, "vdb1", "vdb3", []string{"boot loader", "disk of /usr", "disk of /usr"}},
		{wholeLine, "", both, "vda1", "vda3", []string{"", "disk of /usr", "disk of /usr"}},
		// The boot loader's disk has none: the other one is taken, and the root beside it.
		{flatcar, "vdb", onA, "vda4", "vda3", []string{"", "disk of /usr"}},
		{flatcar, "vdb", both, "vdb4", "vdb3", []string{"boot loader", "disk of /usr"}},
		{rootLine, "vdb", both, "", "vdb3", []string{"boot loader"}},
		{rootLine, "", both, "", "vda3", []string{""}},
		{rootLine, "vda", twice, "", "vda3", []string{""}},
		{"root=gpt-auto rw", "vdb", both, "", "vdb3", []string{"newest"}},
	} {
		found, missing := planLine(t, c.line).Select(c.partitions, c.loaderDisk, false)
		if missing != "" {
			t.Errorf("%s: %s is missing", c.line, missing)
			continue
		}
		usr := ""
		if found.Usr.Data != nil {
			usr = found.Usr.Data.Name
		}
		if usr != c.usr || found.Root.Data.Name != c.root || len(found.Choices) != len(c.why) {
			t.Errorf("%s, %s: /usr %s, root %s, %+v", c.line, c.loaderDisk, usr, found.Root.Data.Name, found.Choices)
			continue
		}
		guessed := false
		for i, choice := range found.Choices {
			if choice.Others == 0 {
				continue
			}
			if guessed = guessed || choice.Why == ""; !strings.Contains(choice.Why, c.why[i]) || (choice.Why == "") != (c.why[i] == "") {
				t.Errorf("%s, %s: %+v, want %q", c.line, c.loaderDisk, choice, c.why[i])
			}
		}
		if err := found.CheckClear(); (err != nil) != guessed {
			t.Errorf("%s, %s: %v", c.line, c.loaderDisk, err)
		}
	}
}
