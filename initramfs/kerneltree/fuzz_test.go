package kerneltree

import (
	"reflect"
	"strings"
	"testing"
)

// Each target checks that what a parser accepts is the same again after it was
// written and read.

func FuzzParseDependencies(f *testing.F) {
	f.Add([]byte("a.ko: b.ko.xz\nb.ko.xz:\n"))
	f.Add([]byte("# c\n\nkernel/x/y-z.ko.zst:\r\n"))
	f.Add([]byte("../a.ko:"))
	f.Add([]byte(":"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := ParseDependencies(text)
		if err != nil {
			return
		}
		again, err := ParseDependencies(FormatDependencies(all))
		if err != nil || !reflect.DeepEqual(all, again) {
			t.Fatalf("%v became %v, %v", all, again, err)
		}
		for _, d := range all {
			if strings.Contains("/"+d.Path+"/", "/../") || strings.HasPrefix(d.Path, "/") {
				t.Fatalf("path %q leaves the tree", d.Path)
			}
		}
	})
}

func FuzzParseAliases(f *testing.F) {
	f.Add([]byte("alias fs-erofs erofs\nalias pci:v*[0-9]- x\n"))
	f.Add([]byte("alias x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := ParseAliases(text)
		if err != nil {
			return
		}
		again, err := ParseAliases(FormatAliases(all))
		if err != nil || !reflect.DeepEqual(all, again) {
			t.Fatalf("%v became %v, %v", all, again, err)
		}
	})
}

func FuzzParseSoftDependencies(f *testing.F) {
	f.Add([]byte("softdep a pre: b c post: d\nsoftdep e f\n"))
	f.Add([]byte("softdep pre: post: pre:"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := ParseSoftDependencies(text)
		if err != nil {
			return
		}
		again, err := ParseSoftDependencies(FormatSoftDependencies(all))
		if err != nil || !reflect.DeepEqual(all, again) {
			t.Fatalf("%v became %v, %v", all, again, err)
		}
	})
}

func FuzzParseBuiltIn(f *testing.F) {
	f.Add([]byte("kernel/fs/ext4/ext4.ko\n"), []byte("ext4.alias=fs-ext4\x00"))
	f.Fuzz(func(t *testing.T, builtIn, modinfo []byte) {
		x := NewIndex(nil, nil, nil, ParseBuiltIn(builtIn), ParseBuiltInAliases(modinfo))
		for _, name := range x.BuiltIn {
			if !x.Resolve(name).BuiltIn {
				t.Fatalf("%q is not found again", name)
			}
		}
	})
}
