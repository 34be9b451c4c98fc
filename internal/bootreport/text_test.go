package bootreport

import (
	"math"
	"os"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	r := sample()
	r.Warnings = append(r.Warnings, strings.Repeat("warn ", 20)+"\nand more")
	want := `preroot (sealed) on Linux 7.2.12: booted
  from 1304.2 to 1804.8 ms: 500.5 ms; CPU: 30.5 ms own code, 120.2 ms in the
    kernel
  preroot (devel), built with go1.26
/usr: /dev/vda1 with hash tree on /dev/vda2 (erofs), verified
  root hash (sha256) from usrhash= on the kernel command line:
    ab12
  signature: accepted by the kernel, from /dev/vda3
/: /dev/vda3 (ext4)
  /dev/vda1: data of /usr:
      PARTUUID=11111111-1111-1111-1111-111111111111 (first half of usrhash=;
        the first one found); not taken: 2 more
  /dev/vdb: root: LABEL=ROOT (root=)
confext, Mutable=auto: /etc
  + user  /var/lib/confexts/user.raw
      it fits; verity; signature not checked
  - bad  /x
      another ID
steps                              start ms  took ms   CPU ms
  find devices                       1310.0    100.5     42.5 |###            |
  open /usr                          1410.5      3.0      0.0 |   #           |
      failed: no such device
modules                     took ms
  virtio_blk                   12.5 device virtio:d00000002v00001AF4
handed over to /sbin/init by pivot_root; memory in use then: 123456 KiB
warning: beware
warning: warn warn warn warn warn warn warn warn warn warn warn warn warn warn
  warn warn warn warn warn warn
and more
`
	if got := r.Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTextOfAFailure(t *testing.T) {
	r := New("7.2.12", "", "sealed")
	r.Failure = "/usr on /dev/vda1: the top hash block does not match the root hash 0123456789abcdef\nusrhash= belongs to another image"
	r.Steps = []Step{{Name: "open /usr", Error: r.Failure}}
	got := r.Text()
	if !strings.HasPrefix(got, `preroot (sealed) on Linux 7.2.12: failed
  /usr on /dev/vda1: the top hash block does not match the root hash
    0123456789abcdef
  usrhash= belongs to another image
`) {
		t.Error(got)
	}
	if strings.Count(got, "usrhash=") != 1 {
		t.Errorf("told twice: %s", got)
	}
	for line := range strings.Lines(got) {
		if len(line) > 80 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}

func TestTextOfAnEmptyReport(t *testing.T) {
	if got := (&Report{}).Text(); !strings.HasPrefix(got, "preroot () on Linux : booted\n") {
		t.Errorf("%q", got)
	}
}

// TestTextOfARealBoot renders a record that was taken from a machine of the testbed. The build that wrote it had not all
// members of today: what is missing is not shown.
func TestTextOfARealBoot(t *testing.T) {
	record, err := os.ReadFile("testdata/boot.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Read(record)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/boot.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Text(); got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestEightyColumns has values that are long where they may be.
func TestEightyColumns(t *testing.T) {
	long := strings.Repeat("some words ", 30)
	r := full()
	r.Failure, r.Steps[0].Error, r.Warnings = long, long, []string{long}
	r.Steps[0].Name = long
	r.Steps = append(r.Steps, Step{Name: strings.Repeat("n", nameWidth), StartMS: 99999.94, DurationMS: 123456.7, UserMS: 1e300})
	r.Modules[0].Reason, r.Devices[0].Reason, r.Usr.SignatureNote, r.Usr.RootHashFrom = long, long, long, long
	r.Usr.RootHash = strings.Repeat("ab", 32)
	r.Rules.Actions[0].Why, r.Rules.Notes[0] = long, long
	r.Merges[0].Decisions[0].Reason, r.Merges[0].Shadows[0], r.Merges[0].BootRefresh = long, long, long
	r.StartedMS, r.EndedMS, r.UserMS = -1e300, 1e300, 1e300
	for line := range strings.Lines(r.Text()) {
		if len(line) > 80 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}

func TestBars(t *testing.T) {
	for _, c := range []struct {
		start, took, whole float64
		want               string
	}{
		{0, 100, 100, "###############"},
		{0, 0, 100, "#              "},
		{50, 20, 100, "       ###     "},
		{100, 0, 100, "              #"},
		{99, 500, 100, "              #"},
		{-5, 10, 100, "#              "},
		{5, 10, 0, "              #"},
		{math.Inf(1), math.Inf(1), math.Inf(1), "#              "},
		{math.NaN(), 1e300, -1e300, "#              "},
	} {
		if got := drawBar(c.start, c.took, c.whole); got != c.want {
			t.Errorf("%v: %q, want %q", c, got, c.want)
		}
	}
}

// FuzzRead shows whatever is a report, without letting it at the terminal.
func FuzzRead(f *testing.F) {
	text := `{"version":1,"profile":"\u001b[2J","kernel":"a\nb","failure":"x\ny\u0000","steps":[{"name":"\u009b","error":"\r"}],` +
		`"modules":[{"name":"\u202e"}],"usr":{},"root":{},"merges":[{"decisions":[{"name":"\u007f"}],"hierarchies":["\t"]}],"warnings":["\u001b]0;x\u0007"]}`
	f.Add([]byte(text))
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":1,"versions":{"preroot":"\u001b","revision":"\u007f","systemd":-1},"devices":[{"node":"\u009b","others":-3}],"rules":{"actions":[{"path":"\u202e"}]},"handover":{"leftOver":["\u0000"]}}`))
	f.Add([]byte(`{"version":1,"usr":null,"merges":[{}],"startedMs":1e300,"endedMs":-1e300}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Read(text)
		if err != nil {
			return
		}
		for _, c := range r.Text() {
			if c != '\n' && c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x202e {
				t.Errorf("%q: %q", text, r.Text())
			}
		}
	})
}

// TestTextOfUsr: nobody must take one that is not verified for one that is.
func TestTextOfUsr(t *testing.T) {
	for want, r := range map[string]*Report{
		"/usr: /dev/vda3 (btrfs), not verified\n": {Usr: &Usr{Data: "/dev/vda3", Source: "device", FileSystem: "btrfs"}},
		"/usr: on the root, not verified\n":       {Usr: &Usr{Source: "root"}},
		"/: /dev/vda3 (ext4)\n  what is written is lost at the end: systemd.volatile=state\n": {Root: &Root{
			Device: "/dev/vda3", FileSystem: "ext4", Volatile: "state",
		}},
		"/: /dev/vda1 with hash tree on /dev/vda2 (erofs), verified\n    ab12\n": {Root: &Root{
			Device: "/dev/mapper/root", FileSystem: "erofs", Verity: &Verity{Data: "/dev/vda1", Hash: "/dev/vda2", RootHash: "ab12"},
		}},
	} {
		if got := r.Text(); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
