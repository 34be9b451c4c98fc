package initramfs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestACommandCompresses: zstd and gzip are there wherever the tests run.
func TestACommandCompresses(t *testing.T) {
	t.Setenv("ZSTD_CLEVEL", "1")
	script := script(t, `[ "$1" != --version ] || { echo; echo "packer 7"; exit; }; [ -z "$ZSTD_CLEVEL" ] || exit 9; exec gzip "$@"`)
	for _, c := range []struct {
		command                       []string
		compression, recorded, prefix string // of the version
	}{
		{[]string{"zstd", "-19"}, CompressionZstd, "zstd -19", "*** "},
		{[]string{"xz", "--check=crc32", "-9"}, CompressionXz, "xz --check=crc32 -9", "xz (XZ Utils) "},
		{[]string{script, "-9", "-n"}, CompressionGzip, filepath.Base(script) + " -9 -n", "packer 7"},
		{[]string{"cat"}, CompressionNone, "cat", "cat "},
	} {
		o := testOptions(t)
		o.Compressor, o.Describe, o.Compression = c.command, true, CompressionXz // which the command stands for
		result, err := Build(o)
		if err != nil {
			t.Errorf("%q: %v", c.command, err)
			continue
		}
		readImage(t, o.Output, c.compression)
		facts := result.Manifest.Image
		if facts.Compression != c.compression || facts.Command != c.recorded || !strings.HasPrefix(facts.CommandVersion, c.prefix) || facts.Size != result.Size || facts.Unpacked != result.RawSize {
			t.Errorf("%q: %+v, %+v", c.command, facts, result)
		}
		m, err := ReadManifest(o.Output + ManifestSuffix)
		if err != nil || m.Image != facts {
			t.Errorf("%q: the manifest says %+v, %v", c.command, m, err)
		}
		var bill spdxDocument
		text, err := os.ReadFile(o.Output + SBOMSuffix)
		if err != nil || json.Unmarshal(text, &bill) != nil {
			t.Fatal(err)
		}
		tool := false
		for _, p := range bill.Packages {
			tool = tool || p.ID == "SPDXRef-Compressor" && p.Name == c.recorded && p.Version == facts.CommandVersion
		}
		if related := strings.Contains(string(text), `"BUILD_TOOL_OF"`); !tool || !related {
			t.Errorf("%q is not in the SBOM: %v, %v", c.command, tool, related)
		}
	}
}

// TestACommandThatIsNoGoodLeavesNothing: one line with the reason, and the earlier image.
func TestACommandThatIsNoGoodLeavesNothing(t *testing.T) {
	config := func(text string) func(t *testing.T, o *Options) {
		return func(t *testing.T, o *Options) {
			writeFile(t, filepath.Join(o.KernelTree, "lib/modules", testRelease, "config"), strings.ReplaceAll(goodConfig(), "CONFIG_RD_GZIP=y\n", text))
		}
	}
	for name, c := range map[string]struct {
		command []string
		change  func(t *testing.T, o *Options)
		want    string
	}{
		"not there":           {[]string{"/no/such/program"}, nil, "run /no/such/program: no such file"},
		"it fails":            {[]string{script(t, "echo bad level >&2; echo more >&2; exit 3")}, nil, "exit status 3: bad level"},
		"it is killed":        {[]string{script(t, "kill -KILL $$")}, nil, "signal: killed"},
		"fails at the end":    {[]string{script(t, "gzip; exit 1")}, nil, "exit status 1"},
		"it writes nothing":   {[]string{script(t, "exec cat >/dev/null")}, nil, "has written: it is empty"},
		"it reads nothing":    {[]string{"true"}, includeLarge, "run true: it ended before it had read everything"},
		"it never ends":       {[]string{"yes"}, nil, "run yes: it writes more than twice what it is given"},
		"no compression":      {[]string{script(t, "cat >/dev/null; echo hello")}, nil, `has written: it begins with "hello\n", which no kernel knows`},
		"xz for programs":     {[]string{"xz"}, nil, "xz: the kernel checks no other sum than CRC32 (xz --check=crc32)"},
		"half of it":          {[]string{script(t, "head -c 1000 | gzip; cat >/dev/null")}, nil, "it unpacks to 1000 other bytes, given were "},
		"something else":      {[]string{script(t, "tr a b | gzip")}, nil, " is not what it was given"},
		"a cut stream":        {[]string{script(t, "gzip | head -c 300")}, nil, "gzip: it ends too early"},
		"two streams":         {[]string{script(t, "gzip; gzip </dev/null")}, nil, "the kernel unpacks the first one and stops there"},
		"not for this kernel": {[]string{"gzip"}, config(""), "built without CONFIG_RD_GZIP (to unpack gzip; --compress names another)"},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t)
			o.Compressor, o.Describe = c.command, true
			if c.change != nil {
				c.change(t, &o)
			}
			writeFile(t, o.Output, "earlier image")
			_, err := Build(o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, c.want)
			}
			checkUntouched(t, o.Output)
		})
	}
}

// includeLarge has the image overflow a pipe.
func includeLarge(t *testing.T, o *Options) {
	large := filepath.Join(t.TempDir(), "large")
	writeFile(t, large, strings.Repeat("0123456789", 1<<17))
	o.Includes = append(o.Includes, Include{large, "large"})
}

// TestRepeatCompressor: a manifest can come from anywhere.
func TestRepeatCompressor(t *testing.T) {
	for command, good := range map[string]bool{
		"": true, "zstd -19": true, "zstd --ultra -22 --single-thread -T0": true, "xz --check=crc32 -9e": true, "lz4 -l -9": true, "lzma": true,
		"sh -c reboot": false, "zstd -o /etc/passwd": false, "zstd -19 /etc/shadow": false, "gzip --": false, "gzip -": false, "xz -9 --files=x": false,
		"zstd -": false, "/tmp/zstd -19": false, "cat": false, "zstd -1234": false, "xz -e9": false, "zstd --long=31": false,
	} {
		m := Manifest{Image: ImageFacts{Command: command}}
		words, err := m.RepeatCompressor()
		if (err == nil) != good || good && strings.Join(words, " ") != command {
			t.Errorf("%q: %q, %v", command, words, err)
		}
		if !good && !strings.Contains(err.Error(), "give it with --compress") {
			t.Error(err)
		}
	}
}
