//go:build guest

package extension

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/osrelease"
)

func TestRelease(t *testing.T) {
	const at = "etc/extension-release.d/extension-release."
	const text = "ID=_any\n"
	for name, c := range map[string]struct {
		image  string
		files  map[string]string
		strict map[string]string // file -> value of the attribute
		reason string            // empty: found
		err    string
	}{
		"exact":                 {image: "x", files: map[string]string{at + "x": text}},
		"exact, odd name":       {image: "a b,c:d\\e\"", files: map[string]string{at + "a b,c:d\\e\"": text}},
		"exact before others":   {image: "x_1", files: map[string]string{at + "x_1": text, at + "x": "ID=other\n"}},
		"exact is a link":       {image: "x", files: map[string]string{at + "x -> /data/r": "", "data/r": text}},
		"link stays inside":     {image: "x", files: map[string]string{at + "x -> ../../../../../../../../data/r": "", "data/r": text}},
		"base name":             {image: "ddi_1", files: map[string]string{at + "ddi": text}},
		"base name with plus":   {image: "ddi+3-1", files: map[string]string{at + "ddi": text}},
		"base name is a link":   {image: "ddi_1", files: map[string]string{at + "ddi -> /data/r": "", "data/r": text}, reason: "it has no file /" + at + "ddi_1"},
		"base name, a pipe":     {image: "ddi_1", files: map[string]string{"pipe": ""}, reason: "it has no file"},
		"another name":          {image: "dz", files: map[string]string{at + "foo": text}, reason: "it has no file /" + at + "dz"},
		"strict":                {image: "dz", files: map[string]string{at + "foo": text}, strict: map[string]string{"foo": "1"}, reason: "it has no file"},
		"strict, a word":        {image: "dz", files: map[string]string{at + "foo": text}, strict: map[string]string{"foo": "perhaps"}, reason: "it has no file"},
		"strict, empty":         {image: "dz", files: map[string]string{at + "foo": text}, strict: map[string]string{"foo": ""}, reason: "it has no file"},
		"strict, very long":     {image: "dz", files: map[string]string{at + "foo": text}, strict: map[string]string{"foo": strings.Repeat("0", 200)}, reason: "it has no file"},
		"any name":              {image: "dz", files: map[string]string{at + "foo": text}, strict: map[string]string{"foo": "0"}},
		"any name, in words":    {image: "dz", files: map[string]string{at + "foo": text}, strict: map[string]string{"foo": "FALSE"}},
		"any name, a hidden":    {image: "dz", files: map[string]string{"etc/extension-release.d/.extension-release.foo": text}, reason: "it has no file"},
		"any name, wrong stem":  {image: "dz", files: map[string]string{"etc/extension-release.d/release.foo": text}, strict: map[string]string{"../release.foo": "0"}, reason: "it has no file"},
		"several":               {image: "dz", files: map[string]string{at + "foo": text, at + "bar": text}, strict: map[string]string{"foo": "0", "bar": "no"}, reason: "several files in /etc/extension-release.d"},
		"several, one by base":  {image: "ddi_1", files: map[string]string{at + "ddi": text, at + "bar": text}, strict: map[string]string{"bar": "no"}, reason: "several files"},
		"one of several counts": {image: "dz", files: map[string]string{at + "foo": text, at + "bar": text}, strict: map[string]string{"bar": "off"}},
		"no directory":          {image: "x", files: map[string]string{"etc/x": ""}, reason: "it has no file"},
		"nothing at all":        {image: "x", reason: "it has no file"},
		"of the other class":    {image: "x", files: map[string]string{"usr/lib/extension-release.d/extension-release.x": text}, reason: "it has no file /" + at + "x"},
		"dangling":              {image: "x", files: map[string]string{at + "x -> /gone": ""}, reason: "it has no file /" + at + "x"},
		"a directory":           {image: "x", files: map[string]string{at + "x/": ""}, err: "not a regular file"},
		"etc is a file":         {image: "x", files: map[string]string{"etc": ""}, err: "not a directory"},
		"link loop":             {image: "x", files: map[string]string{at + "x -> extension-release.x": ""}, err: "too many levels"},
		"too large":             {image: "x", files: map[string]string{at + "x": strings.Repeat("A=1\n", 1<<19)}, err: "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := newTree(t, c.files)
			if _, pipe := c.files["pipe"]; pipe {
				if err := os.MkdirAll(host(tree, "/etc/extension-release.d"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := unix.Mkfifo(host(tree, "/"+at+"ddi"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for file, value := range c.strict {
				path := host(tree, "/"+at+file)
				if strings.HasPrefix(file, "../") {
					path = host(tree, "/etc/extension-release.d/"+file[3:])
				}
				if err := unix.Setxattr(path, "user.extension-release.strict", []byte(value), 0); err != nil {
					t.Fatal(err)
				}
			}
			fields, reason, err := Release(tree, osrelease.ClassConfext, c.image)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.reason != "" {
				if fields != nil || !strings.Contains(reason, c.reason) {
					t.Errorf("%v, %q, want %q", fields, reason, c.reason)
				}
				return
			}
			if fields["ID"] != "_any" || reason != "" {
				t.Errorf("%v, %q", fields, reason)
			}
		})
	}
}

func TestReleaseThatIsEmptyIsNotMissing(t *testing.T) {
	tree := newTree(t, map[string]string{"usr/lib/extension-release.d/extension-release.x": "# nothing\n"})
	fields, reason, err := Release(tree, osrelease.ClassSysext, "x")
	if err != nil || fields == nil || len(fields) != 0 || reason != "" {
		t.Errorf("%v, %q, %v", fields, reason, err)
	}
}

func TestHostRelease(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		id    string
		err   string
	}{
		"etc":              {files: map[string]string{"etc/os-release": "ID=a\n", "usr/lib/os-release": "ID=b\n"}, id: "a"},
		"usr":              {files: map[string]string{"etc/": "", "usr/lib/os-release": "ID=b\n"}, id: "b"},
		"etc is a link":    {files: map[string]string{"etc/os-release -> ../usr/lib/os-release": "", "usr/lib/os-release": "ID=b\n"}, id: "b"},
		"the link dangles": {files: map[string]string{"etc/os-release -> /gone": "", "usr/lib/os-release": "ID=b\n"}, id: "b"},
		"no etc":           {files: map[string]string{"usr/lib/os-release": "ID='b'\n"}, id: "b"},
		"none":             {err: "no /etc/os-release or /usr/lib/os-release"},
		"no ID":            {files: map[string]string{"etc/os-release": "NAME=x\n", "usr/lib/os-release": "ID=b\n"}, err: "/etc/os-release has no ID="},
		"empty":            {files: map[string]string{"etc/os-release": ""}, err: "/etc/os-release has no ID="},
		"a directory":      {files: map[string]string{"etc/os-release/": ""}, err: "not a regular file"},
	} {
		fields, err := HostRelease(newTree(t, c.files), "")
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || fields["ID"] != c.id {
			t.Errorf("%s: %v, %v", name, fields, err)
		}
	}
}
