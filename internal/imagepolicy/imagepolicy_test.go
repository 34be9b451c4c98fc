package imagepolicy

import (
	"slices"
	"strings"
	"testing"
)

// The effects are those that "systemd-analyze image-policy" of systemd 262 prints.
func TestFor(t *testing.T) {
	for text, want := range map[string]string{
		"-":                          "rest: ignore",
		"*":                          "root usr: open; root-verity usr-verity root-verity-sig usr-verity-sig: unprotected+unused+absent; rest: encrypted+encryptedwithintegrity+unprotected+unused+absent",
		"~":                          "rest: absent",
		"=":                          "root usr: open; root-verity usr-verity root-verity-sig usr-verity-sig: unprotected+unused+absent; rest: encrypted+encryptedwithintegrity+unprotected+unused+absent",
		"=unprotected+absent":        "rest: unprotected+absent",
		"=verity+absent":             "root usr: verity+absent; rest: absent",
		"=signed+read-only-on+erofs": "root usr: signed+read-only-on+erofs; rest: read-only-on+erofs",
		"root=verity":                "root: verity; root-verity: unprotected; rest: ignore",
		"root=signed+absent":         "root: signed+absent; root-verity root-verity-sig: unprotected+absent; rest: ignore",
		"root=verity+unused":         "root: verity+unused; root-verity: unprotected+unused; rest: ignore",
		"root=unprotected+absent":    "root: unprotected+absent; rest: ignore",
		"root=encrypted":             "root: encrypted; rest: ignore",
		"root=absent+read-only-on":   "root: absent; rest: ignore",
		"root=-":                     "root: open; root-verity root-verity-sig: unprotected+unused+absent; rest: ignore",
		"root=ext4+erofs":            "root: open+erofs+ext4; root-verity root-verity-sig: unprotected+unused+absent; rest: ignore",
		"root=signed+read-only-on+growfs-off+ext4":                 "root: signed+read-only-on+growfs-off+ext4; root-verity root-verity-sig: unprotected+read-only-on+growfs-off; rest: ignore",
		"root=verity+read-only-off+growfs-on":                      "root: verity+read-only-off+growfs-on; root-verity: unprotected+read-only-off+growfs-on; rest: ignore",
		"root=verity+read-only-on+read-only-off":                   "root: verity; root-verity: unprotected; rest: ignore",
		"root=signed:=absent":                                      "root: signed; root-verity root-verity-sig: unprotected; rest: absent",
		"root=unprotected:=open":                                   "root: unprotected; usr: open; root-verity usr-verity root-verity-sig usr-verity-sig: unprotected+unused+absent; rest: encrypted+encryptedwithintegrity+unprotected+unused+absent",
		"root=verity:root-verity=absent":                           "root: verity; root-verity: absent; rest: ignore",
		"root=verity:root-verity-sig=verity+encrypted+unprotected": "root: verity; root-verity root-verity-sig: unprotected; rest: ignore",
		"usr=signed+growfs-off:usr-verity=absent":                  "usr: signed+growfs-off; usr-verity: absent; usr-verity-sig: unprotected+growfs-off; rest: ignore",
		"usr=verity:usr-verity-sig=ignore:root=signed":             "root: signed; usr: verity; root-verity usr-verity root-verity-sig: unprotected; rest: ignore",
		"home=signed":                          "home: -; rest: ignore",
		"home=verity+encrypted":                "home: encrypted; rest: ignore",
		"swap=open":                            "swap: encrypted+encryptedwithintegrity+unprotected+unused+absent; rest: ignore",
		"esp=encryptedwithintegrity+growfs-on": "esp: encryptedwithintegrity+growfs-on; rest: ignore",
		"root-verity=verity":                   "root-verity: -; rest: ignore",
		"srv=unused:tmp=absent:var=unprotected:xbootldr=vfat": "srv: unused; xbootldr: encrypted+encryptedwithintegrity+unprotected+unused+absent+vfat; tmp: absent; var: unprotected; rest: ignore",
	} {
		p := mustParse(t, text)
		wanted := map[Designator]string{}
		for group := range strings.SplitSeq(want, "; ") {
			names, flags, _ := strings.Cut(group, ": ")
			for name := range strings.FieldsSeq(names) {
				wanted[Designator(name)] = flags
			}
		}
		for _, d := range designators {
			flags, ok := wanted[d]
			if !ok {
				flags = wanted["rest"]
			}
			if got := p.For(d).String(); got != flags {
				t.Errorf("%q: For(%s) = %s, want %s", text, d, got, flags)
			}
		}
	}
}

func TestForFillsInAttributes(t *testing.T) {
	for text, want := range map[string]Flags{
		"root=verity":                         Verity | ReadOnlyOn | ReadOnlyOff | GrowFSOn | GrowFSOff,
		"root=verity+read-only-on":            Verity | ReadOnlyOn | GrowFSOn | GrowFSOff,
		"root=verity+growfs-off":              Verity | ReadOnlyOn | ReadOnlyOff | GrowFSOff,
		"root=growfs-on+growfs-off+xfs":       Open | ReadOnlyOn | ReadOnlyOff | GrowFSOn | GrowFSOff | XFS,
		"root=absent+read-only-on+growfs-off": Absent,
		"~":                                   Absent,
		"":                                    Ignore | ReadOnlyOn | ReadOnlyOff | GrowFSOn | GrowFSOff,
	} {
		if got := mustParse(t, text).For(Root); got != want {
			t.Errorf("%q: For(root) = %#x, want %#x", text, uint32(got), uint32(want))
		}
	}
}

func TestForOfNoDesignator(t *testing.T) {
	for _, d := range []Designator{"", "ROOT", "root ", "boot"} {
		if got := mustParse(t, "*").For(d); got != 0 {
			t.Errorf("For(%q) = %s, want nothing", d, got)
		}
	}
}

func TestZeroPolicyIgnoresEverything(t *testing.T) {
	var zero Policy
	if zero.String() != "-" || zero.For(Root)&Open != Ignore {
		t.Errorf("the zero policy is %s, root %s", zero, zero.For(Root))
	}
}

func TestFileSystems(t *testing.T) {
	p := mustParse(t, "root=xfs+verity+btrfs:usr=signed+erofs:home=open:=f2fs")
	for d, want := range map[Designator][]string{
		Root: {"btrfs", "xfs"}, Usr: {"erofs"}, Home: nil, Srv: {"f2fs"}, RootVerity: nil, "boot": nil,
	} {
		if got := p.FileSystems(d); !slices.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("FileSystems(%s) = %q, want %q", d, got, want)
		}
	}
	all := mustParse(t, "root=xfs+vfat+squashfs+f2fs+ext4+erofs+btrfs").FileSystems(Root)
	if want := []string{"btrfs", "erofs", "ext4", "f2fs", "squashfs", "vfat", "xfs"}; !slices.Equal(all, want) {
		t.Errorf("got %q, want %q", all, want)
	}
}

func TestString(t *testing.T) {
	for text, want := range map[string]string{
		"":  "-",
		"-": "-",
		"*": "*",
		"~": "~",

		"=ignore":        "-",
		"=unused+absent": "-",
		"=":              "*",
		"=-":             "*",
		"=open":          "*",
		"=absent+verity+signed+encrypted+encryptedwithintegrity+unprotected+unused": "*",
		"=absent":                          "~",
		"=absent+read-only-on":             "~",
		"=absent+growfs-on":                "~",
		"=open+read-only-off+read-only-on": "*",
		"=open+erofs":                      "=open+erofs",
		"=read-only-on":                    "=open+read-only-on",
		"=ignore+xfs":                      "=ignore+xfs",
		"root=":                            "root=open",
		"root=erofs":                       "root=open+erofs",
		"usr=signed:root=verity":           "root=verity:usr=signed",
		"var=verity:=absent:tmp=encrypted": "tmp=encrypted:var=verity:=absent",
		" root = signed + absent ":         "root=signed+absent",
		"root=absent+absent+unused":        "-",
		"root=xfs+growfs-off+read-only-on+absent+verity+btrfs": "root=verity+absent+read-only-on+growfs-off+btrfs+xfs",
		"root=verity+growfs-on+growfs-off":                     "root=verity",

		// Entries that change nothing.
		"root=ignore:usr=verity":               "usr=verity",
		"root=ignore:swap=unused+absent":       "-",
		"swap=absent:=absent":                  "~",
		"root=open:usr=:=open":                 "*",
		"root=signed:root-verity=unprotected":  "root=signed",
		"home=unprotected:=signed+unprotected": "=signed+unprotected",
		"root-verity-sig=open:root=open":       "root=open",
		"root=verity:=verity+read-only-on:usr=verity+read-only-on:usr-verity=verity+read-only-on:usr-verity-sig=verity+read-only-on": "root=verity:=verity+read-only-on",

		// Others that only seem so.
		"root=signed:root-verity=ignore":         "root=signed:root-verity=ignore",
		"root=signed:root-verity=absent:=absent": "root=signed:root-verity=absent:=absent",
		"root=verity+absent:=verity+absent":      "root=verity+absent:=verity+absent",
		"root=open+ext4:=ext4":                   "root=open+ext4:=open+ext4",
		"root=absent":                            "root=absent",
		"home=verity":                            "home=verity",
	} {
		p := mustParse(t, text)
		if got := p.String(); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
		if again := mustParse(t, p.String()); !again.sameEffect(p) || again.String() != want {
			t.Errorf("%q becomes %q, and that %q", text, want, again)
		}
	}
}

func TestStringTellsPoliciesApart(t *testing.T) {
	texts := map[string]string{}
	for _, d := range designators {
		for _, flags := range []string{"open", "absent", "unused", "unprotected+absent", "open+read-only-on", "open+growfs-on", "open+vfat"} {
			text := string(d) + "=" + flags
			got := mustParse(t, text).String()
			if other, ok := texts[got]; ok {
				t.Errorf("%q and %q are both %q", text, other, got)
			}
			texts[got] = text
		}
	}
}

func TestFlagsString(t *testing.T) {
	for want, flags := range map[string]Flags{
		"-":                                  0,
		"open":                               Open,
		"ignore":                             Ignore,
		"ignore+read-only-off+growfs-on+xfs": Ignore | ReadOnlyOff | GrowFSOn | XFS,
		"unused":                             Unused | ReadOnlyOn | ReadOnlyOff,
		"verity+signed+encrypted+encryptedwithintegrity+unprotected+absent": Open &^ Unused,
		"growfs-off": ReadOnlyOn | ReadOnlyOff | GrowFSOff,
	} {
		if got := flags.String(); got != want {
			t.Errorf("%#x is written %q, want %q", uint32(flags), got, want)
		}
	}
	var all Flags
	for _, word := range flagNames {
		if word.flags != Open && word.flags != Ignore {
			if word.flags&all != 0 {
				t.Errorf("%s shares a bit with another flag", word.name)
			}
			all |= word.flags
		}
	}
	if want := Open | attributeFlags | fileSystemFlags; all != want {
		t.Errorf("flags with names are %#x, want %#x", uint32(all), uint32(want))
	}
}

func mustParse(t *testing.T, text string) Policy {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
