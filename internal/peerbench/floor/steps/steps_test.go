package steps

import (
	"reflect"
	"testing"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	for _, p := range []*Plan{
		{Root: "/dev/vda1", Modules: []Module{{"ext4", "/lib/ext4.ko", []string{"jbd2", "mbcache"}}, {"jbd2", "/lib/jbd2.ko", []string{}}}},
		{
			Root: "/dev/vda4", Usr: Volume{Name: "usr", Sectors: 8, Parameters: "1 254:1 254:2 4096 4096 1 1 sha256 00 -"},
			Images: []Volume{{"user", "confext", "/var/lib/confexts/user.raw", 1 << 20, 16, "1 LOOP LOOP 4096 4096 2 3 sha256 00 -"}},
		},
	} {
		got, err := Parse(p.String())
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%+v, %v, want %+v", got, err, p)
		}
	}
	for _, text := range []string{"root\n", "module ext4\n", "usr a b c d e\n", "usr a - - x 1 p\n", "image a - - 1 x p\n", "other thing\n"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
