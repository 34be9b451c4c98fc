package architecture

import (
	"slices"
	"strings"
	"testing"
)

// layer is a group of packages with the same rights. A path ending in "/..."
// means all packages below.
type layer struct {
	name     string
	packages []string
	// imports are the layers it may use.
	imports []string
	// modules are the packages of other modules it may use.
	modules []string
	// forbidden is what it must not use of the standard library; "os/..." is os
	// and all below.
	forbidden []string
}

const unixCalls = "golang.org/x/sys/unix"

var (
	// outsideWorld is what a package of values and bytes has no use for.
	outsideWorld = []string{"os/...", "io/ioutil", "syscall/...", "net/...", "unsafe", "reflect", "plugin", "runtime/...",
		"log/...", "flag", "path/filepath", "embed", "testing/..."}
	// ofTheBinary is what no package of bin/preroot uses; the rescue shell starts programs, nobody else. What is linked by
	// detours, cmd/multicall's test finds.
	ofTheBinary = []string{"net/...", "os/exec", "os/user", "text/template/...", "html/...", "regexp/...", "encoding/gob",
		"encoding/xml", "crypto/x509/...", "crypto/tls", "log/...", "plugin", "testing/...", "syscall/...", "reflect", "expvar", "go/..."}
)

// allowing is ofTheBinary without some of it; of net it can be net/netip, which opens no connection.
func allowing(names ...string) []string {
	var left []string
	for _, name := range ofTheBinary {
		switch {
		case name == "net/..." && slices.Contains(names, "net/netip"):
			left = append(left, "net", "net/http/...", "net/mail", "net/rpc/...", "net/smtp", "net/textproto", "net/url")
		case !slices.Contains(names, name):
			left = append(left, name)
		}
	}
	return left
}

// layers, from the ground up.
var layers = []layer{
	{
		name: "formats",
		packages: []string{"internal/cms", "internal/ddi", "internal/egrep", "internal/executable", "internal/fec", "internal/fstab", "internal/gpt", "internal/hashtree",
			"internal/imagepolicy", "internal/inifile", "internal/jsontext",
			"internal/kernelcmdline", "internal/mountinfo", "internal/osrelease", "internal/passphrase", "internal/reedsolomon", "internal/sentinel", "internal/superblock",
			"internal/tmpfiles", "internal/veritytable", "internal/versionorder"},
		imports: []string{"formats"},
		// The hashes that the standard library has not.
		modules: []string{"golang.org/x/crypto/blake2b", "golang.org/x/crypto/blake2s", "golang.org/x/crypto/md4",
			"golang.org/x/crypto/ripemd160"},
		forbidden: outsideWorld,
	},
	{
		name:      "kernel, reading",
		packages:  []string{"internal/blockdev", "internal/console", "internal/efivar", "internal/kernellog", "internal/rootdir", "internal/terminal", "internal/uevent"},
		imports:   []string{"formats"},
		modules:   []string{unixCalls},
		forbidden: ofTheBinary,
	},
	{
		name:      "kernel, changing",
		packages:  []string{"internal/devmapper", "internal/kernelmodules", "internal/keyring", "internal/lastfailure", "internal/loopdev", "internal/mountapi", "internal/servicemanager"},
		imports:   []string{"formats", "kernel, reading"},
		modules:   []string{unixCalls},
		forbidden: ofTheBinary,
	},
	{
		name:      "records",
		packages:  []string{"internal/bootlog", "internal/bootreport", "internal/failurescreen"},
		imports:   []string{"formats", "records"},
		modules:   []string{unixCalls},
		forbidden: ofTheBinary,
	},
	{
		name:      "observe",
		packages:  []string{"internal/extension", "internal/observe", "internal/trust"},
		imports:   []string{"formats", "kernel, reading"},
		modules:   []string{unixCalls},
		forbidden: ofTheBinary,
	},
	{
		// Of what is not a format it uses values only: see plan_test.go.
		name:      "plan",
		packages:  []string{"internal/plan"},
		imports:   []string{"formats", "kernel, reading", "kernel, changing", "observe"},
		forbidden: outsideWorld,
	},
	{
		name:      "apply",
		packages:  []string{"internal/apply", "internal/bootrefresh", "internal/etcrules", "internal/sysextselection"},
		imports:   []string{"formats", "kernel, reading", "kernel, changing", "observe", "plan"},
		modules:   []string{unixCalls},
		forbidden: ofTheBinary,
	},
	{
		// The shell, in the profile full only: it alone starts programs, and uses the libraries for that.
		name:     "rescue",
		packages: []string{"applets/rescue"},
		imports:  []string{"formats", "kernel, reading", "records", "apply", "toolbox"},
		modules: []string{unixCalls, "golang.org/x/crypto/argon2", "golang.org/x/term", "mvdan.cc/sh/v3/expand", "mvdan.cc/sh/v3/interp",
			"mvdan.cc/sh/v3/syntax"},
		forbidden: slices.DeleteFunc(slices.Clone(ofTheBinary), func(name string) bool { return name == "os/exec" }),
	},
	{
		// Its commands do what a person asks for, and nothing by themselves.
		name:      "toolbox",
		packages:  []string{"applets/rescue/toolbox"},
		imports:   []string{"formats", "kernel, reading", "kernel, changing", "network", "records", "observe", "apply"},
		modules:   []string{unixCalls, "golang.org/x/term"},
		forbidden: allowing("os/exec", "regexp/...", "net/netip"),
	},
	{
		name:      "network",
		packages:  []string{"internal/netlink"},
		modules:   []string{unixCalls},
		forbidden: allowing("net/netip"),
	},
	{
		name:      "applets",
		packages:  []string{"applets/..."},
		imports:   []string{"formats", "kernel, reading", "kernel, changing", "records", "observe", "plan", "apply"},
		modules:   []string{unixCalls}, // see kernelCallsOfApplets
		forbidden: ofTheBinary,
	},
	{
		name:      "bin/preroot",
		packages:  []string{"cmd/multicall"},
		imports:   []string{"applets", "rescue", "toolbox"},
		forbidden: ofTheBinary,
	},
	{
		name:     "build host",
		packages: []string{"initramfs/..."},
		imports:  []string{"formats", "build host"},
		modules: []string{"github.com/klauspost/compress/zstd", "github.com/pierrec/lz4/v4", "github.com/u-root/mkuimage/cpio",
			"github.com/u-root/mkuimage/uimage", "github.com/u-root/mkuimage/uimage/initramfs", "github.com/ulikunitz/xz",
			"github.com/ulikunitz/xz/lzma"},
	},
	{
		name:     "bin/mkpreroot",
		packages: []string{"cmd/mkpreroot"},
		imports:  []string{"formats", "kernel, reading", "plan", "build host"},
		modules:  []string{"golang.org/x/crypto/argon2", "golang.org/x/term"},
	},
	{
		name:     "tests in machines",
		packages: []string{"internal/vmtest/..."},
		imports:  []string{"formats", "build host", "tests in machines"},
		modules:  []string{unixCalls},
	},
	{
		name: "benchmarks", packages: []string{"internal/peerbench/..."},
		imports: []string{"formats", "kernel, changing", "build host", "tests in machines", "benchmarks"}, modules: []string{unixCalls},
	},
	{name: "build tools", packages: []string{"scripts/..."}},
	{name: "these tests", packages: []string{"internal/architecture"}},
}

// covers reports whether a path stands for a package: by itself, or as "x/..."
// for x and all below.
func covers(pattern, name string) bool {
	above, all := strings.CutSuffix(pattern, "/...")
	return name == above || (all && strings.HasPrefix(name, above+"/"))
}

func coveredBy(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return covers(pattern, name) })
}

// layerOf returns the layer of a package of this module, nil if it has none. A
// test double belongs to what it doubles.
func layerOf(name string) *layer {
	if isDouble(name) {
		name = name[:strings.LastIndexByte(name, '/')]
	}
	for i := range layers {
		if coveredBy(layers[i].packages, name) {
			return &layers[i]
		}
	}
	return nil
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range readModule(t) {
		l := layerOf(p.path)
		if l == nil {
			t.Errorf("%s has no place; give it one in layers_test.go", p.path)
			continue
		}
		for _, name := range p.imports() {
			if problem := l.refuses(p.path, name); problem != "" {
				t.Errorf("%s imports %s: %s", p.path, name, problem)
			}
		}
	}
}

// refuses returns what is wrong with an import, or nothing.
func (l *layer) refuses(from, name string) string {
	switch {
	case isStandard(name):
		if coveredBy(l.forbidden, name) {
			return "not for " + l.name
		}
	case !isOwn(name):
		if !slices.Contains(l.modules, name) {
			return "of other modules " + l.name + " may use only " + strings.Join(l.modules, " ")
		}
	case isDouble(from):
		// It doubles a package with the help of its neighbours.
		if target := layerOf(name); target != l && (target == nil || !slices.Contains(l.imports, target.name)) {
			return "it is not for " + l.name
		}
	case isDouble(name):
		return "that is for tests only"
	default:
		target := layerOf(name)
		if target == nil {
			return "it has no place in layers_test.go"
		}
		if !slices.Contains(l.imports, target.name) {
			return l.name + " may not use " + target.name
		}
	}
	return ""
}

// TestRulesCatch makes sure that the rules above say no.
func TestRulesCatch(t *testing.T) {
	for _, test := range []struct {
		from, name string
		good       bool
	}{
		{"internal/gpt", "strings", true},
		{"internal/gpt", "os", false},
		{"internal/gpt", "os/exec", false},
		{"internal/gpt", unixCalls, false},
		{"internal/gpt", "internal/superblock", true},
		{"internal/gpt", "internal/blockdev", false},
		{"internal/gpt", "internal/gpt/gpttest", false},
		{"internal/gpt/gpttest", "internal/gpt", true},
		{"internal/gpt/gpttest", "internal/mountapi", false},
		{"internal/devmapper/devmappertest", unixCalls, true},
		{"internal/mountapi", "internal/plan", false},
		{"internal/mountapi", "internal/loopdev", false},
		{"internal/mountapi", "net", false},
		{"internal/mountapi", "net/http", false},
		{"internal/observe", "internal/mountapi", false},
		{"internal/extension", "internal/apply", false},
		{"internal/plan", "internal/observe", true},
		{"internal/plan", "internal/apply", false},
		{"internal/plan", unixCalls, false},
		{"internal/plan", "os", false},
		{"internal/apply", "internal/plan", true},
		{"internal/apply", "applets/boot", false},
		{"internal/apply", "internal/vmtest", false},
		{"applets/boot", "internal/apply", true},
		{"applets/boot", "applets/report", false},
		{"applets/boot", "cmd/multicall", false},
		{"applets/boot", "os/exec", false},
		{"applets/boot", "applets/rescue", false},
		{"applets/boot", "mvdan.cc/sh/v3/interp", false},
		{"applets/rescue", "os/exec", true},
		{"applets/rescue", "mvdan.cc/sh/v3/interp", true},
		{"applets/rescue", "net", false},
		{"applets/rescue", "internal/plan", false},
		{"applets/rescue", "applets/rescue/toolbox", true},
		{"applets/rescue/toolbox", "net/http", false},
		{"applets/rescue/toolbox", "mvdan.cc/sh/v3/interp", false},
		{"applets/boot", "applets/rescue/toolbox", false},
		{"internal/netlink", "net", false},
		{"internal/netlink", "internal/mountapi", false},
		{"applets/boot", "internal/devmapper/devmappertest", false},
		{"cmd/multicall", "internal/plan", false},
		{"cmd/multicall", "initramfs", false},
		{"cmd/mkpreroot", "applets/boot", false},
		{"initramfs", "internal/devmapper", false},
		{"initramfs", "github.com/ulikunitz/xz", true},
		{"internal/kernelmodules", "github.com/ulikunitz/xz", false},
		{"internal/apply", "internal/nowhere", false},
	} {
		if problem := layerOf(test.from).refuses(test.from, test.name); (problem == "") != test.good {
			t.Errorf("%s imports %s: %q", test.from, test.name, problem)
		}
	}
	if layerOf("internal/nowhere") != nil || layerOf("internal") != nil || layerOf("applets/x") == nil {
		t.Error("places are mixed up")
	}
}

func TestEveryPlaceIsTaken(t *testing.T) {
	all := readModule(t)
	for _, l := range layers {
		for _, pattern := range l.packages {
			found := false
			for name := range all {
				found = found || covers(pattern, name)
			}
			if !found {
				t.Errorf("%s: there is no %s", l.name, pattern)
			}
		}
		for _, name := range l.imports {
			if !slices.ContainsFunc(layers, func(other layer) bool { return other.name == name }) {
				t.Errorf("%s may import %q, which is no layer", l.name, name)
			}
		}
	}
}
