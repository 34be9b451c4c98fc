package osrelease

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	type cases map[string]struct {
		extension Fields
		accepted  bool
		reason    string // a part of it
	}
	both := func(id, version string) Fields { return Fields{"ID": id, "VERSION_ID": version} }
	for hostName, test := range map[string]struct {
		host  Host
		class Class
		cases cases
	}{
		"versioned": {
			Host{Fields: Fields{"ID": "flatcar", "ID_LIKE": "coreos  gentoo", "VERSION_ID": "4593.0.0"}, Architecture: "x86-64"},
			ClassSysext,
			cases{
				"none":               {nil, false, "no release file"},
				"empty":              {Fields{}, false, "or an empty one"},
				"no ID":              {Fields{"VERSION_ID": "4593.0.0"}, false, "has no ID"},
				"empty ID":           {both("", "4593.0.0"), false, "has no ID"},
				"same":               {both("flatcar", "4593.0.0"), true, "ID=flatcar VERSION_ID=4593.0.0 matches"},
				"like":               {both("gentoo", "4593.0.0"), true, ""},
				"any":                {Fields{"ID": "_any"}, true, "any ID"},
				"any with version":   {both("_any", "1"), true, ""},
				"other ID":           {both("debian", "4593.0.0"), false, "made for ID=debian, the host is flatcar"},
				"own ID_LIKE":        {Fields{"ID": "debian", "ID_LIKE": "flatcar", "VERSION_ID": "4593.0.0"}, false, "made for ID=debian"},
				"other version":      {both("flatcar", "4593.0.1"), false, "made for VERSION_ID=4593.0.1, the host is 4593.0.0"},
				"version as text":    {both("flatcar", "4593.0.00"), false, ""},
				"any version":        {both("flatcar", "_any"), false, "VERSION_ID=_any"},
				"no version":         {Fields{"ID": "flatcar"}, false, "has no VERSION_ID"},
				"empty version":      {both("flatcar", ""), false, "has no VERSION_ID"},
				"level only":         {Fields{"ID": "flatcar", "SYSEXT_LEVEL": "1"}, false, "has no VERSION_ID"},
				"architecture":       {Fields{"ID": "_any", "ARCHITECTURE": "x86-64"}, true, ""},
				"any architecture":   {Fields{"ID": "_any", "ARCHITECTURE": "_any"}, true, ""},
				"empty architecture": {Fields{"ID": "_any", "ARCHITECTURE": ""}, true, ""},
				"other architecture": {Fields{"ID": "_any", "ARCHITECTURE": "arm64"}, false, "made for ARCHITECTURE=arm64, the host is x86-64"},
				"Debian's spelling":  {Fields{"ID": "_any", "ARCHITECTURE": "amd64"}, false, "ARCHITECTURE=amd64"},
				"scope":              {Fields{"ID": "_any", "SYSEXT_SCOPE": "initrd system"}, true, ""},
				"scope, tabs":        {Fields{"ID": "_any", "SYSEXT_SCOPE": "\tinitrd\n system "}, true, ""},
				"other scope":        {Fields{"ID": "_any", "SYSEXT_SCOPE": "initrd"}, false, "SYSEXT_SCOPE is initrd, which does not include system"},
				"empty scope":        {Fields{"ID": "_any", "SYSEXT_SCOPE": ""}, false, `SYSEXT_SCOPE is ""`},
				"part of a word":     {Fields{"ID": "_any", "SYSEXT_SCOPE": "systematic"}, false, ""},
				"scope of the other": {Fields{"ID": "_any", "CONFEXT_SCOPE": "initrd"}, true, ""},
				"terminal escapes":   {both("\x1b[2J", "1"), false, `made for ID="\x1b[2J"`},
				"scope comes first":  {Fields{"SYSEXT_SCOPE": "initrd", "ARCHITECTURE": "arm64"}, false, "SYSEXT_SCOPE"},
				"then architecture":  {Fields{"ARCHITECTURE": "arm64"}, false, "ARCHITECTURE"},
			},
		},
		"with level": {
			Host{Fields: Fields{"ID": "debian", "VERSION_ID": "14", "CONFEXT_LEVEL": "10", "SYSEXT_LEVEL": "20"}},
			ClassConfext,
			cases{
				"same level, other version": {Fields{"ID": "debian", "CONFEXT_LEVEL": "10", "VERSION_ID": "13"}, true, "CONFEXT_LEVEL=10"},
				"other level, same version": {Fields{"ID": "debian", "CONFEXT_LEVEL": "11", "VERSION_ID": "14"}, false, "made for CONFEXT_LEVEL=11, the host has 10"},
				"level as text":             {Fields{"ID": "debian", "CONFEXT_LEVEL": "010"}, false, ""},
				"level of the other class":  {Fields{"ID": "debian", "SYSEXT_LEVEL": "20", "VERSION_ID": "13"}, false, "VERSION_ID=13"},
				"no level, same version":    {Fields{"ID": "debian", "VERSION_ID": "14"}, true, ""},
				"empty level, same version": {Fields{"ID": "debian", "CONFEXT_LEVEL": "", "VERSION_ID": "14"}, true, ""},
				"no level, no version":      {Fields{"ID": "debian"}, false, "has no VERSION_ID"},
				"scope of this class":       {Fields{"ID": "_any", "CONFEXT_SCOPE": "portable"}, false, "CONFEXT_SCOPE is portable"},
			},
		},
		"level only": {
			Host{Fields: Fields{"ID": "debian", "SYSEXT_LEVEL": "10"}},
			ClassSysext,
			cases{
				"same":        {Fields{"ID": "debian", "SYSEXT_LEVEL": "10"}, true, ""},
				"other":       {Fields{"ID": "debian", "SYSEXT_LEVEL": "9"}, false, ""},
				"none":        {Fields{"ID": "debian"}, true, "no VERSION_ID"},
				"any version": {both("debian", "77"), true, ""},
			},
		},
		"rolling": {
			Host{Fields: Fields{"ID": "arch", "VERSION_ID": ""}},
			ClassSysext,
			cases{
				"ID only":   {Fields{"ID": "arch"}, true, "the host has no version"},
				"version":   {both("arch", "1"), true, ""},
				"level":     {Fields{"ID": "arch", "SYSEXT_LEVEL": "3"}, true, ""},
				"other ID":  {Fields{"ID": "debian"}, false, ""},
				"any words": {Fields{"ID": "any"}, false, ""},
			},
		},
		"initrd": {
			Host{Fields: Fields{"ID": "debian"}, Initrd: true},
			ClassConfext,
			cases{
				"default scope": {Fields{"ID": "_any"}, false, `CONFEXT_SCOPE is "system portable (default)", which does not include initrd`},
				"initrd":        {Fields{"ID": "_any", "CONFEXT_SCOPE": "initrd"}, true, ""},
				"system":        {Fields{"ID": "_any", "CONFEXT_SCOPE": "system"}, false, ""},
			},
		},
		"without ID": {
			Host{Fields: Fields{"VERSION_ID": "1"}},
			ClassConfext,
			cases{
				"any":   {Fields{"ID": "_any"}, false, "the host's os-release has no ID"},
				"empty": {Fields{"ID": ""}, false, ""},
			},
		},
		"zero": {
			Host{},
			ClassConfext,
			cases{"nil": {nil, false, "os-release"}},
		},
	} {
		for name, c := range test.cases {
			t.Run(hostName+"/"+name, func(t *testing.T) {
				got := Match(test.class, test.host, c.extension)
				if got.Accepted != c.accepted || !strings.Contains(got.Reason, c.reason) {
					t.Errorf("got %v, %q; want %v, %q", got.Accepted, got.Reason, c.accepted, c.reason)
				}
				if got.Reason == "" || len(got.Reason) > 80 {
					t.Errorf("reason %q has %d characters", got.Reason, len(got.Reason))
				}
			})
		}
	}
}

func TestReleaseFileName(t *testing.T) {
	if got, want := ReleaseFileName(ClassSysext, "tool"), "usr/lib/extension-release.d/extension-release.tool"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := ReleaseFileName(ClassConfext, "00-default"), "etc/extension-release.d/extension-release.00-default"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBaseName(t *testing.T) {
	for name, want := range map[string]string{
		"ddi":                  "ddi",
		"ddi_1.raw":            "ddi",
		"ddi.raw":              "ddi",
		"ddi.sysext.raw":       "ddi",
		"ddi.confext.raw":      "ddi",
		"ddi+3-0.raw":          "ddi",
		"ddi+3_1":              "ddi",
		"ddi_1+3":              "ddi",
		"ddi.raw.raw":          "ddi.raw",
		"ddi.confext":          "ddi.confext",
		"a-b.c":                "a-b.c",
		"_x":                   "",
		"":                     "",
		".raw":                 "",
		"x.sysext.confext.raw": "x.sysext",
	} {
		if got := BaseName(name); got != want {
			t.Errorf("BaseName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestArchitecture(t *testing.T) {
	for goarch, want := range map[string]string{
		"amd64": "x86-64", "arm64": "arm64", "386": "x86", "arm": "arm", "riscv64": "riscv64", "ppc64le": "ppc64-le",
		"s390x": "s390x", "loong64": "loongarch64", "mipsle": "mips-le", "mips64le": "mips64-le", "wasm": "", "": "",
	} {
		if got := Architecture(goarch); got != want {
			t.Errorf("Architecture(%q) = %q, want %q", goarch, got, want)
		}
	}
}
