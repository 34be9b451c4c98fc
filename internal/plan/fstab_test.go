package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/fstab"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/mountapi"
)

const table = `PARTUUID=` + testRoot + ` / ext4 rw,x-initrd.mount 0 1
/dev/mapper/usr /usr erofs ro,x-initrd.mount 0 0
LABEL=logs /var/log auto x-initrd.mount,nofail 0 2
LABEL=var /var ext4 rw,nosuid,nodev,data=ordered,x-initrd.mount,x-systemd.device-timeout=5s 0 2
LABEL=late /srv ext4 defaults 0 2
LABEL=never /never ext4 x-initrd.mount,noauto 0 0
LABEL=swap none swap x-initrd.mount 0 0
tmpfs /var/cache tmpfs size=10%,x-initrd.mount 0 0
LABEL=again /var/ xfs x-initrd.mount 0 0
LABEL=cover /usr/lib ext4 x-initrd.mount 0 0
LABEL=cover /usr/../usr/lib/x ext4 x-initrd.mount 0 0
LABEL=cover /etc ext4 x-initrd.mount 0 0
LABEL=cover /run/x ext4 x-initrd.mount 0 0
/etc/x /etc/y none bind,x-initrd.mount 0 0
server:/x /net nfs x-initrd.mount,_netdev 0 0
/dev/mapper/secret /secret ext4 x-initrd.mount 0 0
LABEL=below /etc/below ext4 x-initrd.mount 0 0
LABEL=odd odd ext4 x-initrd.mount 0 0
`

func TestPlanFstab(t *testing.T) {
	entries, problems := fstab.Parse(table)
	if len(problems) != 0 {
		t.Fatal(problems)
	}
	mounts, notes := PlanFstab(kernelcmdline.Parse(wholeLine), entries, 300*time.Second)
	var got []string
	for _, m := range mounts {
		got = append(got, strings.TrimSpace(m.Where+" "+m.Device.Value+" "+m.Type+" "+m.Wait.String()))
	}
	want := []string{"/var var ext4 5s", "/var/log logs  0s", "/var/cache  tmpfs 1m30s", "/etc/below below ext4 1m30s"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if m := mounts[0]; m.Attributes != mountapi.NoSUID|mountapi.NoDev || !slices.Equal(m.Options, []mountapi.Option{{Key: "data", Value: "ordered"}}) || !m.Checked || m.Line != 4 {
		t.Errorf("%+v", m)
	}
	if m := mounts[2]; m.HasDevice() || !slices.Equal(m.Options, []mountapi.Option{{Key: "size", Value: "10%"}}) || m.Checked {
		t.Errorf("%+v", m)
	}
	wanted := []string{
		"line 9: /var/ is not mounted early: there is another", "line 10: /usr/lib is not", "line 11: /usr/../usr/lib/x is not mounted early: it lies in /usr",
		"line 12: /etc is not", "line 13: /run/x is not", "line 14: /etc/y is not mounted early: preroot does not know the option bind",
		"line 15: /net is not", "line 16: /secret is not mounted early: /dev/mapper/secret: preroot finds", "line 18: odd is not mounted early: it is not an absolute",
	}
	if len(notes) != len(wanted) {
		t.Fatalf("%q", notes)
	}
	for i, note := range notes {
		if !strings.HasPrefix(note, "fstab, "+wanted[i]) {
			t.Errorf("%q, want %q", note, wanted[i])
		}
	}
	// The wait is never longer than that for the root.
	if mounts, _ := PlanFstab(kernelcmdline.CommandLine{}, entries, 3*time.Second); mounts[0].Wait != 3*time.Second {
		t.Errorf("%v", mounts[0].Wait)
	}
}

func TestPlanFstabSwitchedOff(t *testing.T) {
	entries, _ := fstab.Parse(table)
	for _, line := range []string{"fstab=0", "rd.fstab=no", "fstab=1 rd.fstab=0"} {
		if mounts, notes := PlanFstab(kernelcmdline.Parse(line), entries, time.Second); len(mounts) != 0 || len(notes) != 0 {
			t.Errorf("%s: %v, %q", line, mounts, notes)
		}
	}
	planLine(t, wholeLine+" rd.fstab=1")
}

func TestPlaces(t *testing.T) {
	for where, c := range map[string]struct{ refused, changes, inside bool }{
		"/":                               {true, false, false},
		"/usr":                            {true, true, true},
		"/usr/lib/x":                      {true, true, true},
		"/usrx":                           {false, false, false},
		"/proc":                           {true, false, false},
		"/dev/shm":                        {true, false, false},
		"/run":                            {true, true, false},
		"/etc":                            {true, true, true},
		"/etc/x":                          {false, true, true},
		"/opt":                            {false, true, true},
		"/var":                            {false, true, false},
		"/var/lib":                        {false, true, false},
		"/var/lib/confexts":               {false, true, false},
		"/var/lib/confexts/x":             {false, true, false},
		"/var/lib/extensions.mutable/etc": {false, true, false},
		"/var/log":                        {false, false, false},
		"/var/lib/confexts.d":             {false, false, false},
		"/srv":                            {false, false, false},
	} {
		if got := CheckPlace(where) != ""; got != c.refused {
			t.Errorf("%s: %q", where, CheckPlace(where))
		}
		if got := ChangesMerge(where); got != c.changes {
			t.Errorf("%s changes the merge: %t", where, got)
		}
		if got := IsInHierarchy(where); got != c.inside {
			t.Errorf("%s is in a hierarchy: %t", where, got)
		}
	}
}

func FuzzPlanFstab(f *testing.F) {
	f.Add(table, "fstab=1")
	f.Add("LABEL=x /a/../usr/./b auto x-initrd.mount", "")
	f.Fuzz(func(t *testing.T, text, line string) {
		entries, _ := fstab.Parse(text)
		mounts, _ := PlanFstab(kernelcmdline.Parse(line), entries, time.Minute)
		seen := map[string]bool{}
		for _, m := range mounts {
			if m.Wait < 0 || m.Wait > time.Minute || CheckPlace(m.Where) != "" || seen[m.Where] || strings.Contains(m.Where, "/../") {
				t.Errorf("%+v", m)
			}
			seen[m.Where] = true
		}
	})
}
