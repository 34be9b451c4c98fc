package mountapi

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseOptions(t *testing.T) {
	for _, test := range []struct {
		list       string
		options    []Option
		attributes Attributes
	}{
		{"", nil, 0},
		{",,", nil, 0},
		{"defaults", nil, 0},
		{"ro", nil, ReadOnly},
		{"ro,rw", nil, 0},
		{"rw,ro", nil, ReadOnly},
		{"ro,nosuid,nodev,noexec", nil, ReadOnly | NoSUID | NoDev | NoExec},
		{"ro,nosuid,nodev,noexec,suid,dev,exec", nil, ReadOnly},
		{"nosymfollow,nodiratime", nil, NoSymFollow | NoDirATime},
		{"nosymfollow,nodiratime,symfollow,diratime", nil, 0},
		{"noatime", nil, NoATime},
		{"noatime,strictatime", nil, StrictATime},
		{"strictatime,noatime", nil, NoATime},
		{"noatime,relatime", nil, 0},
		{"noatime,atime", nil, 0},
		{"strictatime,atime", nil, StrictATime},
		{"strictatime,nostrictatime", nil, 0},
		{"noatime,nostrictatime", nil, NoATime},
		{"strictatime,norelatime", nil, StrictATime},
		{"user", nil, NoSUID | NoDev | NoExec},
		{"users,exec", nil, NoSUID | NoDev},
		{"owner", nil, NoSUID | NoDev},
		{"auto,noauto,nofail,_netdev,nouser,silent,loud,x-systemd.device-timeout=5,X-mount.mkdir,comment=x", nil, 0},
		// What the kernel itself knows for all file systems is passed on.
		{"sync,async,lazytime,dirsync", []Option{{"sync", ""}, {"async", ""}, {"lazytime", ""}, {"dirsync", ""}}, 0},
		{"data=ordered,ro,errors=remount-ro", []Option{{"data", "ordered"}, {"errors", "remount-ro"}}, ReadOnly},
		{"subvol=a=b", []Option{{"subvol", "a=b"}}, 0},
		{"ro=,defaults=,comment=", nil, ReadOnly},
		{"ro=1", []Option{{"ro", "1"}}, 0},
		{"key=", []Option{{"key", ""}}, 0},
		{"=value", []Option{{"", "value"}}, 0},
		{`context="system_u:object_r:tmp_t:s0:c1,c2",ro`, []Option{{"context", "system_u:object_r:tmp_t:s0:c1,c2"}}, ReadOnly},
		{`key="`, []Option{{"key", `"`}}, 0},
		{`key=""`, []Option{{"key", ""}}, 0},
		{`key=""a""`, []Option{{"key", `"a"`}}, 0},
		{`key="a,b`, []Option{{"key", `"a,b`}}, 0},
		{"xattr,extra", []Option{{"xattr", ""}, {"extra", ""}}, 0},
		{" ro", []Option{{" ro", ""}}, 0},
	} {
		options, attributes := ParseOptions(test.list)
		if !reflect.DeepEqual(options, test.options) || attributes != test.attributes {
			t.Errorf("%q: %q, %#x; want %q, %#x", test.list, options, attributes, test.options, test.attributes)
		}
	}
}

func FuzzParseOptions(f *testing.F) {
	for _, seed := range []string{
		"", "ro,rw", "noatime,strictatime", `a="b,c",d`, "x-y,comment=,=,==", `"""`, "user,owner,group",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		options, attributes := ParseOptions(list)
		if attributes&NoATime != 0 && attributes&StrictATime != 0 {
			t.Errorf("%q: the kernel refuses noatime with strictatime", list)
		}
		if len(options) > strings.Count(list, ",")+1 {
			t.Errorf("%q: %d options", list, len(options))
		}
		for _, o := range options {
			if strings.ContainsAny(o.Key, "=") || !strings.Contains(list, o.Key) || !strings.Contains(list, o.Value) {
				t.Errorf("%q: %q", list, o)
			}
		}
		// Without quotes, what was understood reads the same again.
		if strings.Contains(list, `"`) {
			return
		}
		var words []string
		for _, o := range options {
			if o.String() != "" {
				words = append(words, o.String())
			}
		}
		again, none := ParseOptions(strings.Join(words, ","))
		if none != 0 || len(again) != len(words) {
			t.Errorf("%q: %q, then %q and %#x", list, options, again, none)
		}
	})
}
