package fstab

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	entries, problems := Parse("# a comment\n\n  \t# another\n" +
		"UUID=1-2 / ext4 rw,noatime 0 1\n" +
		"\tLABEL=\"my\\040disk\"\t/mnt/my\\040disk\text4,xfs\n" +
		"/dev/vda5 /var auto x-initrd.mount,nofail 0 2 # late\r\n" +
		"tmpfs /tmp tmpfs size=10% 0\n" +
		"/dev/vda6 none swap sw 0 0\n" +
		"PARTLABEL='x' /back\\134slash\\011tab xfs a\\054b 0 # no order\n" +
		"short /only\n" +
		"/dev/x /order ext4 defaults 0 two\n" +
		"/dev/x /order ext4 defaults 0 -1\n" +
		"/dev/x /nul\\000 ext4\n" +
		"odd\\04 /odd\\999 ext4\\")
	want := []Entry{
		{4, "UUID=1-2", "/", "ext4", "rw,noatime", 1},
		{5, "LABEL=my disk", "/mnt/my disk", "ext4,xfs", "defaults", 0},
		{6, "/dev/vda5", "/var", "auto", "x-initrd.mount,nofail", 2},
		{7, "tmpfs", "/tmp", "tmpfs", "size=10%", 0},
		{8, "/dev/vda6", "none", "swap", "sw", 0},
		{9, "PARTLABEL=x", "/back\\slash\ttab", "xfs", "a,b", 0},
		{14, "odd\\04", "/odd\\999", "ext4\\", "defaults", 0},
	}
	if !slices.Equal(entries, want) {
		t.Errorf("got  %+v\nwant %+v", entries, want)
	}
	wanted := []string{"line 10: 2 fields", `line 11: "two" is no order`, `line 12: "-1" is no order`, "line 13: a NUL"}
	if len(problems) != len(wanted) {
		t.Fatalf("%q", problems)
	}
	for i, problem := range problems {
		if !strings.HasPrefix(problem, wanted[i]) {
			t.Errorf("%q, want %q", problem, wanted[i])
		}
	}
}

func TestParseIsBounded(t *testing.T) {
	entries, problems := Parse(strings.Repeat("a /b c\n", maxEntries+10))
	if len(entries) != maxEntries || len(problems) != 1 {
		t.Errorf("%d entries, %q", len(entries), problems)
	}
}

func TestOptions(t *testing.T) {
	e := Entry{Options: "rw,x-systemd.device-timeout=5s,nofail,fail,auto,noauto,x-systemd.device-timeout=9"}
	if value, found := e.Option("x-systemd.device-timeout"); value != "9" || !found {
		t.Errorf("%q, %t", value, found)
	}
	if value, found := e.Option("rw"); value != "" || !found {
		t.Errorf("%q, %t", value, found)
	}
	if _, found := e.Option("r"); found {
		t.Error("r was found")
	}
	if e.Has("nofail", "fail") || !e.Has("noauto", "auto") || e.Has("ro", "") {
		t.Error("Has is wrong")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("UUID=1 /var ext4 defaults,x-initrd.mount 0 2\n")
	f.Add("LABEL=\"a\\040b\" /x\\134 auto # c\n\\\n= = = = = =\n")
	f.Fuzz(func(t *testing.T, text string) {
		entries, problems := Parse(text)
		if lines := strings.Count(text, "\n") + 1; len(entries)+len(problems) > lines {
			t.Errorf("%d entries and %d problems of %d lines", len(entries), len(problems), lines)
		}
		for _, e := range entries {
			if e.Source == "" && !strings.Contains(text, "\\") || e.Pass < 0 || e.Line < 1 || strings.ContainsRune(e.Target, 0) {
				t.Errorf("%+v", e)
			}
			e.Option("x")
			e.Has("a", "b")
		}
	})
}
