package scenario

import (
	"fmt"
	"strings"
	"testing"
)

// look is a section as the guest prints it.
func look(name string, id int, more string) string {
	return fmt.Sprintf("\n--- %s\n/=1\n/etc=%d\n/usr=%d\netc-overlays=1\nusr-overlays=1\ntestbed-default=default\ntestbed-user=user\n"+
		"testbed-plain=plain\ntestbed-override=default\ntestbed-upper=upper\ntestbed-late=absent\nsysext=sysext\nsysext-late=absent\n"+
		"write=written\nconfext=active\nsysext-service=active\nmerged=[]\n%s\n", name, id, id+1, more)
}

const sparedLines = "[ 1.0] testbed systemd-confext[1]: Nothing to do: nothing changed since preroot merged plain, user, 00-default into /etc\n" +
	"[ 1.0] testbed systemd-sysext[2]: Nothing to do: nothing changed since preroot merged tool into /usr\n"

// goodBootRefresh is a report with all that has to be in it; systemd 257 merges anew at each reload.
func goodBootRefresh() string {
	merged := "[ 2.0] testbed systemd-confext[3]: Merged extensions into '/etc'.\n"
	return "TESTBED-BEGIN\n--- versions\nsystemd 257\n--- state\nrunning\n--- failed\n\n--- mount-ids-start\n/=1\n/etc=10\n/usr=11\n" +
		look("first", 10, "") + "--- messages\n" + sparedLines +
		"--- drop-ins\n/run/systemd/system/systemd-confext.service.d/zz-preroot.conf\n/run/systemd/system/systemd-sysext.service.d/zz-preroot.conf\n" +
		"--- left\n/run/preroot d 755 60\n/run/preroot/report.json f 644 9\n" +
		look("reload", 20, "exit=0") + look("restart", 30, "exit=0") +
		"--- stop\netc-overlays=0\nusr-overlays=0\ntestbed-default=absent\ntestbed-upper=upper\nsysext=absent\nconfext=inactive\nsysext-service=inactive\nexit=0\n" +
		look("start", 40, "exit=0") + look("manual", 50, "exit=0") + "--- state-before\nrunning\n--- messages-before\n" + sparedLines + merged +
		look("soft-reboot", 60, "") + "--- state-soft\nrunning\n--- failed-soft\n\n--- soft-reboots\n1\n--- messages-soft\n" + sparedLines + merged +
		"TESTBED-END\n"
}

func TestCheckBootRefresh(t *testing.T) {
	judge := func(text string, skips bool) []Finding {
		report, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return Failed(CheckBootRefresh(report, skips))
	}
	good := goodBootRefresh()
	if failed := judge(good, false); len(failed) > 0 {
		t.Fatalf("a good report: %v", failed)
	}
	if failed := judge(strings.Replace(good, look("reload", 20, "exit=0"), look("reload", 10, "exit=0"), 1), true); len(failed) > 0 {
		t.Fatalf("a good report of 262: %v", failed)
	}
	if failed := judge(good, true); len(failed) != 1 {
		t.Errorf("a reload that merges, where it ought to skip: %v", failed)
	}
	for name, c := range map[string][2]string{
		"a service merged":             {"--- drop-ins", "[ 1.0] testbed systemd-confext[1]: Merged extensions into '/etc'.\n--- drop-ins"},
		"only one was spared":          {sparedLines + "--- drop-ins", sparedLines[:strings.Index(sparedLines, "\n")+1] + "--- drop-ins"},
		"another overlay at first":     {"/etc=10\n/usr=11\n\n--- first", "/etc=9\n/usr=11\n--- first"},
		"a program is left":            {"/run/preroot/report.json f", "/run/preroot/boot-refresh/confext/stamp f 644 9\n/run/preroot/report.json f"},
		"no drop-in":                   {"/run/systemd/system/systemd-sysext.service.d/zz-preroot.conf\n", ""},
		"a bare /etc after reload":     {look("reload", 20, "exit=0"), strings.Replace(look("reload", 20, "exit=0"), "etc-overlays=1", "etc-overlays=0", 1)},
		"restart skips":                {look("restart", 30, "exit=0"), look("restart", 20, "exit=0")},
		"restart merges one":           {look("restart", 30, "exit=0"), strings.Replace(look("restart", 30, "exit=0"), "/usr=31", "/usr=21", 1)},
		"stop fails":                   {"sysext-service=inactive\nexit=0", "sysext-service=inactive\nexit=1"},
		"stop leaves it":               {"--- stop\netc-overlays=0", "--- stop\netc-overlays=1"},
		"start without a file":         {look("start", 40, "exit=0"), strings.Replace(look("start", 40, "exit=0"), "testbed-user=user", "testbed-user=absent", 1)},
		"a refresh that fails":         {look("manual", 50, "exit=0"), look("manual", 50, "exit=1")},
		"read-only after soft reboot":  {look("soft-reboot", 60, ""), strings.Replace(look("soft-reboot", 60, ""), "write=written", "write=Read-only file system", 1)},
		"a service is down then":       {look("soft-reboot", 60, ""), strings.Replace(look("soft-reboot", 60, ""), "confext=active", "confext=inactive", 1)},
		"no soft reboot":               {"--- soft-reboots\n1", "--- soft-reboots\n0"},
		"spared after the soft reboot": {"--- messages-soft\n", "--- messages-soft\n" + sparedLines},
		"degraded":                     {"--- state-soft\nrunning", "--- state-soft\ndegraded"},
		"a failed unit":                {"--- failed\n", "--- failed\nx.service\n"},
	} {
		text := strings.Replace(good, c[0], c[1], 1)
		if text == good {
			t.Errorf("%s: nothing was changed", name)
			continue
		}
		if failed := judge(text, false); len(failed) == 0 {
			t.Errorf("%s: nobody noticed", name)
		}
	}
}

func TestCheckLateExtensions(t *testing.T) {
	first := strings.NewReplacer("testbed-late=absent", "testbed-late=late", "sysext-late=absent", "sysext-late=late").Replace(look("first", 20, ""))
	good := "TESTBED-BEGIN\n--- state\nrunning\n--- failed\n\n" + first + "--- messages\n" +
		"a: Merging again: /run/confexts/late was added after preroot merged x into /etc\nb: Merging again: /usr/x was changed after\n" +
		"--- left\n/run/preroot d 755 60\nTESTBED-END\n"
	judge := func(text string) []Finding {
		report, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return Failed(CheckLateExtensions(report))
	}
	if failed := judge(good); len(failed) > 0 {
		t.Fatalf("a good report: %v", failed)
	}
	for _, c := range [][2]string{
		{"testbed-late=late", "testbed-late=absent"}, {"sysext-late=late", "sysext-late=absent"}, {"testbed-user=user", "testbed-user=absent"},
		{"b: Merging again", "b: Merging"}, {"b: Merging", sparedLines + "b: Merging"}, {"--- failed\n", "--- failed\nx\n"},
		{"/run/preroot d", "/run/preroot/boot-refresh d"}, {"running", "degraded"},
	} {
		if text := strings.Replace(good, c[0], c[1], 1); text == good || len(judge(text)) == 0 {
			t.Errorf("%q: nobody noticed", c)
		}
	}
}
