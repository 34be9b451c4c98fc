package bootreport

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	r := sample()
	r.Warnings = append(r.Warnings, strings.Repeat("warn ", 20)+"\nand more")
	want := `preroot (sealed) on Linux 7.2.12: booted
from 1304 to 1805 ms: 500 ms, of which 30 ms own code, 120 ms in the kernel
/usr: /dev/vda1 with hash tree on /dev/vda2 (erofs), verified
  root hash ab12
  signature from /dev/vda3 accepted by the kernel
/: /dev/vda3 (ext4)
confext, Mutable=auto: /etc
  + user  /var/lib/confexts/user.raw
      it fits; verity; signature not checked
  - bad  /x
      another ID
     1310.0 ms    100.5 ms  find devices
     1410.5 ms      3.0 ms  open /usr
      no such device
  module virtio_blk          12.5 ms  device virtio:d00000002v00001AF4
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

// FuzzRead shows whatever is a report, without letting it at the terminal.
func FuzzRead(f *testing.F) {
	text := `{"version":1,"profile":"\u001b[2J","kernel":"a\nb","failure":"x\ny\u0000","steps":[{"name":"\u009b","error":"\r"}],` +
		`"modules":[{"name":"\u202e"}],"usr":{},"root":{},"merges":[{"decisions":[{"name":"\u007f"}],"hierarchies":["\t"]}],"warnings":["\u001b]0;x\u0007"]}`
	f.Add([]byte(text))
	f.Add([]byte(`{"version":1}`))
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
